/**
 * What should stand on a simulated host, as a function of the world: the same rules a real data plane follows.
 *
 * A network stands where it has a port. A security group stands where a port is in it. A port stands open when it is
 * plugged and its network and all its security groups are known; until then it is closed, that is pending. A router
 * stands wherever it is told of.
 */
import { fingerprint } from '#kernel/fingerprint.ts'
import { keyOf, type NetworkObject, type PortObject, splitKey, type WireKey, type World } from '#wire/objects.ts'
import type { Standing } from './host.ts'

export type Wish =
  | { readonly wish: 'stand'; readonly standing: Standing; readonly generation: number }
  /** Wanted, but something it needs is not here: closed. */
  | { readonly wish: 'wait'; readonly missing: string; readonly generation: number }
  | { readonly wish: 'gone' }

const GONE: Wish = { wish: 'gone' }

/** Pure. Other objects than ports, networks, security groups and routers are never wanted by themselves. */
export function wishFor(world: World, plugged: (portId: string) => boolean, key: WireKey): Wish {
  const { type, id } = splitKey(key)
  if (type === 'port') return portWish(world, plugged, id)
  if (type === 'router') return routerWish(world, id)
  const object = type === 'network' ? world.network.get(id) : world.security_group.get(id)
  if (!object || (type !== 'network' && type !== 'security_group')) return GONE
  return { wish: 'stand', standing: { kind: type, id, content: fingerprint(object) }, generation: object.generation }
}

function portWish(world: World, plugged: (portId: string) => boolean, id: string): Wish {
  const port = world.port.get(id)
  if (!port) return GONE
  const network = world.network.get(port.network_id)
  const missing = missingFor(world, plugged, port, network)
  if (missing) return { wish: 'wait', missing, generation: port.generation }
  // The revision alone changes nothing on a host.
  const { generation, ...content } = port
  return {
    wish: 'stand',
    standing: { kind: 'port', id, content: fingerprint([content, network?.segments]) },
    generation,
  }
}

/** The revision alone changes nothing on a host. */
function routerWish(world: World, id: string): Wish {
  const router = world.router.get(id)
  if (!router) return GONE
  const { generation, ...content } = router
  return { wish: 'stand', standing: { kind: 'router', id, content: fingerprint(content) }, generation }
}

function missingFor(
  world: World,
  plugged: (portId: string) => boolean,
  port: PortObject,
  network: NetworkObject | undefined,
): string | null {
  if (!network) return `network ${port.network_id} is not known yet`
  const group = port.port_security_enabled && port.security_groups.find((id) => !world.security_group.has(id))
  if (group) return `security group ${group} is not known yet`
  if (!plugged(port.id)) return 'no interface is plugged'
  return null
}

/** The objects whose standing may change with `key`: itself, and ports that refer to it. */
export function touchedBy(world: World, key: WireKey): readonly WireKey[] {
  const { type, id } = splitKey(key)
  if (type === 'port' || type === 'router') return [key]
  if (type !== 'network' && type !== 'security_group') return []
  const refers = (port: PortObject): boolean =>
    type === 'network' ? port.network_id === id : port.security_groups.includes(id)
  return [key, ...[...world.port.values()].filter(refers).map((port) => keyOf('port', port.id))]
}
