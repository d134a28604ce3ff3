/** What owns the ports of routers and floating IPs, as `device_owner` says it: names that clients look for. */

export const GATEWAY_OWNER = 'network:router_gateway'
export const FLOATING_IP_OWNER = 'network:floatingip'

const CENTRAL = 'network:router_interface'
const DISTRIBUTED = 'network:router_interface_distributed'
const REPLICATED = 'network:ha_router_replicated_interface'
export const INTERFACE_OWNERS = [CENTRAL, DISTRIBUTED, REPLICATED] as const

/** Ports that go with their router or floating IP, and not by a request for the port. */
export const SERVICE_OWNERS: readonly string[] = [CENTRAL, REPLICATED, GATEWAY_OWNER, FLOATING_IP_OWNER, DISTRIBUTED]

export const isInterfaceOwner = (owner: unknown): boolean => (INTERFACE_OWNERS as readonly unknown[]).includes(owner)

/** The owner of a router's interfaces follows from how the router is realized. */
export const interfaceOwnerOf = ({ distributed, ha }: { distributed?: unknown; ha?: unknown }): string =>
  distributed === true ? DISTRIBUTED : ha === true ? REPLICATED : CENTRAL
