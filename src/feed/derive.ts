/**
 * From rows to wire objects: pure, and shared by the incremental replica and the recompute oracle.
 *
 * A port counts as bound when it has a host and its binding did not fail. A network's DHCP port is distributed: it is
 * part of the network object, on no host and nobody's neighbour.
 */
import { protocolNumber } from '#resources/security-group-protocols.ts'
import type {
  DeviceObject,
  DhcpClientObject,
  DhcpOptionObject,
  GroupMemberObject,
  NeighborObject,
  NetworkObject,
  PortObject,
  RouterGatewayObject,
  RouterObject,
  SecurityGroupObject,
} from '#wire/objects.ts'

export interface PortRow {
  readonly id: string
  readonly network_id: string
  readonly generation: number
  readonly mac_address: string
  readonly admin_state_up: boolean
  readonly status: string
  readonly device_owner: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
  readonly security_group_ids: readonly string[]
  readonly port_security_enabled: boolean
  readonly allowed_address_pairs: readonly { readonly ip_address: string; readonly mac_address?: string }[]
  readonly dns_name: string
  readonly extra_dhcp_opts: readonly DhcpOptionObject[]
  /** Empty when unbound. */
  readonly binding_host: string
  readonly binding_vif_type: string
  readonly binding_vnic_type: string
  /** Of bindings to devices; null for all others. */
  readonly binding_device: {
    readonly pci_slot: string | null
    readonly source: string | null
    readonly vlan: string | null
    readonly follows_uplink: boolean
  } | null
  /** By level, the outermost first. */
  readonly binding_segment_ids: readonly string[]
  /** Where it is expected, or which it has just left. */
  readonly expected_on: readonly ExpectedRow[]
}

/** A binding that is not active. */
export interface ExpectedRow {
  readonly host: string
  /** `unbound` where it has just left. */
  readonly vif_type: string
  readonly vnic_type: string
  readonly segment_ids: readonly string[]
  /** Of a binding to a device. */
  readonly device: PortRow['binding_device']
}

/** A segment that is wired, and the host that serves DHCP on it. */
export interface Wire {
  readonly segment_id: string
  readonly host: string
}

/** As queried: JSON of the network with its segments, subnets and DHCP port. */
export interface NetworkRow extends NetworkObject {
  /** Hosts that serve its DHCP whether ports of it live there or not. */
  readonly served_on: readonly string[]
  /** By segment of a physical network, of those the one that answers what comes in on the wire. */
  readonly wires: readonly Wire[]
  /** Of the DHCP port; null when there is none. */
  readonly dhcp_status: string | null
}

/** As queried: JSON of the router with its ports and hosts. */
export interface RouterRow extends Omit<RouterObject, 'gateway'> {
  readonly gateway: Omit<RouterGatewayObject, 'enable_snat'> | null
  readonly enable_snat: boolean
  /** Of all its ports. */
  readonly statuses: readonly string[]
}

export interface GroupRuleRow {
  readonly id: string
  readonly direction: 'ingress' | 'egress'
  readonly ethertype: 'IPv4' | 'IPv6'
  /** Name or number, as given to the API; null means any. */
  readonly protocol: string | null
  readonly port_range_min: number | null
  readonly port_range_max: number | null
  readonly remote_ip_prefix: string | null
  readonly remote_group_id: string | null
}
export interface GroupRow {
  readonly id: string
  readonly generation: number
  readonly stateful: boolean
  readonly rules: readonly GroupRuleRow[]
}

const DHCP_OWNER = 'network:dhcp'
export const isDhcpPort = (port: PortRow): boolean => port.device_owner === DHCP_OWNER

/** The host a port is realized on, or null. */
export const hostOf = (port: PortRow): string | null => {
  const failed = port.binding_vif_type === 'unbound' || port.binding_vif_type === 'binding_failed'
  return port.binding_host === '' || failed || isDhcpPort(port) ? null : port.binding_host
}

/** All hosts that are to have the port, the one it is on included. */
export const hostsOf = (row: PortRow): readonly string[] => {
  const host = hostOf(row)
  const expected = row.expected_on.map((one) => one.host)
  return host === null ? expected : [host, ...expected]
}

/** The port as its own host is to have it. */
export const portObject = (row: PortRow): PortObject => ({
  id: row.id,
  network_id: row.network_id,
  generation: row.generation,
  mac_address: row.mac_address,
  admin_state_up: row.admin_state_up,
  device_owner: row.device_owner,
  vnic_type: row.binding_vnic_type,
  fixed_ips: row.fixed_ips.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
  port_security_enabled: row.port_security_enabled,
  security_groups: [...row.security_group_ids].toSorted(),
  allowed_address_pairs: row.allowed_address_pairs.map(({ ip_address, mac_address }) => ({
    ip_address,
    mac_address: mac_address ?? row.mac_address,
  })),
  dns_name: row.dns_name,
  extra_dhcp_opts: row.extra_dhcp_opts.map(({ opt_name, opt_value, ip_version }) => ({
    opt_name,
    opt_value,
    ip_version,
  })),
  active: true,
  device: deviceObject(row),
  segment_ids: row.binding_segment_ids,
})

/** The port as a host is to have it that it may come to: its device there is to be there, and set up when it has come. */
export const expectedObject = (
  row: PortRow,
  { vif_type, vnic_type, segment_ids, device }: ExpectedRow,
): PortObject => ({
  ...portObject(row),
  active: false,
  vnic_type,
  device: deviceObject({
    binding_vif_type: vif_type === 'unbound' ? row.binding_vif_type : vif_type,
    binding_device: device,
  }),
  segment_ids,
})

/** By the type of binding. */
const DEVICES: Readonly<Record<string, DeviceObject['kind']>> = {
  hw_veb: 'vf',
  hostdev_physical: 'card',
  macvtap: 'macvtap',
}

function deviceObject({
  binding_vif_type,
  binding_device,
}: Pick<PortRow, 'binding_vif_type' | 'binding_device'>): DeviceObject | null {
  const kind = DEVICES[binding_vif_type]
  if (!kind) return null
  const { pci_slot = null, source = null, vlan = null, follows_uplink = false } = binding_device ?? {}
  return { kind, pci_slot, source, vlan: Number(vlan ?? 0), follows_uplink }
}

export const neighborObject = (row: PortRow, host: string): NeighborObject => ({
  id: row.id,
  network_id: row.network_id,
  mac_address: row.mac_address,
  ip_addresses: row.fixed_ips.map(({ ip_address }) => ip_address),
  host,
  segment_ids: row.binding_segment_ids,
})

export const memberObject = (row: PortRow, group: string): GroupMemberObject => ({
  id: `${group}:${row.id}`,
  security_group_id: group,
  ip_addresses: [...new Set([...row.fixed_ips, ...row.allowed_address_pairs].map(({ ip_address }) => ip_address))],
})

/** What a host of ours plugs into its switch: it answers the DHCP of such ports itself. */
export const SWITCHED: readonly string[] = ['ovs', 'vhostuser', 'tap']
/** The network's own ports (its DHCP, routers, floating IPs) ask nobody. */
const OWN = 'network:'

/** The port as a client on the wire, if no switch of ours carries it: it is on a device, another system's, or nowhere. */
export function clientObject(row: PortRow, segment_ids: readonly string[]): DhcpClientObject | null {
  const switched = hostOf(row) !== null && SWITCHED.includes(row.binding_vif_type)
  if (switched || row.device_owner.startsWith(OWN) || row.fixed_ips.length === 0) return null
  const { id, network_id, mac_address, fixed_ips, dns_name, extra_dhcp_opts } = portObject(row)
  return { id, network_id, mac_address, fixed_ips, dns_name, extra_dhcp_opts, segment_ids }
}

/** The segments on whose wire `host` serves the port, where it is not known on which one it is: all that it has. */
export const servedOn = ({ binding_segment_ids: stands }: PortRow, wires: readonly Wire[], host: string): string[] =>
  wires.flatMap(({ segment_id, host: owner }) =>
    owner === host && (stands.length === 0 || stands.includes(segment_id)) ? [segment_id] : [],
  )

/** Who serves the network on wires; nobody while it has no DHCP. */
export const wiresOf = (row: NetworkRow | null): readonly Wire[] =>
  row?.dhcp && row.subnets.some(({ enable_dhcp }) => enable_dhcp) ? row.wires : []

export const networkObject = ({
  served_on: _hosts,
  wires: _wires,
  dhcp_status: _status,
  ...row
}: NetworkRow): NetworkObject => ({
  ...row,
  dhcp: row.subnets.some(({ enable_dhcp }) => enable_dhcp) ? row.dhcp : null,
})

export const routerObject = ({ enable_snat, statuses: _statuses, ...row }: RouterRow): RouterObject => ({
  ...row,
  gateway: row.gateway && { ...row.gateway, enable_snat },
})

export const groupObject = (row: GroupRow): SecurityGroupObject => ({
  ...row,
  rules: row.rules.map((rule) => ({ ...rule, protocol: wireProtocol(rule.protocol, rule.ethertype) })),
})

export const remotesOf = (group: SecurityGroupObject): ReadonlySet<string> =>
  new Set(group.rules.flatMap(({ remote_group_id }) => remote_group_id ?? []))

/** `ip` means any protocol; ICMP in a rule for IPv6 means ICMPv6, whichever way it is written, as in Neutron. */
export function wireProtocol(protocol: string | null, ethertype: 'IPv4' | 'IPv6'): number | null {
  if (protocol === null || protocol === 'any' || protocol === 'ip') return null
  const number = protocolNumber(protocol)
  if (number === null) throw new Error(`no number is known for IP protocol '${protocol}'`)
  return number === ICMP && ethertype === 'IPv6' ? ICMPV6 : number
}

const ICMP = 1
const ICMPV6 = 58
