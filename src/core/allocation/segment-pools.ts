/**
 * From ranges of segmentation ids to the pools they are drawn from: every id of a kind of segment is in one pool only,
 * the one of the project that has a range of its own over it, else the common one, else in none. Pure, but for the
 * functions that read the ranges and make the pools anew.
 */
import { ApiError } from '#kernel/errors.ts'
import { merge, type NumberRange, without } from '#kernel/ranges.ts'
import type { Segment, SegmentRange, SegmentSpec } from '#model/context.ts'
import { holdPool, lockPool, poolFor, setRanges } from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'

/** What ids are told apart by: `vxlan`, `vlan:physnet1`. Null: segments of this type have no ids. */
export function poolOf({ network_type, physical_network }: Omit<SegmentSpec, 'segmentation_id'>): string | null {
  if (network_type === null || network_type === 'flat' || network_type === 'local') return null
  return network_type === 'vlan' ? `vlan:${physical_network}` : network_type
}

type Owned = Pick<SegmentRange, 'project_id' | 'minimum' | 'maximum'>

/** Pure: which ids each project has for itself, and, under null, which are common. Ranges are disjoint and in order. */
export function divide(ranges: readonly Owned[]): ReadonlyMap<string | null, readonly NumberRange[]> {
  const of = (wanted: readonly Owned[]): NumberRange[] =>
    merge(wanted.map(({ minimum, maximum }) => ({ first: BigInt(minimum), last: BigInt(maximum) })))
  const projects = [...new Set(ranges.map((one) => one.project_id))].filter((one) => one !== null)
  const own = projects.map((id) => [id, of(ranges.filter((one) => one.project_id === id))] as const)
  const reserved = merge(own.flatMap(([, mine]) => mine))
  const common = of(ranges.filter((one) => one.project_id === null)).flatMap((one) => without(one, reserved))
  return new Map([...own, [null, common] as const])
}

const OF_KIND = 'network_type = $1 and physical_network is not distinct from $2'

/**
 * Makes the pools of a kind of segment what its ranges are, with `changed` in place of the one of its id (null: gone),
 * while nobody takes or gives back. Answers the ids that segments hold, in order.
 */
export async function remakePools(
  tx: Transaction,
  { network_type, physical_network }: Pick<SegmentRange, 'network_type' | 'physical_network'>,
  id: string,
  changed: Owned | null,
): Promise<readonly number[]> {
  const pool = poolOf({ network_type, physical_network })
  if (pool === null) throw new ApiError('NetworkSegmentRangeNetTypeNotSupported', { type: network_type })
  await lockPool(tx, pool)
  const kind = [network_type, physical_network]
  const others = await tx.query<SegmentRange & Record<string, unknown>>(
    `select project_id, minimum, maximum from network_segment_ranges where ${OF_KIND} and id <> $3`,
    [...kind, id],
  )
  const held = await tx.query<{ id: number }>(
    `select segmentation_id as id from network_segments where ${OF_KIND} and segmentation_id is not null order by 1`,
    kind,
  )
  const numbers = held.map((one) => BigInt(one.id))
  await tx.query('delete from free_ranges where pool = $1 or starts_with(pool, $2)', [pool, poolFor(pool, '')])
  for (const [projectId, ranges] of divide(changed ? [...others, changed] : others))
    await setRanges(tx, poolFor(pool, projectId), ranges, numbers)
  return held.map((one) => one.id)
}

/** Whose pool an id belongs to, as a query over the kind ($1, $2) and the id ($3). */
const HOLDER = `select project_id from network_segment_ranges where ${OF_KIND} and $3::bigint between minimum and maximum
  order by project_id nulls last limit 1`

/** The pool that has this segment's id while it is free; null: it lies outside all ranges. Held until the end. */
export async function poolHolding(tx: Transaction, segment: Omit<Segment, 'id'>): Promise<string | null> {
  const pool = poolOf(segment)
  if (pool === null || segment.segmentation_id === null) return null
  const kind = [segment.network_type, segment.physical_network, segment.segmentation_id]
  // Sent together; the second sees what whoever kept the pool from us has made of it.
  const [, [holder]] = await Promise.all([holdPool(tx, pool), tx.query<{ project_id: string | null }>(HOLDER, kind)])
  return holder ? poolFor(pool, holder.project_id) : null
}

const GIVE_BACK = `insert into free_ranges (pool, first, last)
  select concat($4::text, ' for ' || project_id), $3, $3 from (${HOLDER}) holder`

/** Gives a segment's id back to the pool it belongs to by now. */
export async function giveSegmentBack(tx: Transaction, segment: Omit<Segment, 'id'>): Promise<void> {
  const pool = poolOf(segment)
  if (pool === null || segment.segmentation_id === null) return
  const kind = [segment.network_type, segment.physical_network, segment.segmentation_id]
  await Promise.all([holdPool(tx, pool), tx.query(GIVE_BACK, [...kind, pool])])
}

/** The physical networks that ranges name besides those of the configuration. */
export async function rangedPhysicalNetworks(tx: Transaction): Promise<readonly string[]> {
  const rows = await tx.query<{ name: string }>(
    "select distinct physical_network as name from network_segment_ranges where network_type = 'vlan'",
  )
  return rows.map((one) => one.name)
}
