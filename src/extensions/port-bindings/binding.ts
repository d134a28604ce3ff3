/**
 * What a binding is. The active one stands in the port's row, those that wait (for a live migration, say) are rows of
 * their own. Every write of one raises the port's revision, as in Neutron, and is a change of the port.
 */
import { ApiError } from '#kernel/errors.ts'
import type { BindingFailure, BindingLevel } from '#model/context.ts'
import {
  type Context,
  defineResource,
  dictionary,
  type Draft,
  flag,
  list,
  type Resource,
  type Row,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'
import { type Port, requestOf } from '#resources/port.ts'
import { explained, refusalsInWords } from '../binding/explain.ts'

const level = { schema: { type: 'object' }, parse: (value: unknown) => value as BindingLevel }

const attributes = {
  id: uuid(),
  port_id: uuid(),
  host: text(),
  vnic_type: text(),
  profile: dictionary(),
  vif_type: text(),
  vif_details: dictionary(),
  levels: list(level),
  proven: flag({}),
  expires_at: timestamp({ column: 'expires_at' }),
  revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at' }),
  updated_at: timestamp({ column: 'updated_at' }),
  /** Whose port it is, for those who read the change log. */
  device_id: text({ visible: false, sql: '(select p.device_id from ports p where p.id = t.port_id)' }),
  device_owner: text({ visible: false, sql: '(select p.device_owner from ports p where p.id = t.port_id)' }),
} as const
export type Waiting = Row<typeof attributes>

export const portBinding = defineResource({
  name: 'port_binding',
  plural: 'port_bindings',
  table: 'port_bindings',
  docs: 'A binding of a port that is not active.',
  notFound: { type: 'PortBindingNotFound', param: 'host' },
  operations: [],
  references: { port_id: { resource: 'port' } },
  bumps: ['port_id'],
  conflicts: {
    port_bindings_one_per_host: ({ values: [port_id, host] }) =>
      new ApiError('PortBindingAlreadyExists', { port_id, host }),
  },
  attributes,
}) as unknown as Resource

export const expiredBinding = defineResource({
  name: 'expired_port_binding',
  plural: 'expired_port_bindings',
  table: 'expired_port_bindings',
  docs: 'A binding that waits and whose lease is over.',
  notFound: { type: 'PortBindingNotFound', param: 'host' },
  operations: [],
  attributes: { id: uuid(), port_id: uuid(), expired: flag({}) },
}) as unknown as Resource

export interface Binding {
  readonly host: string
  readonly vnic_type: string
  readonly profile: Readonly<Record<string, unknown>>
  readonly vif_type: string
  readonly vif_details: Readonly<Record<string, unknown>>
}

/** As clients see it. */
export type Shown = Binding & { readonly status: 'ACTIVE' | 'INACTIVE' }

export const shown = (
  { host, vnic_type, profile, vif_type, vif_details }: Binding,
  status: Shown['status'],
): Shown => ({ host, vif_type, vnic_type, status, profile, vif_details })

/** The active binding; its host is empty while the port is bound nowhere. */
export const activeOf = (port: Readonly<Draft>): Binding => ({
  host: String(port['binding:host_id'] ?? ''),
  vnic_type: String(port['binding:vnic_type']),
  profile: (port['binding:profile'] ?? {}) as Binding['profile'],
  vif_type: String(port['binding:vif_type']),
  vif_details: (port['binding:vif_details'] ?? {}) as Binding['vif_details'],
})

export const waitingOf = async (context: Context, port_id: unknown): Promise<readonly Waiting[]> =>
  (await context.find('port_binding', { port_id: String(port_id) })) as unknown as readonly Waiting[]

/** Servers move; ports of others are where they are. */
export const isMovable = ({ device_owner }: Readonly<Draft>): boolean => /^(compute|manila):/.test(String(device_owner))

/** When a binding that is written now ends, unless it is written again. */
export const leaseOf = ({ now, limits }: Pick<Context, 'now' | 'limits'>): string =>
  new Date(Date.parse(now) + limits.bindingLease * 1000).toISOString()

/** Asks the mechanism drivers. @throws PortBindingError with what each of them answered */
export async function bind(
  context: Context,
  port: Readonly<Draft>,
  wanted: Pick<Binding, 'host' | 'vnic_type' | 'profile'>,
): Promise<Pick<Waiting, 'vif_type' | 'vif_details' | 'levels'>> {
  const { host, vnic_type, profile } = wanted
  const there = { ...port, 'binding:host_id': host, 'binding:vnic_type': vnic_type, 'binding:profile': profile }
  const result = await context.binding.bind(requestOf(there as unknown as Port))
  const { vif_type, vif_details, levels, failure } = result
  if (vif_type === 'binding_failed') throw refusedBinding(port, host, failure)
  return { vif_type, vif_details, levels }
}

/**
 * `failure`: what each driver answered. The client hears what to do about it as well: people in the detail, programs in
 * the facts.
 */
export function refusedBinding(port: Readonly<Draft>, host: string, failure: unknown): ApiError {
  const known = failure as BindingFailure | null
  const attempts = known ? explained(known.attempts, host, known.at) : []
  const facts = { reason: 'binding_failed', failure: known && { ...known, attempts } }
  return new ApiError('PortBindingError', { port_id: port['id'], host }, facts, refusalsInWords(attempts))
}

/** Ends a binding that waits, with what was made for it alone. */
export async function endWaiting(context: Context, { id, levels }: Pick<Waiting, 'id' | 'levels'>): Promise<void> {
  giveUp(context, levels)
  await context.remove(portBinding, id)
}

/** These levels are no binding's any more once the next write is done. */
export function giveUp(context: Context, levels: unknown): void {
  const held = (levels ?? []) as readonly BindingLevel[]
  if (held.length > 0) context.binding.release(held)
}
