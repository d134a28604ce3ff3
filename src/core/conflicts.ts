/** The constraint that had the last word, as the error a client understands. */
import { ApiError } from '#kernel/errors.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import type { Draft, Op } from '#model/define.ts'
import { overQuota } from '#store/quota.ts'

interface Violation {
  readonly code?: string
  readonly constraint?: string
  readonly detail?: string
  readonly table?: string
}

export interface Attempted {
  readonly op: Op
  readonly resource: ComposedResource
  readonly model: Model
  readonly object: Readonly<Draft>
  /** The client chose the MAC; a drawn one that is taken is drawn again. */
  readonly macGiven: boolean
}

/** Thrown to run the transaction again: another draw, or a look at what the other writer made. */
export class RunAgain extends Error {
  readonly code = '40001'
}

/** Undefined: not a conflict of ours. */
export function conflictOf(error: unknown, attempted: Attempted): Error | undefined {
  const { op, resource, model, object } = attempted
  const violation = error as Violation
  const { code, constraint = '', detail = '' } = violation
  const over = overQuota(error)
  if (over) return new ApiError('OverQuota', { overs: `['${over.resource}']` }, { reason: 'over_quota', ...over })
  const values = (/=\(([^)]*)\)/.exec(detail)?.[1] ?? '').split(', ')
  for (const { conflicts } of model.resources.values()) {
    const conflict = conflicts[constraint]
    if (conflict === 'again') return new RunAgain(`another writer came first: ${constraint}`)
    if (conflict) return conflict({ values, object })
  }
  if (code === '23505') return duplicate(constraint, values, attempted)
  if (code !== '23503') return undefined
  return op === 'delete' && resource.inUse ? resource.inUse(object) : dangling(model, violation, values)
}

function duplicate(constraint: string, values: readonly string[], { object, macGiven }: Attempted): Error | undefined {
  if (constraint === 'security_groups_one_default') return new RunAgain('the default group was made meanwhile')
  if (constraint !== 'ports_one_mac') return undefined
  return macGiven
    ? new ApiError('MacAddressInUse', { net_id: object['network_id'], mac: values[1] })
    : new RunAgain('the drawn MAC is taken')
}

/** A reference to something that went meanwhile: the column says to what. */
function dangling({ resources }: Model, { table, constraint }: Violation, [id]: readonly string[]): Error | undefined {
  if (table === 'ip_allocations' && constraint?.includes('subnet'))
    return new ApiError('SubnetNotFound', { subnet_id: id })
  if (table === 'port_security_groups') return new ApiError('SecurityGroupNotFound', { id })
  const child = [...resources.values()].find((one) => one.table === table)
  const referring = Object.entries(child?.references ?? {}).find(
    ([attribute]) => constraint === `${table}_${child?.attributes[attribute]?.column}_fkey`,
  )
  const notFound = referring && resources.get(referring[1].resource)?.notFound
  return notFound && new ApiError(notFound.type, { [notFound.param]: id })
}
