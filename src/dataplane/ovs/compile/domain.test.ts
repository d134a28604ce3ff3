/**
 * Which segment carries a port: whatever a network's segments are, whichever of them the host reaches and its ports
 * are bound on, a frame enters and leaves by the segment of its port's binding and by no other.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NeighborObject, NetworkObject, PortObject, SegmentObject } from '#wire/objects.ts'
import { BASE, createDesired } from '../desired.ts'
import { openNumbers } from '../numbers.ts'
import { TABLE } from '../pipeline.ts'
import { createRelations } from '../relations.ts'
import { realizationOf } from '../status.ts'
import { emptyLocalView, type LocalView, recordingView } from '../view.ts'
import { edit, keysOf, mutable, port } from '../worlds.testlib.ts'

const vxlan: SegmentObject = { id: 'vx', network_type: 'vxlan', physical_network: null, segmentation_id: 7 }
const vlan = (id: string, physical_network: string, segmentation_id: number): SegmentObject => ({
  id,
  network_type: 'vlan',
  physical_network,
  segmentation_id,
})
const SEGMENTS = [vxlan, vlan('v1', 'phys1', 101), vlan('v2', 'phys2', 102), vlan('v3', 'phys1', 103)] as const
const CARRIERS: Readonly<Record<string, string>> = {
  vx: 'set_field:0x7->tun_id,output:30',
  v1: 'push_vlan:0x8100,set_field:4197->vlan_vid,output:41',
  v2: 'push_vlan:0x8100,set_field:4198->vlan_vid,output:42',
  v3: 'push_vlan:0x8100,set_field:4199->vlan_vid,output:41',
}

const network = (segments: readonly SegmentObject[]): NetworkObject => ({
  id: 'n1',
  generation: 1,
  project_id: 'x',
  admin_state_up: true,
  mtu: 1450,
  segments,
  subnets: [],
  dhcp: { port_id: 'd', mac_address: '02:00:00:00:00:c8', fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.2' }] },
  dns_domain: '',
})

const numbered = (n: number, segment_ids: readonly string[]): PortObject =>
  port(`p${n}`, {
    mac_address: `02:00:00:00:00:0${n}`,
    fixed_ips: [{ subnet_id: 's', ip_address: `10.0.0.1${n}` }],
    segment_ids,
  })

const far = (n: number, segment_ids: readonly string[]): NeighborObject => ({
  id: `f${n}`,
  network_id: 'n1',
  mac_address: `02:00:00:00:01:0${n}`,
  ip_addresses: [`10.0.0.2${n}`],
  host: `h${n}`,
  segment_ids,
})

interface Scene {
  readonly segments: readonly SegmentObject[]
  /** By port 1, 2, …: what their bindings say. */
  readonly here: readonly (readonly string[])[]
  readonly there: readonly (readonly string[])[]
  readonly tunnels: boolean
  readonly physnets: readonly string[]
}

function compiled({ segments, here, there, tunnels, physnets }: Scene) {
  const world = mutable()
  const put = (type: 'port' | 'network' | 'neighbor' | 'chassis', object: { readonly id: string }): void =>
    edit(world, { key: `${type}/${object.id}`, object: object as never })
  put('network', network(segments))
  for (const [i, ids] of here.entries()) put('port', numbered(i + 1, ids))
  for (const [i, ids] of there.entries()) {
    put('neighbor', far(i + 1, ids))
    put('chassis', { id: `h${i + 1}`, tunnel_ip: `172.31.0.${i + 1}` } as never)
  }
  const local: LocalView = {
    ...emptyLocalView(),
    ports: new Map(here.map((_, i) => [`p${i + 1}`, i + 1])),
    dhcp: new Map([['n1', 20]]),
    tunnels: new Map(tunnels ? [['vxlan', 30]] : []),
    patches: new Map(physnets.map((it) => [it, it === 'phys1' ? 41 : 42])),
  }
  const relations = createRelations('me')
  const facts = keysOf(world).flatMap((key) => relations.update(world, key))
  const numbers = openNumbers(null)
  const sources = { world, local, relations, numbers, self: 'me' }
  const desired = createDesired((f) => `${f.table} ${f.priority} ${f.match}`, 1)
  desired.change(sources, [BASE, ...facts])
  const flows = [...desired.flows.values()]
  const find = (table: number, ...parts: string[]): (typeof flows)[number][] =>
    flows.filter((it) => it.table === table && parts.every((part) => it.match.split(',').includes(part)))
  const none = { flowProblem: () => null, dhcpProblem: () => null, dhcpRemark: () => null }
  const stateOf = (key: `port/${string}` | `network/${string}`) =>
    realizationOf(key, recordingView(sources, new Set()), none, new Date(0))
  /** The domain a port's frames are put in; undefined: it is closed. */
  const domainOf = (n: number): string | undefined =>
    /set_field:(0x[0-9a-f]+)->reg0/.exec(find(TABLE.admit, `in_port=${n}`)[0]?.actions ?? '')?.[1]
  return { find, domainOf, stateOf, keyOf: (n: number) => numbers.of('port', `p${n}`) }
}

const reaches = ({ tunnels, physnets }: Scene, id: string): boolean => {
  const { physical_network: physnet } = SEGMENTS.find((it) => it.id === id) as SegmentObject
  return physnet === null ? tunnels : physnets.includes(physnet)
}

const chain = fc.constantFrom(['vx'], ['v1'], ['v2'], ['v3'], ['vx', 'v1'], ['vx', 'v2'])
const scene: fc.Arbitrary<Scene> = fc.record({
  segments: fc.shuffledSubarray([...SEGMENTS], { minLength: 1 }),
  here: fc.array(chain, { minLength: 1, maxLength: 4 }),
  there: fc.array(chain, { maxLength: 4 }),
  tunnels: fc.boolean(),
  physnets: fc.subarray(['phys1', 'phys2']),
})

test('a port is carried by the segment its binding names, or not at all and says so', () => {
  fc.assert(
    fc.property(scene, (it) => {
      const { find, domainOf, stateOf } = compiled(it)
      for (const [i, ids] of it.here.entries()) {
        const [bottom, domain] = [ids.at(-1) as string, domainOf(i + 1)]
        const state = stateOf(`port/p${i + 1}`)
        if (!it.segments.some(({ id }) => id === bottom)) {
          assert.equal(domain, undefined)
          assert.equal(state?.message, `segment ${bottom} of network n1 is not known here yet`)
          continue
        }
        const out = find(TABLE.encapsulate, `reg0=${domain}`).map(({ actions }) => actions)
        assert.deepEqual(out, reaches(it, bottom) ? [CARRIERS[bottom]] : [])
        assert.equal(state?.state, reaches(it, bottom) ? 'done' : 'error')
        if (!reaches(it, bottom)) assert.match(state?.message ?? '', new RegExp(`does not reach segment ${bottom} `))
      }
    }),
  )
})

test('two ports of a host are in one domain when they stand on one segment, and only then', () => {
  fc.assert(
    fc.property(scene, (it) => {
      const { find, domainOf, keyOf } = compiled(it)
      for (const [i, mine] of it.here.entries())
        for (const [k, theirs] of it.here.entries()) {
          const [from, to] = [domainOf(i + 1), domainOf(k + 1)]
          if (from === undefined || to === undefined) continue
          const together = mine.at(-1) === theirs.at(-1)
          assert.equal(from === to, together)
          assert.equal(find(TABLE.localLookup, `reg0=${from}`, `dl_dst=02:00:00:00:00:0${k + 1}`).length > 0, together)
          assert.equal(find(TABLE.arpAnswer, `reg0=${from}`, `arp_tpa=10.0.0.1${k + 1}`).length > 0, together)
          const flooded = find(TABLE.floodPorts, `reg0=${from}`).some(({ actions }) =>
            actions.split(',').includes(`set_field:0x${keyOf(k + 1).toString(16)}->reg2`),
          )
          assert.equal(flooded, together)
        }
    }),
  )
})

test('what arrives by a segment is for the ports on it', () => {
  fc.assert(
    fc.property(scene, (it) => {
      const { find, domainOf } = compiled(it)
      for (const [i, ids] of it.here.entries()) {
        const segment = it.segments.find(({ id }) => id === ids.at(-1))
        if (!segment || !reaches(it, segment.id)) continue
        const match =
          segment.physical_network === null
            ? ['in_port=30', 'tun_id=0x7']
            : [`in_port=${segment.physical_network === 'phys1' ? 41 : 42}`, `dl_vlan=${segment.segmentation_id}`]
        const [entry, ...more] = find(TABLE.admit, ...match)
        assert.deepEqual(more, [])
        assert.ok(entry?.actions.includes(`set_field:${domainOf(i + 1)}->reg0`))
      }
    }),
  )
})

test('a tunnel leads to hosts whose bindings share a segment with those here', () => {
  fc.assert(
    fc.property(scene, (it) => {
      const { find, domainOf } = compiled(it)
      for (const [i, ids] of it.here.entries()) {
        const [bottom, domain] = [ids.at(-1) as string, domainOf(i + 1)]
        if (domain === undefined) continue
        const joined = new Set(it.here.filter((other) => other.at(-1) === bottom).flat())
        const flooded = find(TABLE.floodHosts, `reg0=${domain}`).flatMap(({ actions }) => actions)
        for (const [k, theirs] of it.there.entries()) {
          const near = theirs.some((id) => joined.has(id))
          const tunnel = bottom === 'vx' && reaches(it, 'vx')
          assert.equal(flooded.join().includes(`172.31.0.${k + 1}->`), near && tunnel)
          const found: boolean =
            find(TABLE.remoteLookup, `reg0=${domain}`, `dl_dst=02:00:00:00:01:0${k + 1}`).length > 0
          assert.equal(found, near || (bottom !== 'vx' && reaches(it, bottom)))
          const answered: boolean = find(TABLE.arpAnswer, `reg0=${domain}`, `arp_tpa=10.0.0.2${k + 1}`).length > 0
          assert.equal(answered, near, 'who is elsewhere must answer himself')
        }
      }
    }),
  )
})

test('without a word of a binding it is the first segment that the host reaches, as older servers meant', () => {
  const unsaid: Scene = { segments: [...SEGMENTS], here: [[], []], there: [[]], tunnels: false, physnets: ['phys2'] }
  const { find, domainOf, stateOf } = compiled(unsaid)
  assert.equal(domainOf(1), domainOf(2))
  assert.deepEqual(
    find(TABLE.encapsulate, `reg0=${domainOf(1)}`).map(({ actions }) => actions),
    [CARRIERS['v2']],
  )
  assert.equal(find(TABLE.arpAnswer, `reg0=${domainOf(1)}`, 'arp_tpa=10.0.0.21').length, 1)
  assert.equal(stateOf('port/p1')?.state, 'done')
  const nowhere = compiled({ ...unsaid, physnets: [] })
  assert.match(
    nowhere.stateOf('port/p1')?.message ?? '',
    /reaches no segment of network n1 \(vxlan 7, vlan 101 on phys1/,
  )
})
