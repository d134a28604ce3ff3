/**
 * What must hold of a database whenever no operation is under way, whatever happened before: counters equal rows,
 * every address and segment id is either free or held and never both, and the change log ends where the tables are.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Core } from '#core/operation.ts'
import { divide, poolOf } from '#core/segment-pools.ts'
import { formatIp, parseIp, parsePrefix } from '#kernel/ip.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Segment, SegmentRange } from '#model/context.ts'
import { listImages } from '#store/list.ts'
import type { Database } from '#store/pool.ts'
import { isSeed, PASSING, storedResources } from './verify-log.ts'
import { poolsAreFreeOrTaken } from './verify-pools.ts'
import { type NumberRange, poolFor } from '#store/ranges.ts'

/** Everything that is wrong, one sentence each; empty when all is well. */
export async function verify(core: Core): Promise<string[]> {
  const { database } = core
  const problems = await Promise.all([
    quotasEqualRows(core),
    rangesDoNotOverlap(database),
    addressesAreFreeOrHeld(database),
    segmentIdsAreFreeOrHeld(core),
    portsHoldWhatTheyShow(database),
    poolsAreFreeOrTaken(database),
    nothingIsHalfDone(database),
    ...storedResources(core.model).map((resource) => changeLogEndsHere(database, resource)),
  ])
  return problems.flat()
}

async function quotasEqualRows({ database, model }: Core): Promise<string[]> {
  const limited = [...model.resources.values()].filter((one) => one.quota !== null)
  const counted = limited.map(
    ({ table, quota }) =>
      `select project_id, '${quota}' as resource, count(*)::int as rows from ${table} group by project_id`,
  )
  const wrong = await database.query<{ project_id: string; resource: string; used: number; rows: number }>(
    `/* once */ select project_id, resource, coalesce(u.used, 0)::int as used, coalesce(c.rows, 0) as rows
      from (${counted.join(' union all ')}) c full join quota_usage u using (project_id, resource)
      where coalesce(u.used, 0) <> coalesce(c.rows, 0)`,
  )
  return wrong.map(
    ({ project_id, resource, used, rows }) =>
      `project ${project_id} is counted to have ${used} × ${resource}, and has ${rows}`,
  )
}

async function rangesDoNotOverlap(database: Database): Promise<string[]> {
  const wrong = await database.query<{ pool: string; first: string; last: string; next: string }>(
    `/* once */ select * from (select pool, first::text, last::text, last as end_, lead(first) over w as next
      from free_ranges window w as (partition by pool order by first, last)) r where next <= end_`,
  )
  return wrong.map(({ pool, first, last, next }) => `${pool}: free ${first}-${last} overlaps the free range at ${next}`)
}

interface Held {
  readonly ip_address: string
  readonly from_pool: boolean
}
interface SubnetState extends Record<string, unknown> {
  readonly id: string
  readonly cidr: string
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[]
  readonly free: readonly { readonly first: string; readonly last: string }[]
  readonly held: readonly Held[]
}

/** Allocation pools = free ranges + addresses taken from them; nothing is lost, nothing is there twice. */
async function addressesAreFreeOrHeld(database: Database): Promise<string[]> {
  const subnets = await database.query<SubnetState>(
    `/* once */ select s.id, s.cidr, s.allocation_pools,
      (select coalesce(json_agg(json_build_object('first', f.first::text, 'last', f.last::text)), '[]')
        from free_ranges f where f.pool = 'subnet:' || s.id) as free,
      (select coalesce(json_agg(json_build_object('ip_address', host(a.ip_address), 'from_pool', a.from_pool)), '[]')
        from ip_allocations a where a.subnet_id = s.id) as held from subnets s`,
  )
  const strays = await database.query<{ pool: string }>(
    `/* once */ select distinct pool from free_ranges where pool like 'subnet:%'
      and not exists (select 1 from subnets s where pool = 'subnet:' || s.id)`,
  )
  return [...strays.map(({ pool }) => `${pool} has free ranges but no subnet`), ...subnets.flatMap(checkSubnet)]
}

const numberOf = (text: string): bigint => parseIp(text)?.value ?? -1n
const sizeOf = (ranges: readonly { first: bigint; last: bigint }[]): bigint =>
  ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n)
const within = (ranges: readonly { first: bigint; last: bigint }[], number: bigint): boolean =>
  ranges.some(({ first, last }) => first <= number && number <= last)

function checkSubnet({ id, cidr, allocation_pools, free, held }: SubnetState): string[] {
  const version = parsePrefix(cidr)?.version ?? 4
  const pools = allocation_pools.map(({ start, end }) => ({ first: numberOf(start), last: numberOf(end) }))
  const ranges = free.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }))
  const problems: string[] = []
  for (const { first, last } of ranges) {
    if (!within(pools, first) || !within(pools, last))
      problems.push(
        `subnet ${id}: ${formatIp({ version, value: first })}-${formatIp({ version, value: last })} is free outside its pools`,
      )
  }
  for (const { ip_address, from_pool } of held) {
    const number = numberOf(ip_address)
    if (within(ranges, number)) problems.push(`subnet ${id}: ${ip_address} is both held and free`)
    if (from_pool !== within(pools, number)) problems.push(`subnet ${id}: ${ip_address} says from_pool ${from_pool}`)
  }
  const taken = BigInt(held.filter((one) => one.from_pool).length)
  if (sizeOf(ranges) + taken !== sizeOf(pools))
    problems.push(`subnet ${id}: ${sizeOf(pools)} addresses in pools, ${sizeOf(ranges)} free and ${taken} held`)
  return problems
}

/** Every id of a range is free in the pool it belongs to or held by a segment; no id is free elsewhere. */
async function segmentIdsAreFreeOrHeld({ database }: Core): Promise<string[]> {
  const problems: string[] = []
  const ranges = await database.query<SegmentRange & Record<string, unknown>>(
    '/* once */ select network_type, physical_network, project_id, minimum, maximum from network_segment_ranges',
  )
  const expected = new Map<string, readonly NumberRange[]>()
  for (const [base, kind] of Map.groupBy(ranges, (one) => String(poolOf(one))))
    for (const [projectId, mine] of divide(kind)) expected.set(poolFor(base, projectId), mine)
  const segments = await database.query<Segment & Record<string, unknown>>(
    '/* once */ select network_type, physical_network, segmentation_id from network_segments where segmentation_id is not null',
  )
  const free = await database.query<{ pool: string; first: string; last: string }>(
    "/* once */ select pool, first::text, last::text from free_ranges where pool not like 'subnet:%'",
  )
  for (const { pool } of free) if (!expected.has(pool)) problems.push(`${pool} has free ranges but no range`)
  for (const [pool, configured] of expected) {
    const mine = free
      .filter((one) => one.pool === pool)
      .map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }))
    const held = segments
      .filter((one) => pool === poolOf(one) || pool.startsWith(`${poolOf(one)} for `))
      .map((one) => BigInt(one.segmentation_id as number))
      .filter((id) => within(configured, id))
    for (const id of held) if (within(mine, id)) problems.push(`${pool}: ${id} is both held and free`)
    for (const { first, last } of mine)
      if (!within(configured, first) || !within(configured, last))
        problems.push(`${pool}: ${first} to ${last} is not its`)
    if (sizeOf(mine) + BigInt(held.length) !== sizeOf(configured))
      problems.push(`${pool}: ${sizeOf(configured)} ids, ${sizeOf(mine)} free and ${held.length} held`)
  }
  return problems
}

async function portsHoldWhatTheyShow(database: Database): Promise<string[]> {
  const addresses = await database.query<{ id: string; shown: unknown; held: unknown }>(
    `/* once */ select * from (select p.id,
      (select coalesce(jsonb_agg(x->>'subnet_id' || ' ' || (x->>'ip_address') order by x->>'subnet_id', x->>'ip_address'), '[]')
        from jsonb_array_elements(p.fixed_ips) x) as shown,
      (select coalesce(jsonb_agg(a.subnet_id || ' ' || host(a.ip_address) order by a.subnet_id::text, host(a.ip_address)), '[]')
        from ip_allocations a where a.port_id = p.id) as held from ports p) r where shown <> held`,
  )
  const groups = await database.query<{ id: string }>(
    `/* once */ select p.id from ports p where array(select unnest(p.security_group_ids) order by 1) <>
      array(select l.security_group_id from port_security_groups l where l.port_id = p.id order by 1)`,
  )
  return [
    ...addresses.map(
      ({ id, shown, held }) => `port ${id} shows ${JSON.stringify(shown)}, holds ${JSON.stringify(held)}`,
    ),
    ...groups.map(({ id }) => `port ${id} is linked to other security groups than it shows`),
  ]
}

async function nothingIsHalfDone(database: Database): Promise<string[]> {
  const keys = await database.query<{ key: string }>(`/* once */ select key from idempotency_keys where status = 0`)
  const bare = await database.query<{ id: string }>(
    `/* once */ select n.id from networks n where not exists (select 1 from network_segments s where s.network_id = n.id)`,
  )
  return [
    ...keys.map(({ key }) => `Idempotency-Key ${key} has no answer`),
    ...bare.map(({ id }) => `network ${id} has no segment`),
  ]
}

/** The newest logged image of every object is what a client would be shown; what is gone is logged as deleted. */
async function changeLogEndsHere(database: Database, resource: ComposedResource): Promise<string[]> {
  const logged = await database.query<{ id: string; generation: number; after: Record<string, unknown> | null }>(
    `/* once */ select distinct on (id) id, generation, after from change where kind = $1 order by id, generation desc`,
    [resource.name],
  )
  const images = await listImages(database, resource, { visible: true, filters: {}, sort: [] })
  const now = new Map(images.map((image) => [String(image['id']), image]))
  const silent = PASSING[resource.name] ?? []
  const shown = Object.keys(resource.attributes).filter(
    (name) => resource.attributes[name]?.visible && !silent.includes(name),
  )
  const problems = logged.flatMap(({ id, after }) => {
    const current = now.get(id)
    now.delete(id)
    if (!after || !current)
      return !after === !current ? [] : [`${resource.name} ${id}: the change log disagrees on whether it exists`]
    const differing = shown.filter((name) => !isDeepStrictEqual(after[name] ?? null, current[name] ?? null))
    return differing.map(
      (name) =>
        `${resource.name} ${id}: ${name} was logged as ${JSON.stringify(after[name])} and is ${JSON.stringify(current[name])}`,
    )
  })
  const unlogged = [...now].filter(([, image]) => !isSeed(resource.name, image))
  return [...problems, ...unlogged.map(([id]) => `${resource.name} ${id} is not in the change log`)]
}
