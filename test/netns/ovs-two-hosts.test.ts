/** Packets between two hosts, each with a switch and a data plane of its own: tunnels, VLANs, what leaves and what not. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { NeighborObject, PortObject } from '#wire/objects.ts'
import { ovsMissing } from '../lib/ovs.ts'
import {
  createLab,
  createWorld,
  eventually,
  everythingOut,
  group,
  type Host,
  allow,
  network,
  open,
  pause,
  portNumber,
  sh,
  type Vm,
} from './ovs-lab.ts'

const neighborOf = (port: PortObject, host: string): NeighborObject => ({
  id: port.id,
  network_id: port.network_id,
  mac_address: port.mac_address,
  ip_addresses: port.fixed_ips.map(({ ip_address }) => ip_address),
  host,
  segment_ids: port.segment_ids,
})

describe('two hosts', { skip: ovsMissing() ?? false, timeout: 120_000 }, () => {
  const lab = createLab('ob')
  const here = { name: 'h1', underlay: '172.31.9.1' }
  const there = { name: 'h2', underlay: '172.31.9.2' }
  const sides: { host: Host; world: ReturnType<typeof createWorld> }[] = []
  let vms: Vm[]

  const vm = (n: number): Vm => vms[n - 1] as Vm
  const apply = async (side: number, ...changed: ReturnType<ReturnType<typeof createWorld>['keys']>): Promise<void> => {
    const { host, world } = sides[side] as (typeof sides)[number]
    const reports = await host.dataplane.reconcile(world.world, changed, true)
    host.reports.push(...reports)
    for (const it of reports) assert.notEqual(it.state, 'error', it.message ?? '')
  }
  const everywhere = async (change: (world: ReturnType<typeof createWorld>) => void): Promise<void> => {
    for (const [side, { world }] of sides.entries()) {
      change(world)
      await apply(side, ...world.keys())
    }
  }
  /** Port 1 and 3 here, 2 and 4 there, by pairs in a network. */
  const place = (world: ReturnType<typeof createWorld>, local: number[], remote: number[], peer: typeof here): void => {
    const netOf = (n: number): string => (n <= 2 ? 'n1' : 'n2')
    const port = (n: number): PortObject => portNumber(n, { network_id: netOf(n) })
    for (const n of local) world.put('port', port(n))
    for (const n of remote) world.put('neighbor', neighborOf(port(n), peer.name))
    world.put('chassis', { id: peer.name, tunnel_ip: peer.underlay })
    world.put('security_group', open)
    world.put('network', network('n1', 11))
    world.put('network', network('n2', 12))
  }

  before(async () => {
    const hosts = [
      await lab.host(here.name, { underlay: here.underlay, bridgeMappings: { physnet: 'br-ex' } }),
      await lab.host(there.name, { underlay: there.underlay, bridgeMappings: { physnet: 'br-ex' } }),
    ]
    await lab.join(hosts[0] as Host, here.underlay, hosts[1] as Host, there.underlay)
    for (const host of hosts) {
      await host.ovs.vsctl('add-br', 'br-ex', '--', 'set', 'bridge', 'br-ex', 'datapath_type=netdev')
      sides.push({ host, world: createWorld() })
    }
    await lab.wire(hosts[0] as Host, hosts[1] as Host, 'br-ex', 'eth1')
    place((sides[0] as (typeof sides)[number]).world, [1, 3], [2, 4], there)
    place((sides[1] as (typeof sides)[number]).world, [2, 4], [1, 3], here)
    await everywhere(() => undefined)
    vms = []
    for (const n of [1, 2, 3, 4]) vms.push(await lab.vm(hosts[n % 2 === 1 ? 0 : 1] as Host, portNumber(n)))
    for (const { host } of sides)
      assert.ok(
        await eventually(() => host.reports.filter((it) => it.kind === 'port' && it.state === 'done').length >= 2),
      )
    await vm(2).start('serve', '80')
  })
  after(() => lab.close())

  test('ports reach each other over VXLAN, by IPv4 and IPv6; the other network is apart', async () => {
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')), 'the first packet may wait for the underlay')
    assert.ok(await vm(1).ping('fd00::2'))
    assert.ok(await vm(1).ask('tcp', '10.0.0.2', 80))
    assert.ok(await eventually(() => vm(3).ping('10.0.0.4')))
    assert.ok(!(await vm(1).ping('10.0.0.4')))
  })

  test('groups are judged on both hosts, replies tracked on both', async () => {
    const closed = group('open', [...everythingOut, allow({ protocol: 6, port_range_min: 80, port_range_max: 80 })])
    await everywhere((world) => void world.put('security_group', closed))
    assert.ok(await vm(1).ask('tcp', '10.0.0.2', 80))
    assert.ok(!(await vm(1).ping('10.0.0.2')))
    assert.ok(!(await vm(2).ping('10.0.0.1')))
    await everywhere((world) => void world.put('security_group', open))
    assert.ok(await vm(2).ping('10.0.0.1'))
  })

  test('ARP for a known neighbour is answered here: nothing of it crosses the underlay', async () => {
    await vm(1).sh('ip neigh flush dev eth0')
    const before = await received(2)
    assert.ok(await vm(1).ping('10.0.0.2'))
    const seen = await received(2)
    assert.ok(seen.arp === before.arp, `${seen.arp - before.arp} ARP frames came`)
  })

  /** What the tunnel brought to a host, by its pipeline's counters. */
  const received = async (side: number): Promise<{ arp: number }> => {
    const { host } = sides[side - 1] as (typeof sides)[number]
    const flows = await host.ovs.ofctl('dump-flows', 'br-int', 'table=41')
    const arp = flows.split('\n').find((line) => /priority=100,arp /.test(line))
    return { arp: Number(/n_packets=(\d+)/.exec(arp ?? '')?.[1] ?? 0) }
  }

  test('agents restart and upgrade on both hosts under a stream without a lost packet', async (t) => {
    const underStream = async (disturb: () => Promise<void>): Promise<{ received: number; lost: number }> => {
      const receiver = await vm(2).start('receive', '9000')
      const sender = await vm(1).start('send', '10.0.0.2', '9000', '2500')
      await pause(400)
      await disturb()
      await sender.done()
      await pause(300)
      return JSON.parse(await receiver.stop())
    }
    const control = await underStream(async () => undefined)
    if (control.received < 2500) return t.skip(`the control run lost ${2500 - control.received}: too busy to tell`)
    for (const more of [{}, { pipelineVersion: 99 }]) {
      const result = await underStream(async () => {
        for (const [side, { host, world }] of sides.entries()) {
          await host.restart(more)
          await apply(side, ...world.keys())
        }
      })
      assert.deepEqual([result.received, result.lost], [2500, 0], JSON.stringify(more))
    }
  })

  test('a frame floods only to hosts that have ports of its network', async () => {
    const [side] = sides
    assert.ok(side)
    await apply(0, side.world.drop('neighbor', portNumber(4).id))
    const flood = await side.host.ovs.ofctl('dump-flows', 'br-int', 'table=35')
    assert.equal(flood.split('\n').filter((line) => line.includes('tun_dst')).length, 1)
    await apply(0, side.world.put('neighbor', neighborOf(portNumber(4, { network_id: 'n2' }), there.name)))
    const again = await side.host.ovs.ofctl('dump-flows', 'br-int', 'table=35')
    assert.equal(again.split('\n').filter((line) => line.includes('tun_dst')).length, 2)
  })

  test('a VLAN network leaves by the provider bridge, tagged, and comes back', async () => {
    const vlan = network('n1', 11, {
      segments: [{ id: 's', network_type: 'vlan', physical_network: 'physnet', segmentation_id: 100 }],
    })
    await everywhere((world) => void world.put('network', vlan))
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')))
    assert.ok(await vm(1).ping('fd00::2'))
    const flows = await sides[0]?.host.ovs.ofctl('dump-flows', 'br-int', 'table=36')
    assert.match(flows ?? '', /set_field:4196->vlan_vid/)
    await everywhere(
      (world) =>
        void world.put('network', {
          ...vlan,
          segments: [{ id: 's', network_type: 'flat', physical_network: 'physnet', segmentation_id: null }],
        }),
    )
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')), 'and a flat one without a tag')
  })

  test('a port that was expected is announced on the provider network when it has come', async () => {
    const [here, there] = sides
    assert.ok(here && there)
    const coming = portNumber(5, { active: false })
    const guest = await lab.vm(here.host, coming)
    await apply(0, here.world.put('port', coming))
    assert.ok(await eventually(() => here.host.stateOf(coming.id)?.state === 'done'))
    const heard = sh(
      `timeout 10 ip netns exec ${there.host.name} tcpdump -nel -c 3 -i eth1 'ether src ${coming.mac_address} and
        (ether proto 0x8035 or (arp[6:2] = 1 and arp[14:4] = arp[24:4]) or (icmp6 and ip6[40] = 136))' 2>/dev/null`,
    )
    await pause(500)
    await apply(0, here.world.put('port', { ...coming, active: true }))
    const lines = (await heard).trim().split('\n')
    assert.equal(lines.length, 3)
    assert.match(lines[0] ?? '', /Reverse Request/i)
    assert.match(lines[1] ?? '', /Request who-has 10\.0\.0\.5 tell 10\.0\.0\.5|Announcement 10\.0\.0\.5/)
    assert.match(lines[2] ?? '', /neighbor advertisement, tgt is fd00::5/)
    assert.ok(await guest.ping('10.0.0.2'))
    await apply(0, here.world.drop('port', coming.id))
  })

  test('Geneve carries the network as VXLAN does', async () => {
    const geneve = network('n1', 11, {
      segments: [{ id: 's', network_type: 'geneve', physical_network: null, segmentation_id: 77 }],
    })
    await everywhere((world) => void world.put('network', geneve))
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')))
  })

  test('a tunnel port that someone deletes comes back, and the repair is reported', async () => {
    const [side] = sides
    assert.ok(side)
    side.host.reports.length = 0
    await side.host.ovs.vsctl('del-port', 'br-int', 'dt-geneve')
    assert.ok(await eventually(() => side.host.reports.some((it) => it.repaired && it.kind === 'network')))
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')))
  })
})
