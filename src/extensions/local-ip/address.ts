/** Which of a port's addresses is meant. Pure. */
import { ApiError } from '#kernel/errors.ts'
import type { Draft } from '#model/define.ts'

export interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}

export const badRequest = (resource: string, msg: string): ApiError => new ApiError('BadRequest', { resource, msg })

/** The address asked for, or the port's only one. */
export function addressOf({ id, fixed_ips }: Readonly<Draft>, asked: string | null): FixedIp {
  const held = fixed_ips as readonly FixedIp[]
  const [only, second] = held
  if (!only) throw new ApiError('LocalIPNoIP', { port_id: id })
  if (asked !== null) {
    const found = held.find((one) => one.ip_address === asked)
    if (found) return found
    throw new ApiError('LocalIPRequestedIPNotFound', { port_id: id, ip: asked })
  }
  if (second) throw new ApiError('LocalIPNoRequestedIP', { port_id: id })
  return only
}
