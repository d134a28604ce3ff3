/** Which ports a forwarding has outside and inside, and which others are in its way. Pure. */
import type { ApiError } from '#kernel/errors.ts'
import { corresponds, formatPortRange, overlap, parsePortRange, type PortRange } from './port-range.ts'
import { badForwarding } from './way.ts'

export interface Ranges {
  readonly external: PortRange
  readonly internal: PortRange
}

interface Stored {
  readonly external_port_start: number
  readonly external_port_end: number
  readonly internal_port_start: number
  readonly internal_port_end: number
}

interface Ends {
  readonly id: string
  readonly floatingip_id: string
  readonly protocol: string
  readonly internal_port_id: string
  readonly internal_ip_address: string
}

/** A single port counts before a range; undefined: neither is given. */
export function chosenRange(port: number | null | undefined, range: string | null | undefined): PortRange | undefined {
  if (port) return { start: port, end: port }
  return range ? parsePortRange(range) : undefined
}

export function checkRanges({ external, internal }: Ranges): void {
  if (!corresponds(external, internal))
    throw badForwarding(
      'Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N',
    )
}

export const storedRanges = ({ external, internal }: Ranges): Stored => ({
  external_port_start: external.start,
  external_port_end: external.end,
  internal_port_start: internal.start,
  internal_port_end: internal.end,
})

/** A port outside leads to one place, a place inside is reached by one port. */
export function refuseCollision(wanted: Ends & Ranges, others: readonly (Ends & Stored)[]): ApiError | undefined {
  for (const other of others) {
    if (other.id === wanted.id || other.protocol !== wanted.protocol) continue
    const inside = { start: other.internal_port_start, end: other.internal_port_end }
    const outside = { start: other.external_port_start, end: other.external_port_end }
    const samePlace =
      other.internal_port_id === wanted.internal_port_id && other.internal_ip_address === wanted.internal_ip_address
    if (samePlace && overlap(inside, wanted.internal)) return collision('internal_port_range', inside, wanted.internal)
    if (other.floatingip_id === wanted.floatingip_id && overlap(outside, wanted.external))
      return collision('external_port_range', outside, wanted.external)
  }
  return undefined
}

const collision = (side: string, held: PortRange, wanted: PortRange): ApiError =>
  badForwarding(
    `There is a port collision with the ${side}. The following ranges collides: ${formatPortRange(held)} and ${formatPortRange(wanted)}`,
  )
