/**
 * Every version of every wire object: its shape, and the converters one version up and one down.
 *
 * To change an object: change its interface in `objects.ts`, add a rung to its ladder here with both converters, and
 * add the new fingerprint to `versions.fixture.json`. Old rungs never change: hosts that run an older build speak them.
 * An agent names the versions it reads; a server converts down, an agent up, so both hold current objects only.
 */
import type { NeighborObject, NetworkObject, PortObject, WireObject, WireType, WireTypes } from './objects.ts'
import { flag, list, nullable, oneOf, record, type Shape, text, type TypeOf, whole } from './shape.ts'

/** An object in some version; only the ladder knows which members it has. */
type Versioned = Readonly<Record<string, unknown>>

interface Rung {
  readonly shape: Shape<unknown>
  /** From the version below to this one. */
  readonly up: (older: never) => unknown
  /** From this version to the one below; what it cannot carry is lost. */
  readonly down: (newer: never) => unknown
}
interface Ladder {
  /** Version 1. */
  readonly first: Shape<unknown>
  /** Versions 2, 3, … in order. */
  readonly rungs: readonly Rung[]
}

const fixedIp = record({ subnet_id: text, ip_address: text })
const dhcpOption = record({ opt_name: text, opt_value: text, ip_version: oneOf(4, 6) })

const portMembers = {
  id: text,
  network_id: text,
  generation: whole,
  mac_address: text,
  admin_state_up: flag,
  device_owner: text,
  vnic_type: text,
  fixed_ips: list(fixedIp),
  port_security_enabled: flag,
  security_groups: list(text),
}
/** Address pairs were lines of `<mac> <ip>`; ports had no DNS name. */
const port1 = record({ ...portMembers, allowed_address_pairs: list(text) })
export type PortObjectV1 = TypeOf<typeof port1>
const port2Members = {
  ...portMembers,
  allowed_address_pairs: list(record({ ip_address: text, mac_address: text })),
  dns_name: text,
}
/** Ports had no DHCP options of their own. */
const port2 = record(port2Members)
export type PortObjectV2 = TypeOf<typeof port2>
const port3Members = {
  ...port2Members,
  extra_dhcp_opts: list(dhcpOption),
}
/** Ports were where they were: hosts did not hear of those that may come. */
const port3 = record(port3Members)
export type PortObjectV3 = TypeOf<typeof port3>
const port4Members = { ...port3Members, active: flag }
/** All ports were the switch's, and waited for their interface. */
const port4 = record(port4Members)
export type PortObjectV4 = TypeOf<typeof port4>
const port5Members = {
  ...port4Members,
  device: nullable(
    record({
      kind: oneOf('vf', 'card', 'macvtap'),
      pci_slot: nullable(text),
      source: nullable(text),
      vlan: whole,
      follows_uplink: flag,
    }),
  ),
}
/** Ports were on the first segment of their network that the host reached. */
const port5 = record(port5Members)
export type PortObjectV5 = TypeOf<typeof port5>
const port6 = record({ ...port5Members, segment_ids: list(text) })

const port2Up = (older: PortObjectV1): PortObjectV2 => ({
  ...older,
  allowed_address_pairs: older.allowed_address_pairs.map((line) => {
    const [mac_address = '', ip_address = ''] = line.split(' ')
    return { ip_address, mac_address }
  }),
  dns_name: '',
})

const port2Down = (newer: PortObjectV2): PortObjectV1 => {
  const { dns_name: _lost, allowed_address_pairs, ...rest } = newer
  const pairs = allowed_address_pairs.map(({ ip_address, mac_address }) => `${mac_address} ${ip_address}`)
  return { ...rest, allowed_address_pairs: pairs }
}

const port3Up = (older: PortObjectV2): PortObjectV3 => ({ ...older, extra_dhcp_opts: [] })
const port3Down = ({ extra_dhcp_opts: _lost, ...rest }: PortObjectV3): PortObjectV2 => rest

const port4Up = (older: PortObjectV3): PortObjectV4 => ({ ...older, active: true })
/** Only of active ones: see `travelsFrom`. */
const port4Down = ({ active: _lost, ...rest }: PortObjectV4): PortObjectV3 => rest

const port5Up = (older: PortObjectV4): PortObjectV5 => ({ ...older, device: null })
const port5Down = ({ device: _lost, ...rest }: PortObjectV5): PortObjectV4 => rest

const port6Up = (older: PortObjectV5): PortObject => ({ ...older, segment_ids: [] })
const port6Down = ({ segment_ids: _lost, ...rest }: PortObject): PortObjectV5 => rest

const networkMembers = {
  id: text,
  generation: whole,
  project_id: text,
  admin_state_up: flag,
  mtu: whole,
  segments: list(
    record({
      id: text,
      network_type: oneOf('flat', 'vlan', 'vxlan', 'geneve', 'gre', 'local'),
      physical_network: nullable(text),
      segmentation_id: nullable(whole),
    }),
  ),
  subnets: list(
    record({
      id: text,
      ip_version: oneOf(4, 6),
      cidr: text,
      gateway_ip: nullable(text),
      enable_dhcp: flag,
      ipv6_ra_mode: nullable(text),
      ipv6_address_mode: nullable(text),
      dns_nameservers: list(text),
      host_routes: list(record({ destination: text, nexthop: text })),
    }),
  ),
  dhcp: nullable(record({ port_id: text, mac_address: text, fixed_ips: list(fixedIp) })),
}
const network1 = record(networkMembers)
export type NetworkObjectV1 = TypeOf<typeof network1>
const network2 = record({ ...networkMembers, dns_domain: text })

/** What every network's DHCP handed out before networks said it. */
const DOMAIN_V1 = 'openstacklocal'
const network2Up = (older: NetworkObjectV1): NetworkObject => ({ ...older, dns_domain: DOMAIN_V1 })
const network2Down = ({ dns_domain: _lost, ...rest }: NetworkObject): NetworkObjectV1 => rest

const neighborMembers = { id: text, network_id: text, mac_address: text, ip_addresses: list(text), host: text }
const neighbor1 = record(neighborMembers)
export type NeighborObjectV1 = TypeOf<typeof neighbor1>
const neighbor2 = record({ ...neighborMembers, segment_ids: list(text) })
const neighbor2Up = (older: NeighborObjectV1): NeighborObject => ({ ...older, segment_ids: [] })
const neighbor2Down = ({ segment_ids: _lost, ...rest }: NeighborObject): NeighborObjectV1 => rest

const chassis1 = record({ id: text, tunnel_ip: nullable(text) })
const securityGroup1 = record({
  id: text,
  generation: whole,
  stateful: flag,
  rules: list(
    record({
      id: text,
      direction: oneOf('ingress', 'egress'),
      ethertype: oneOf('IPv4', 'IPv6'),
      protocol: nullable(whole),
      port_range_min: nullable(whole),
      port_range_max: nullable(whole),
      remote_ip_prefix: nullable(text),
      remote_group_id: nullable(text),
    }),
  ),
})
const groupMember1 = record({ id: text, security_group_id: text, ip_addresses: list(text) })
const routerPortMembers = {
  port_id: text,
  network_id: text,
  mac_address: text,
  admin_state_up: flag,
  fixed_ips: list(record({ subnet_id: text, ip_address: text, prefix_length: whole })),
}
const router1 = record({
  id: text,
  generation: whole,
  project_id: text,
  name: text,
  admin_state_up: flag,
  distributed: flag,
  interfaces: list(record(routerPortMembers)),
  gateway: nullable(record({ ...routerPortMembers, enable_snat: flag })),
  routes: list(record({ destination: text, nexthop: text })),
  hosts: list(text),
})

const dhcpClient1 = record({
  id: text,
  network_id: text,
  mac_address: text,
  fixed_ips: list(fixedIp),
  dns_name: text,
  extra_dhcp_opts: list(dhcpOption),
  segment_ids: list(text),
})

/** The compiler refuses this table when an interface in `objects.ts` and its newest shape differ. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? Shape<A> : never) : never
const newest: { readonly [T in WireType]: Shape<WireTypes[T]> } = {
  port: port6 satisfies Same<TypeOf<typeof port6>, PortObject>,
  network: network2 satisfies Same<TypeOf<typeof network2>, NetworkObject>,
  neighbor: neighbor2 satisfies Same<TypeOf<typeof neighbor2>, WireTypes['neighbor']>,
  chassis: chassis1 satisfies Same<TypeOf<typeof chassis1>, WireTypes['chassis']>,
  security_group: securityGroup1 satisfies Same<TypeOf<typeof securityGroup1>, WireTypes['security_group']>,
  group_member: groupMember1 satisfies Same<TypeOf<typeof groupMember1>, WireTypes['group_member']>,
  router: router1 satisfies Same<TypeOf<typeof router1>, WireTypes['router']>,
  dhcp_client: dhcpClient1 satisfies Same<TypeOf<typeof dhcpClient1>, WireTypes['dhcp_client']>,
}

const ladders: { readonly [T in WireType]: Ladder } = {
  port: {
    first: port1,
    rungs: [
      { shape: port2, up: port2Up, down: port2Down },
      { shape: port3, up: port3Up, down: port3Down },
      { shape: port4, up: port4Up, down: port4Down },
      { shape: port5, up: port5Up, down: port5Down },
      { shape: newest.port, up: port6Up, down: port6Down },
    ],
  },
  network: { first: network1, rungs: [{ shape: newest.network, up: network2Up, down: network2Down }] },
  neighbor: { first: neighbor1, rungs: [{ shape: newest.neighbor, up: neighbor2Up, down: neighbor2Down }] },
  chassis: { first: newest.chassis, rungs: [] },
  security_group: { first: newest.security_group, rungs: [] },
  group_member: { first: newest.group_member, rungs: [] },
  router: { first: newest.router, rungs: [] },
  dhcp_client: { first: newest.dhcp_client, rungs: [] },
}

export const wireTypes = Object.keys(ladders) as readonly WireType[]
export const isWireType = (name: string): name is WireType => Object.hasOwn(ladders, name)

/** The newest version of a type; the version of every object in a world. */
export const currentVersion = (type: WireType): number => ladders[type].rungs.length + 1

/** Undefined when this build does not know the version. */
export const shapeOf = (type: WireType, version: number): Shape<unknown> | undefined =>
  version === 1 ? ladders[type].first : ladders[type].rungs[version - 2]?.shape

/** The least version in which the object may travel: who reads an older one would take it for something else. */
export const travelsFrom = <T extends WireType>(type: T, object: WireTypes[T]): number =>
  type === 'port' && !(object as PortObject).active ? 4 : 1

/** From the newest version down to `version`, which this build must know. */
export const convertDown = (type: WireType, object: WireObject, version: number): Versioned =>
  ladders[type].rungs
    .slice(version - 1)
    .reduceRight<unknown>((newer, rung) => rung.down(newer as never), object) as Versioned

/** From `version`, whose shape `object` must have, up to the newest. */
export const convertUp = (type: WireType, object: unknown, version: number): WireObject =>
  ladders[type].rungs.slice(version - 1).reduce<unknown>((older, rung) => rung.up(older as never), object) as WireObject

/** Versions an agent of this build reads, per type: what its hello says. */
export type ReadableVersions = Readonly<Record<WireType, readonly number[]>>
export const readableVersions = (): ReadableVersions =>
  Object.fromEntries(
    wireTypes.map((type) => [type, Array.from({ length: currentVersion(type) }, (_, index) => index + 1)]),
  ) as unknown as ReadableVersions

/** The version each type travels in on one connection. A type that is absent does not travel. */
export type SpokenVersions = Readonly<Partial<Record<WireType, number>>>
export type Negotiation =
  | { readonly ok: true; readonly versions: SpokenVersions }
  | { readonly ok: false; readonly message: string }

/**
 * The highest version both sides know, per type. A type the agent does not name is left out (a build from before the
 * type existed); a type it names without a version we know ends the negotiation. Types we do not know are ignored.
 */
export function negotiate(theirs: Readonly<Partial<Record<string, readonly number[]>>>): Negotiation {
  const versions: Partial<Record<WireType, number>> = {}
  for (const type of wireTypes) {
    const offered = theirs[type]
    if (!offered) continue
    const common = offered.filter((version) => Number.isInteger(version) && version >= 1 && shapeOf(type, version))
    if (common.length === 0) {
      const said = offered.length === 0 ? 'none' : offered.join(', ')
      const message = `no common version of wire type ${type}: the agent reads ${said}, this server sends 1 to ${currentVersion(type)}; upgrade the older of the two`
      return { ok: false, message }
    }
    versions[type] = Math.max(...common)
  }
  if (!versions.port)
    return { ok: false, message: 'the agent names no version of wire type port that this server knows' }
  return { ok: true, versions }
}
