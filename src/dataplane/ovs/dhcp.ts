/** DHCP servers of this host, composed with the flows: a network is realized when its server answers too. */
import type { World } from '#wire/objects.ts'
import type { DhcpServers } from './port.ts'

/** A host that runs no DHCP server says so of every network that wants one. */
export function noDhcp(): DhcpServers {
  let wanted = new Set<string>()
  return {
    reconcile: async (world: World) => {
      wanted = new Set([...world.network.values()].flatMap(({ id, dhcp }) => (dhcp ? [id] : [])))
    },
    problemOf: (network) => (wanted.has(network) ? 'no DHCP server runs on this host' : null),
    close: async () => undefined,
  }
}
