/**
 * One network on three segments, two hosts that have ports on all of them: each port is carried by its own segment, and
 * segments meet where somebody outside joins them, not before.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { NeighborObject, PortObject, SegmentObject } from '#wire/objects.ts'
import { ovsMissing } from '../lib/ovs.ts'
import { createLab, createWorld, eventually, type Host, network, open, portNumber, sh, type Vm } from './ovs-lab.ts'

const vlan = (id: string, physical_network: string, segmentation_id: number): SegmentObject => ({
  id,
  network_type: 'vlan',
  physical_network,
  segmentation_id,
})
const VX: SegmentObject = { id: 'vx', network_type: 'vxlan', physical_network: null, segmentation_id: 11 }
const SEGMENTS = [VX, vlan('va', 'physa', 101), vlan('vb', 'physb', 101)]
/** Ports 1 to 3 are here, 4 to 6 there, each three on the three segments in order. */
const segmentOf = (n: number): string => SEGMENTS[(n - 1) % 3]?.id as string
const addressOf = (n: number): string => `10.0.0.${n}`

describe('segments of one network', { skip: ovsMissing() ?? false, timeout: 120_000 }, () => {
  const lab = createLab('osg')
  const hub = `osg${process.pid}hub`
  const names = ['h1', 'h2'] as const
  const underlay = (side: number): string => `172.31.11.${side + 1}`
  const sides: { host: Host; world: ReturnType<typeof createWorld> }[] = []
  const vms: Vm[] = []

  const vm = (n: number): Vm => vms[n - 1] as Vm
  const port = (n: number): PortObject => portNumber(n, { network_id: 'n1', segment_ids: [segmentOf(n)] })
  const neighborOf = ({ id, network_id, mac_address, fixed_ips, segment_ids }: PortObject, host: string) =>
    ({
      id,
      network_id,
      mac_address,
      ip_addresses: fixed_ips.map(({ ip_address }) => ip_address),
      host,
      segment_ids,
    }) satisfies NeighborObject

  const apply = async (side: number, ...changed: ReturnType<ReturnType<typeof createWorld>['keys']>): Promise<void> => {
    const { host, world } = sides[side] as (typeof sides)[number]
    host.reports.push(...(await host.dataplane.reconcile(world.world, changed, true)))
  }
  const stateOf = (side: number, n: number) => sides[side]?.host.stateOf(port(n).id)

  before(async () => {
    await sh(`ip netns add ${hub}
      for b in bra brb; do ip -n ${hub} link add $b type bridge; ip -n ${hub} link set $b up; done`)
    const mappings = { bridgeMappings: { physa: 'br-a', physb: 'br-b' } }
    for (const [side, name] of names.entries())
      sides.push({ host: await lab.host(name, { underlay: underlay(side), ...mappings }), world: createWorld() })
    const [one, other] = sides.map(({ host }) => host) as [Host, Host]
    await lab.join(one, underlay(0), other, underlay(1))
    for (const { host } of sides) for (const letter of ['a', 'b']) await provider(host, letter)
    for (const [side, { world }] of sides.entries()) {
      const numbers = [1, 2, 3].map((n) => n + side * 3)
      for (const n of [1, 2, 3, 4, 5, 6])
        if (numbers.includes(n)) world.put('port', port(n))
        else world.put('neighbor', neighborOf(port(n), names[1 - side] as string))
      world.put('chassis', { id: names[1 - side] as string, tunnel_ip: underlay(1 - side) })
      world.put('security_group', open)
      world.put('network', network('n1', 11, { segments: SEGMENTS }))
      await apply(side, ...world.keys())
    }
    for (const n of [1, 2, 3, 4, 5, 6]) vms.push(await lab.vm(n <= 3 ? one : other, port(n)))
    for (const n of [1, 2, 3, 4, 5, 6])
      assert.ok(await eventually(() => stateOf(n <= 3 ? 0 : 1, n)?.state === 'done'), stateOf(0, n)?.message ?? '')
  })
  after(async () => {
    await lab.close()
    await sh(`ip netns del ${hub}`)
  })

  /** A bridge of the host, and a cable from it to the switch that all hosts share. */
  async function provider(host: Host, letter: string): Promise<void> {
    const device = `e${letter}`
    await sh(`ip link add ${device} netns ${host.name} type veth peer name ${letter}${host.name.slice(-2)} netns ${hub}
      ip -n ${hub} link set ${letter}${host.name.slice(-2)} master br${letter} up; ip -n ${host.name} link set ${device} up
      ip netns exec ${host.name} nft -f - <<'N'
add table netdev guard
add chain netdev guard ${device} { type filter hook ingress device ${device} priority -500; policy drop; }
N`)
    const bridge = ['set', 'bridge', `br-${letter}`, 'datapath_type=netdev']
    await host.ovs.vsctl('add-br', `br-${letter}`, '--', ...bridge, '--', 'add-port', `br-${letter}`, device)
  }

  test('three segments are carried at once, each by its own way out', async () => {
    for (const n of [1, 2, 3]) {
      assert.ok(await eventually(() => vm(n).ping(addressOf(n + 3))), `${n} reaches ${n + 3}`)
      assert.ok(await vm(n).ping(`fd00::${n + 3}`))
    }
  })

  test('ports on different segments do not reach each other, not on one host and not on two', async () => {
    await Promise.all(
      [1, 2, 3].flatMap((from) =>
        [1, 2, 3, 4, 5, 6]
          .filter((to) => segmentOf(to) !== segmentOf(from))
          .map(async (to) => assert.ok(!(await vm(from).ping(addressOf(to))), `${from} reaches ${to}`)),
      ),
    )
  })

  test('joined outside, two segments are one, for ports of one host, too', async () => {
    await sh(`ip -n ${hub} link add ja type veth peer name jb
      ip -n ${hub} link set ja master bra up; ip -n ${hub} link set jb master brb up`)
    for (const n of [2, 3, 5, 6]) await vm(n).sh('ip neigh flush dev eth0')
    for (const [from, to] of [
      [2, 3],
      [2, 6],
      [3, 5],
    ] as const)
      assert.ok(await eventually(() => vm(from).ping(addressOf(to))), `${from} reaches ${to}`)
    assert.ok(!(await vm(1).ping(addressOf(2))), 'the third is still apart')
    await sh(`ip -n ${hub} link del ja`)
  })

  test('a port on a segment that its host does not reach says so, and nothing carries it', async () => {
    const lost = { ...port(3), segment_ids: ['vc'], generation: 7 }
    const more = [...SEGMENTS, vlan('vc', 'physc', 103)]
    const [side] = sides
    assert.ok(side)
    await apply(0, side.world.put('network', network('n1', 11, { segments: more })), side.world.put('port', lost))
    const state = stateOf(0, 3)
    assert.equal(state?.state, 'error')
    assert.equal(
      state?.message,
      'this host does not reach segment vc of network n1 (vlan 103 on physc), which ports here are bound on',
    )
    assert.ok(!(await vm(3).ping(addressOf(6))))
    assert.ok(await vm(2).ping(addressOf(5)), 'the others are as they were')
    await apply(0, side.world.put('port', { ...port(3), generation: 8 }))
    assert.equal(stateOf(0, 3)?.state, 'done')
    assert.ok(await eventually(() => vm(3).ping(addressOf(6))))
  })
})
