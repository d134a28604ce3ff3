/**
 * The objects a server tells a host about: desired state, no status, no notion of Open vSwitch.
 *
 * Each type has a version; `versions.ts` holds the converters one version up and down, and a fingerprint test fails
 * when a shape changes without a new version. An object's key is `<type>/<id>`; keys are unique in one host's world.
 * References (by id) may point at objects that have not arrived yet: what needs them waits, closed, until in sync.
 */

/** A port bound to this host, version 6. */
export interface PortObject {
  readonly id: string
  readonly network_id: string
  /** The port's revision; realization reports name it. */
  readonly generation: number
  readonly mac_address: string
  readonly admin_state_up: boolean
  readonly device_owner: string
  readonly vnic_type: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
  readonly port_security_enabled: boolean
  /** Ids; empty with port security on means: nothing but DHCP, ARP and ND passes. */
  readonly security_groups: readonly string[]
  /** `ip_address` may be a prefix. */
  readonly allowed_address_pairs: readonly { readonly ip_address: string; readonly mac_address: string }[]
  /** Host name handed out by DHCP. */
  readonly dns_name: string
  /** What DHCP tells this port besides, or instead of, what it tells its subnets. */
  readonly extra_dhcp_opts: readonly DhcpOptionObject[]
  /**
   * False: it may come here (or has just left), and all that it needs is to stand, but the port is elsewhere. Frames
   * from other hosts are delivered, nobody here is told that it is here. Older versions know active ports only.
   */
  readonly active: boolean
  /** What carries the port instead of the switch; null: the switch does. */
  readonly device: DeviceObject | null
  /**
   * Segments of its network that its binding here stands on, the outermost first: the last is the one that carries it
   * on this host. Empty when nobody says: it has just left, or an older server tells.
   */
  readonly segment_ids: readonly string[]
}

/** A device that a virtual machine is given for a port: the switch has no part in it. */
export interface DeviceObject {
  /** A virtual function of a card, a whole card, or a macvtap device. */
  readonly kind: 'vf' | 'card' | 'macvtap'
  /** PCI address of the function or card; null for others, and where an older server only expects the port. */
  readonly pci_slot: string | null
  /** The interface that a macvtap device is above. */
  readonly source: string | null
  /** 0: untagged. */
  readonly vlan: number
  /** Its link is that of the card; else it has one whatever the card has. */
  readonly follows_uplink: boolean
}

/** As the API has it: the name may be a number, or begin with tags (`tag:ipxe,bootfile-name`); the value may be empty. */
export interface DhcpOptionObject {
  readonly opt_name: string
  readonly opt_value: string
  readonly ip_version: 4 | 6
}

/** A network with ports on this host, version 2. */
export interface NetworkObject {
  readonly id: string
  readonly generation: number
  readonly project_id: string
  readonly admin_state_up: boolean
  readonly mtu: number
  readonly segments: readonly SegmentObject[]
  readonly subnets: readonly SubnetObject[]
  /** The distributed DHCP server's port: same addresses on every host. Null when no subnet has DHCP. */
  readonly dhcp: DhcpPortObject | null
  /** The domain that DHCP hands out, without a dot at its end; empty: none. */
  readonly dns_domain: string
}

export interface SegmentObject {
  readonly id: string
  readonly network_type: 'flat' | 'vlan' | 'vxlan' | 'geneve' | 'gre' | 'local'
  readonly physical_network: string | null
  /** VLAN id or VNI. */
  readonly segmentation_id: number | null
}

export interface SubnetObject {
  readonly id: string
  readonly ip_version: 4 | 6
  readonly cidr: string
  readonly gateway_ip: string | null
  readonly enable_dhcp: boolean
  readonly ipv6_ra_mode: string | null
  readonly ipv6_address_mode: string | null
  readonly dns_nameservers: readonly string[]
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[]
}

export interface DhcpPortObject {
  readonly port_id: string
  readonly mac_address: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
}

/** Where one port of a network lives, for L2 lookup and ARP/ND answers on the other hosts; version 2. Id: the port's. */
export interface NeighborObject {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly ip_addresses: readonly string[]
  readonly host: string
  /** Of its binding there, the outermost first; empty when nobody says. */
  readonly segment_ids: readonly string[]
}

/** Another host that ports of our networks live on, or may come to, version 1. Id: the host's name. */
export interface ChassisObject {
  readonly id: string
  /** Tunnel endpoint (VTEP); null when the host has none. */
  readonly tunnel_ip: string | null
}

/** A security group that a port on this host is in, version 1. */
export interface SecurityGroupObject {
  readonly id: string
  readonly generation: number
  readonly stateful: boolean
  readonly rules: readonly SecurityGroupRuleObject[]
}

export interface SecurityGroupRuleObject {
  readonly id: string
  readonly direction: 'ingress' | 'egress'
  readonly ethertype: 'IPv4' | 'IPv6'
  /** IP protocol number; null means any. */
  readonly protocol: number | null
  /** TCP, UDP, SCTP, DCCP, UDP-Lite: ports. ICMP: type (min) and code (max). */
  readonly port_range_min: number | null
  readonly port_range_max: number | null
  readonly remote_ip_prefix: string | null
  readonly remote_group_id: string | null
}

/** The addresses one port brings to a security group that some rule here names as remote; version 1. Id: `<group>:<port>`. */
export interface GroupMemberObject {
  readonly id: string
  readonly security_group_id: string
  /** Fixed addresses and allowed address pairs; may be prefixes. */
  readonly ip_addresses: readonly string[]
}

/**
 * A port that no host's switch carries (a device has it, another system, or nobody yet) and whose DHCP this host serves,
 * on the wire of its network's segment; version 1. Id: the port's.
 */
export interface DhcpClientObject {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
  readonly dns_name: string
  readonly extra_dhcp_opts: readonly DhcpOptionObject[]
  /** Where it is served: of the segments it may be on those whose wire is this host's. */
  readonly segment_ids: readonly string[]
}

/**
 * A router that is placed on this host, or has an interface in a network of this host; version 1. Between ports of its
 * interfaces' networks each host routes by itself; what leads outside is on the router's hosts alone.
 */
export interface RouterObject {
  readonly id: string
  readonly generation: number
  readonly project_id: string
  readonly name: string
  readonly admin_state_up: boolean
  readonly distributed: boolean
  readonly interfaces: readonly RouterPortObject[]
  readonly gateway: RouterGatewayObject | null
  readonly routes: readonly { readonly destination: string; readonly nexthop: string }[]
  /** Hosts that have its outside, the first before the others. */
  readonly hosts: readonly string[]
}

export interface RouterPortObject {
  readonly port_id: string
  readonly network_id: string
  readonly mac_address: string
  readonly admin_state_up: boolean
  readonly fixed_ips: readonly {
    readonly subnet_id: string
    readonly ip_address: string
    readonly prefix_length: number
  }[]
}

export interface RouterGatewayObject extends RouterPortObject {
  /** What comes from inside leaves with the gateway's address. */
  readonly enable_snat: boolean
}

export interface WireTypes {
  readonly port: PortObject
  readonly network: NetworkObject
  readonly neighbor: NeighborObject
  readonly chassis: ChassisObject
  readonly security_group: SecurityGroupObject
  readonly group_member: GroupMemberObject
  readonly router: RouterObject
  readonly dhcp_client: DhcpClientObject
}
export type WireType = keyof WireTypes
export type WireKey = `${WireType}/${string}`
export type WireObject = WireTypes[WireType]

export const keyOf = (type: WireType, id: string): WireKey => `${type}/${id}`

export const splitKey = (key: WireKey): { readonly type: WireType; readonly id: string } => {
  const slash = key.indexOf('/')
  return { type: key.slice(0, slash) as WireType, id: key.slice(slash + 1) }
}

/** What an agent knows of the desired state: one table a type, by id. Tables and rows are frozen. */
export type World = { readonly [T in WireType]: ReadonlyMap<string, WireTypes[T]> }

export const emptyWorld = (): World => ({
  port: new Map(),
  network: new Map(),
  neighbor: new Map(),
  chassis: new Map(),
  security_group: new Map(),
  group_member: new Map(),
  router: new Map(),
  dhcp_client: new Map(),
})
