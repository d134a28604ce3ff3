/** The constraint that had the last word, as the error a client understands. */
import { ApiError } from '#kernel/errors.ts'
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
  readonly resource: string
  readonly quota: string | null
  readonly object: Readonly<Draft>
  /** The client chose the MAC; a drawn one that is taken is drawn again. */
  readonly macGiven: boolean
}

/** Thrown to run the transaction again: another draw, or a look at what the other writer made. */
export class RunAgain extends Error {
  readonly code = '40001'
}

/** Undefined: not a conflict of ours. */
export function conflictOf(error: unknown, { op, resource, quota, object, macGiven }: Attempted): Error | undefined {
  const { code, constraint = '', detail = '' } = error as Violation
  const over = overQuota(error)
  if (over)
    return new ApiError('OverQuota', { overs: `['${quota}']` }, { reason: 'over_quota', resource: quota, ...over })
  const value = /=\(([^)]*)\)/.exec(detail)?.[1] ?? ''
  if (code === '23505') return duplicate(constraint, value, object, macGiven)
  if (code === '23P01' && constraint === 'subnets_no_overlap') {
    const sentence = `Requested subnet with cidr: ${object['cidr']} for network: ${object['network_id']} overlaps with another subnet`
    return new ApiError('InvalidInput', { error_message: sentence }, { reason: 'cidr_overlap' })
  }
  return code === '23503' ? dangling(op, resource, constraint, value, object) : undefined
}

function duplicate(constraint: string, value: string, object: Readonly<Draft>, macGiven: boolean): Error | undefined {
  const parts = value.split(', ')
  if (constraint === 'ip_allocations_pkey')
    return new ApiError('IpAddressAlreadyAllocated', { ip: parts[1], subnet_id: parts[0] })
  if (constraint === 'security_groups_one_default') return new RunAgain('the default group was made meanwhile')
  if (constraint !== 'ports_one_mac') return undefined
  return macGiven
    ? new ApiError('MacAddressInUse', { net_id: object['network_id'], mac: parts[1] })
    : new RunAgain('the drawn MAC is taken')
}

/** A reference to something that went, or something going that is referred to. */
function dangling(
  op: Op,
  resource: string,
  constraint: string,
  value: string,
  object: Readonly<Draft>,
): Error | undefined {
  const id = object['id']
  if (op === 'delete') {
    if (resource === 'network') return new ApiError('NetworkInUse', { net_id: id, ports: '' }, { reason: 'in_use' })
    if (resource === 'subnet')
      return new ApiError('SubnetInUse', {
        subnet_id: id,
        reason: 'One or more ports have an IP allocation from this subnet.',
      })
    if (resource === 'security_group') return new ApiError('SecurityGroupInUse', { id, reason: 'in use' })
  }
  if (constraint.endsWith('_network_id_fkey')) return new ApiError('NetworkNotFound', { net_id: value })
  if (/security_group_id_fkey$|remote_group_id_fkey$/.test(constraint))
    return new ApiError('SecurityGroupNotFound', { id: value })
  if (constraint === 'ip_allocations_subnet_id_fkey') return new ApiError('SubnetNotFound', { subnet_id: value })
  return undefined
}
