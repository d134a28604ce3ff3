/** What has to be read: by change rows that made it dirty, or because a host needs it for the first time. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { ChangeRow } from './types.ts'

export interface Wants {
  /** Single ports, by id. */
  readonly ports: Set<string>
  /** Of these hosts: the ports bound there, the networks served and the routers placed there. */
  readonly hosts: Set<string>
  /** Of these networks: all ports bound anywhere, and the routers with an interface. */
  readonly boundTo: Set<string>
  /** All ports that are in these security groups. */
  readonly membersOf: Set<string>
  /** Of these networks: all ports that no switch carries. */
  readonly clientsOf: Set<string>
  readonly networks: Set<string>
  /** Networks that a host has to serve from now on, or not any more. */
  readonly served: Set<string>
  /** Hosts that reach other physical networks now: whose DHCP they are to serve is looked at again. */
  readonly remapped: Set<string>
  readonly routers: Set<string>
  readonly groups: Set<string>
  /** Address groups that changed: the security groups whose rules name them are to be read. */
  readonly addressGroups: Set<string>
  /** Hosts whose tunnel address is asked for. */
  readonly chassis: Set<string>
}

export const createWants = (): Wants => ({
  ports: new Set(),
  hosts: new Set(),
  boundTo: new Set(),
  membersOf: new Set(),
  clientsOf: new Set(),
  networks: new Set(),
  served: new Set(),
  remapped: new Set(),
  routers: new Set(),
  groups: new Set(),
  addressGroups: new Set(),
  chassis: new Set(),
})

/** Answers whether a port with this network, hosts and groups matters to anyone. */
export type PortFilter = (id: string, network: string, hosts: readonly string[], groups: readonly string[]) => boolean

const DHCP_OWNER = 'network:dhcp'

/** Adds what a change made dirty. Only attributes that never change, or both images, are believed. */
export function wantsOf(rows: readonly ChangeRow[], concerns: PortFilter): Wants {
  const wants = createWants()
  for (const { kind, id, before, after } of rows) {
    const images = [before, after].filter((image) => image !== null)
    const text = (name: string): string[] =>
      images.flatMap((image) => (typeof image[name] === 'string' ? [image[name]] : []))
    if (kind === 'port') {
      if (images.some((image) => portConcerns(id, image, concerns))) wants.ports.add(id)
      if (text('device_owner').includes(DHCP_OWNER)) addAll(wants.networks, text('network_id'))
    } else if (kind === 'network') wants.networks.add(id)
    else if (kind === 'subnet') addAll(wants.networks, text('network_id'))
    else if (kind === 'security_group') wants.groups.add(id)
    else if (kind === 'security_group_rule') addAll(wants.groups, text('security_group_id'))
    else if (kind === 'address_group') wants.addressGroups.add(id)
    else if (kind === 'router') wants.routers.add(id)
    else if (kind === 'router_binding') addAll(wants.routers, text('router_id'))
    else if (kind === 'dhcp_binding') addAll(wants.served, text('network_id'))
    else if (kind === 'agent') {
      addAll(wants.chassis, [...text('host'), ...images.flatMap(hostsBelow)])
      if (!isDeepStrictEqual(mappingsOf(before), mappingsOf(after))) addAll(wants.remapped, text('host'))
    }
  }
  return wants
}

const mappingsOf = (image: ChangeRow['after']): unknown =>
  (image?.['configurations'] as { readonly bridge_mappings?: unknown } | undefined)?.bridge_mappings ?? {}

/** The hosts that a ToR's agent names: their tunnels end there. */
function hostsBelow({ configurations }: Readonly<Record<string, unknown>>): string[] {
  const { ports } = (configurations ?? {}) as { readonly ports?: unknown }
  return typeof ports === 'object' && ports !== null ? Object.keys(ports) : []
}

/** An image that lacks what is looked for is taken to concern everyone. */
function portConcerns(id: string, image: Readonly<Record<string, unknown>>, concerns: PortFilter): boolean {
  const { network_id: network, 'binding:host_id': host, security_groups: groups } = image
  const expected = (image['binding:inactive_hosts'] ?? []) as readonly string[]
  if (typeof network !== 'string' || typeof host !== 'string' || !Array.isArray(groups)) return true
  return concerns(id, network, host === '' ? expected : [host, ...expected], groups as string[])
}

function addAll(set: Set<string>, values: readonly string[]): void {
  for (const value of values) set.add(value)
}
