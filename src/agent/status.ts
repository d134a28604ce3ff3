/**
 * What the agent says upwards: realizations, the newest per object, and heartbeats.
 *
 * Realizations are states, not events: repeating one changes nothing. So nothing is acknowledged; instead all known
 * ones are sent again on every new connection (the server before may have died with them), then only what changes.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Capabilities } from '#dataplane/port.ts'
import type { Report } from '#wire/messages.ts'
import { keyOf, splitKey, type WireKey, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'

export interface Reporter {
  /** Newest states; those equal to what was said last, but for the time, are not said again. */
  record(realizations: readonly Realization[]): void
  /** These objects are gone from the world; nobody asks for their state any more. */
  forget(keys: readonly WireKey[]): void
  /** A new connection stands: say everything. */
  resend(): void
  counts(): Readonly<Record<Realization['state'], number>>
  close(): void
}

/** Realizations in one report at most. */
const CHUNK = 1000

/** `send` answers false while there is no connection. The first report leaves in this turn, the next `batchMs` later. */
export function createReporter(send: (report: Report) => boolean, batchMs = 50): Reporter {
  const newest = new Map<WireKey, Realization>()
  const unsaid = new Set<WireKey>()
  let timer: NodeJS.Timeout | null = null
  let lastFlush = 0

  const flush = (): void => {
    timer = null
    lastFlush = Date.now()
    const keys = [...unsaid]
    for (let at = 0; at < keys.length; at += CHUNK) {
      const chunk = keys.slice(at, at + CHUNK)
      const realizations = chunk.flatMap((key) => newest.get(key) ?? [])
      if (!send({ type: 'report', realizations })) return
      for (const key of chunk) unsaid.delete(key)
    }
  }
  const schedule = (): void => {
    if (unsaid.size === 0 || timer) return
    timer = setTimeout(flush, Math.max(0, lastFlush + batchMs - Date.now()))
  }

  return {
    record: (realizations) => {
      for (const realization of realizations) {
        const key = keyOf(realization.kind, realization.id)
        const last = newest.get(key)
        newest.set(key, realization)
        if (!last || !isDeepStrictEqual({ ...last, at: realization.at }, realization)) unsaid.add(key)
      }
      schedule()
    },
    forget: (keys) => {
      for (const key of keys) {
        newest.delete(key)
        unsaid.delete(key)
      }
    },
    resend: () => {
      for (const key of newest.keys()) unsaid.add(key)
      schedule()
    },
    counts: () => {
      const counts = { pending: 0, done: 0, error: 0, unsupported: 0 }
      for (const { state } of newest.values()) counts[state]++
      return counts
    },
    close: () => {
      if (timer) clearTimeout(timer)
    },
  }
}

/** Objects that left the world, from changed keys. */
export const goneFrom = (world: World, keys: readonly WireKey[]): WireKey[] =>
  keys.filter((key) => {
    const { type, id } = splitKey(key)
    return !world[type].has(id)
  })

/** What `openstack network agent show` prints as `configurations`; Neutron's names where Neutron has one. */
export const configurationsOf = (facts: {
  readonly capabilities: Capabilities
  readonly services: Readonly<Record<string, unknown>>
  readonly host: string
  readonly agentVersion: string
  readonly availabilityZone: string
  readonly world: World
  readonly inSync: boolean
  readonly realized: Readonly<Record<Realization['state'], number>>
  readonly failing: number
}): Readonly<Record<string, unknown>> => ({
  bridge_mappings: facts.capabilities.bridge_mappings,
  tunnel_types: facts.capabilities.tunnel_types,
  tunneling_ip: facts.capabilities.tunneling_ip,
  datapath_type: facts.capabilities.datapath_type,
  integration_bridge: facts.capabilities.integration_bridge,
  ovs_hybrid_plug: false,
  vnic_types: facts.capabilities.vnic_types,
  devices: facts.world.port.size,
  arp_responder_enabled: true,
  l2_population: true,
  log_agent_heartbeats: false,
  datapath: facts.capabilities.datapath,
  agent_version: facts.agentVersion,
  networks: facts.world.network.size,
  in_sync: facts.inSync,
  realized: facts.realized,
  failing: facts.failing,
  availability_zone: facts.availabilityZone,
  services: { ...facts.services, ...servicesOf(facts.capabilities, facts.world, facts.host) },
})

/** The host's other jobs, each as the agent that clients know for it: what it is and how much it has. */
function servicesOf(
  { services: { dhcp, l3 } }: Capabilities,
  world: World,
  host: string,
): Readonly<Record<string, unknown>> {
  return {
    ...(dhcp && { dhcp: { ...dhcp, ...dhcpCounts(world) } }),
    ...(l3 && { l3: { ...l3, ...l3Counts(world, host) } }),
  }
}

/** Of the routers that are placed here. */
function l3Counts(world: World, host: string): Readonly<Record<string, unknown>> {
  const routers = [...world.router.values()].filter(({ hosts }) => hosts.includes(host))
  const gateways = routers.filter(({ gateway }) => gateway !== null).length
  const interfaces = routers.reduce((sum, router) => sum + router.interfaces.length, 0)
  const counts = { routers: routers.length, ex_gw_ports: gateways, interfaces }
  return { ...counts, handle_internal_only_routers: true, log_agent_heartbeats: false }
}

function dhcpCounts(world: World): Readonly<Record<string, unknown>> {
  const networks = [...world.network.values()].filter(({ dhcp }) => dhcp !== null)
  const served = new Set(networks.map(({ id }) => id))
  const ports = [...world.port.values()].filter(({ network_id }) => served.has(network_id))
  const subnets = networks.flatMap((network) => network.subnets.filter(({ enable_dhcp }) => enable_dhcp))
  const counts = { networks: networks.length, ports: ports.length, subnets: subnets.length }
  return { ...counts, dhcp_lease_duration: 86_400, log_agent_heartbeats: false }
}
