/**
 * Which changes Nova hears of, and how: its API os-server-external-events. Pure.
 *
 * A VIF is plugged when the port's status turns ACTIVE, which hosts cause by proving its flows; the transitions are
 * those of Neutron's notifier. What Nova keeps of a port in its own cache makes it look again: `network-changed`.
 */
import { isDeepStrictEqual } from 'node:util'
import { isUuid } from '#kernel/ids.ts'
import type { ChangeRow } from '#store/change-reader.ts'
import type { OutboxEvent } from './event.ts'

export interface NovaWishes {
  /** Plugged and unplugged. */
  readonly status: boolean
  /** Changed and deleted. */
  readonly data: boolean
}

type Image = Readonly<Record<string, unknown>>

/** The part of a port that says whose it is, by port id: of those floating IPs point to. */
export type Ports = ReadonlyMap<string, Image>

/** What Nova keeps in its cache of a server's network. */
const CACHED = [
  'fixed_ips',
  'mac_address',
  'dns_name',
  'binding:vnic_type',
  'binding:vif_type',
  'binding:vif_details',
  'binding:profile',
]

/** The port of a server that Nova knows. */
export const isServerPort = (port: Image): boolean =>
  isUuid(String(port['device_id'])) && String(port['device_owner']).startsWith('compute:')

/** Everything Nova must hear of one change, in order. */
export function novaEvents(row: ChangeRow, ports: Ports, wishes: NovaWishes): OutboxEvent[] {
  if (row.kind === 'floatingip') return wishes.data ? floatingIpEvents(row, ports) : []
  if (row.kind === 'port_binding') return wishes.status ? preparedEvents(row) : []
  return row.kind === 'port' ? portEvents(row, wishes) : []
}

/** Before a server moves, Nova waits to hear that its target is ready for it. */
function preparedEvents({ before, after }: ChangeRow): OutboxEvent[] {
  if (after?.['proven'] !== true || before?.['proven'] === true || !isServerPort(after)) return []
  return [event({ ...after, id: after['port_id'] }, 'network-vif-plugged', 'completed')]
}

function portEvents({ before, after }: ChangeRow, wishes: NovaWishes): OutboxEvent[] {
  if (after === null) return before && wishes.data && isServerPort(before) ? [event(before, 'network-vif-deleted')] : []
  if (!isServerPort(after)) return []
  const turned = wishes.status ? statusEvent(before, after) : null
  const changed = wishes.data && before !== null && CACHED.some((name) => !isDeepStrictEqual(before[name], after[name]))
  return [...(changed ? [event(after, 'network-changed')] : []), ...(turned ? [turned] : [])]
}

/** DOWN or BUILD (or nothing) to ACTIVE or ERROR; ACTIVE to DOWN. */
function statusEvent(before: Image | null, after: Image): OutboxEvent | null {
  const [from, to] = [before?.['status'] ?? null, after['status']]
  if (from === 'ACTIVE' && to === 'DOWN') return event(after, 'network-vif-unplugged', 'completed')
  if (from !== null && from !== 'DOWN' && from !== 'BUILD') return null
  if (to === 'ACTIVE') return event(after, 'network-vif-plugged', 'completed')
  return to === 'ERROR' ? event(after, 'network-vif-plugged', 'failed') : null
}

/** The ports of a floating IP before and after; each once. */
export const portsOfFloatingIp = ({ before, after }: ChangeRow): string[] => [
  ...new Set([before?.['port_id'], after?.['port_id']].filter((id) => typeof id === 'string')),
]

function floatingIpEvents(row: ChangeRow, ports: Ports): OutboxEvent[] {
  const seen = (image: Image | null): unknown => image && [image['port_id'], image['fixed_ip_address']]
  if (isDeepStrictEqual(seen(row.before), seen(row.after))) return []
  return portsOfFloatingIp(row).flatMap((id) => {
    const port = ports.get(id)
    return port && isServerPort(port) ? [event(port, 'network-changed')] : []
  })
}

const event = (port: Image, name: string, status?: 'completed' | 'failed'): OutboxEvent => ({
  destination: 'nova',
  subject: String(port['id']),
  name,
  body: { name, server_uuid: port['device_id'], tag: port['id'], ...(status && { status }) },
})
