/** Worlds for tests: arbitrary ones, small enough that their objects meet, and builders for single objects. */
import fc from 'fast-check'
import {
  emptyWorld,
  keyOf,
  type PortObject,
  type SecurityGroupRuleObject,
  splitKey,
  type WireKey,
  type WireObject,
  type WireTypes,
  type World,
} from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'

export type MutableWorld = { [T in keyof WireTypes]: Map<string, WireTypes[T]> }
export const mutable = (world: World = emptyWorld()): MutableWorld => world as MutableWorld

const mac = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`
const few = (prefix: string, count: number) => fc.integer({ min: 1, max: count }).map((n) => `${prefix}${n}`)

export const port = (id: string, more: Partial<PortObject> = {}): PortObject =>
  plainPort({
    id,
    fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.1' }],
    ...more,
  })

export const sgRule = (more: Partial<SecurityGroupRuleObject> = {}): SecurityGroupRuleObject => ({
  id: 'r',
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: null,
  port_range_min: null,
  port_range_max: null,
  remote_ip_prefix: null,
  remote_group_id: null,
  ...more,
})

const anyRule = fc
  .record({
    direction: fc.constantFrom('ingress' as const, 'egress' as const),
    ethertype: fc.constantFrom('IPv4' as const, 'IPv6' as const),
    protocol: fc.constantFrom(null, 1, 6, 17, 58, 132),
    ports: fc.option(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: 55 })), { nil: null }),
    remote: fc.option(few('g', 3), { nil: null }),
  })
  .map(({ ports, remote, ...it }) =>
    sgRule({
      ...it,
      port_range_min: it.protocol && ports ? ports[0] : null,
      port_range_max: it.protocol && ports ? ports[0] + ports[1] : null,
      remote_group_id: remote,
    }),
  )

const segments = [
  { id: 'a', network_type: 'vxlan' as const, physical_network: null, segmentation_id: 7 },
  { id: 'b', network_type: 'vlan' as const, physical_network: 'phys1', segmentation_id: 100 },
  { id: 'c', network_type: 'flat' as const, physical_network: 'phys2', segmentation_id: null },
]
/** What a binding may say, outermost first. */
const chain = fc.constantFrom([], ['a'], ['b'], ['c'], ['a', 'b'])

const objects = {
  port: fc
    .record({
      id: few('p', 4),
      network_id: few('n', 2),
      mac_address: fc.integer({ min: 1, max: 4 }).map(mac),
      admin_state_up: fc.boolean(),
      active: fc.boolean(),
      port_security_enabled: fc.boolean(),
      security_groups: fc.uniqueArray(few('g', 3), { maxLength: 2 }),
      allowed_address_pairs: fc.array(
        fc.record({
          ip_address: fc.constantFrom('10.0.0.9', '10.1.0.0/16', '2001:db8::9'),
          mac_address: fc.constantFrom(mac(1), mac(9)),
        }),
        { maxLength: 2 },
      ),
    })
    .chain((it) => chain.map((ids) => port(it.id, { ...it, segment_ids: ids.map((id) => it.network_id + id) }))),
  network: fc
    .record({ id: few('n', 2), up: fc.boolean(), segments: fc.subarray(segments), dhcp: fc.boolean() })
    .map(({ id, up, ...it }) => ({
      id,
      generation: 1,
      project_id: 'x',
      admin_state_up: up,
      mtu: 1450,
      segments: it.segments.map((segment) => ({ ...segment, id: id + segment.id })),
      subnets: [],
      dhcp: it.dhcp
        ? { port_id: `d${id}`, mac_address: mac(200), fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.2' }] }
        : null,
      dns_domain: 'openstacklocal',
    })),
  neighbor: fc
    .record({
      id: fc.constantFrom('p1', 'p5', 'p6', 'p7'),
      network_id: few('n', 2),
      mac_address: fc.integer({ min: 5, max: 7 }).map(mac),
      host: few('h', 3),
      chain,
    })
    .map(({ chain: ids, ...it }) => ({
      ...it,
      ip_addresses: ['10.0.0.77', '2001:db8::77'],
      segment_ids: ids.map((id) => it.network_id + id),
    })),
  chassis: fc.record({ id: few('h', 3), tunnel_ip: fc.constantFrom(null, '172.31.0.2', '172.31.0.3', 'fd00::3') }),
  security_group: fc
    .record({ id: few('g', 3), stateful: fc.boolean(), rules: fc.array(anyRule, { maxLength: 3 }) })
    .map((it) => ({ ...it, generation: 1 })),
  group_member: fc
    .record({ group: few('g', 3), port: few('p', 4), address: fc.constantFrom('10.0.0.1', '10.0.0.9', 'fd00::9') })
    .map((it) => ({
      id: `${it.group}:${it.port}`,
      security_group_id: it.group,
      ip_addresses: [it.address],
    })),
  dhcp_client: fc
    .record({
      id: fc.constantFrom('p1', 'p8', 'p9'),
      network_id: few('n', 2),
      mac_address: fc.constantFrom(mac(1), mac(8), mac(9)),
      segment_ids: fc.subarray(['a', 'b', 'c']),
    })
    .map((it) => ({ ...it, fixed_ips: [], dns_name: '', extra_dhcp_opts: [] })),
}

export type Edit = { readonly key: WireKey; readonly object: WireObject | null }

const editOf = <T extends keyof typeof objects>(type: T): fc.Arbitrary<Edit> =>
  fc
    .tuple(objects[type] as fc.Arbitrary<WireObject>, fc.integer({ min: 0, max: 3 }))
    .map(([object, chance]) => ({ key: keyOf(type, object.id), object: chance === 0 ? null : object }))

/** One object put or, one time in four, dropped. */
export const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  ...(['port', 'network', 'neighbor', 'chassis', 'security_group', 'group_member', 'dhcp_client'] as const).map(editOf),
)

export function edit(world: MutableWorld, { key, object }: Edit): void {
  const { type, id } = splitKey(key)
  if (object) (world[type] as Map<string, WireObject>).set(id, object)
  else world[type].delete(id)
}

export const keysOf = (world: World): WireKey[] =>
  (Object.keys(world) as (keyof World)[]).flatMap((type) => [...world[type].keys()].map((id) => keyOf(type, id)))
