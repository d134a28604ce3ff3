/**
 * What is kept twice in the database, compared: counters with rows, addresses held with addresses shown, free numbers
 * and blocks with what holders leave of the pools, groups of ports with their links, lists of projects with RBAC policies.
 *
 * Every check is exact on one snapshot, so that servers may work on meanwhile. To repair, the truth is taken to be the
 * objects clients see; what follows from them is written anew, by statements that come with each problem. Where an
 * object itself must change, that is a row of the change log like every other write.
 */
import { formatIp, parseIp } from '#kernel/ip.ts'
import type { NumberRange } from '#kernel/ranges.ts'
import { resetBlocks } from './blocks.ts'
import { poolFor, setRanges, subtract } from './ranges.ts'
import type { Transaction } from './transaction.ts'
import {
  boundSegments,
  type Check,
  type Kept,
  lostLevels,
  portBindings,
  type Problem,
  sharedLists,
  subnetLists,
} from './verify-objects.ts'

export type { Kept, Problem }

/** By name, in the order in which they are repaired: pools after those who hold of them, counters last. */
const CHECKS: Readonly<Record<string, Check>> = {
  'addresses of ports': portAddresses,
  'pools of addresses': addressPools,
  'bindings of ports': portBindings,
  'levels of bindings': lostLevels,
  'segments of bindings': boundSegments,
  'pools of segmentation ids': segmentPools,
  'blocks of subnet pools': subnetPools,
  'security groups of ports': portGroups,
  'lists of projects': sharedLists,
  'lists of subnets': subnetLists,
  'quota counters': counters,
}
export const CHECKED: readonly string[] = Object.keys(CHECKS)

/** Everything that is wrong; `repair` puts each right before the next check looks. */
export async function findProblems(tx: Transaction, kept: Kept, repair: boolean): Promise<Problem[]> {
  const all: Problem[] = []
  for (const check of Object.values(CHECKS)) {
    const problems = await check(tx, kept)
    if (repair) for (const problem of problems) await problem.repair()
    all.push(...problems)
  }
  return all
}

/** Nobody writes what is compared until the transaction ends. */
export async function holdStill(tx: Transaction, { counted, shared }: Kept): Promise<void> {
  const kept = [
    'ip_allocations',
    'free_ranges',
    'quota_usage',
    'port_bindings',
    'port_security_groups',
    'network_segments',
    'rbac_policies',
    'subnetpools',
    'subnetpool_free_blocks',
  ]
  const tables = new Set([...kept, ...counted.map((one) => one.table), ...shared.map((one) => one.table)])
  // Always in the same order, so that two of us wait for each other and no more.
  await tx.query(`lock table ${[...tables].sort().join(', ')} in share row exclusive mode`)
}

async function counters(tx: Transaction, { counted }: Kept): Promise<Problem[]> {
  const rows = counted.map(
    ({ table, quota }) =>
      `select project_id, '${quota}' as resource, count(*) as rows from ${table} group by project_id`,
  )
  const wrong = await tx.query<{ project_id: string; resource: string; used: string; rows: string }>(
    `/* once */ select project_id, resource, coalesce(u.used, 0)::text as used, coalesce(c.rows, 0)::text as rows
      from (${rows.join(' union all ')}) c
      full join (select project_id, resource, sum(used) as used from quota_usage group by project_id, resource) u
        using (project_id, resource)
      where coalesce(u.used, 0) <> coalesce(c.rows, 0) order by 1, 2`,
  )
  return wrong.map(({ project_id, resource, used, rows: count }) => ({
    says: `project ${project_id} is counted to have ${used} × ${resource} and has ${count}`,
    repair: () =>
      tx.query(
        `insert into quota_usage as u (project_id, resource, used) values ($1, $2, $3)
          on conflict (project_id, resource, part) do update set used = u.used + excluded.used`,
        [project_id, resource, Number(count) - Number(used)],
      ),
  }))
}

/** What a port shows it holds, and what is held in its name is shown. */
async function portAddresses(tx: Transaction): Promise<Problem[]> {
  const wrong = await tx.query<{ port_id: string; subnet_id: string; ip: string; shown: boolean }>(
    `/* once */ with shown as (
        select p.id as port_id, (x->>'subnet_id')::uuid as subnet_id, (x->>'ip_address')::inet as ip
        from ports p, jsonb_array_elements(p.fixed_ips) x),
      held as (select port_id, subnet_id, ip_address as ip from ip_allocations)
    select port_id, subnet_id, host(ip) as ip, s.there is not null as shown
      from (select *, true as there from shown) s full join (select *, true as there from held) h using (port_id, subnet_id, ip)
      where s.there is null or h.there is null order by shown, 1, 2, 3`,
  )
  return wrong.map(({ port_id, subnet_id, ip, shown }) => ({
    says: shown
      ? `port ${port_id} shows ${ip} of subnet ${subnet_id} and does not hold it`
      : `port ${port_id} holds ${ip} of subnet ${subnet_id} and does not show it`,
    repair: () =>
      shown
        ? tx.query(
            'insert into ip_allocations (subnet_id, ip_address, port_id, from_pool) values ($1, $2, $3, false) on conflict do nothing',
            [subnet_id, ip, port_id],
          )
        : tx.query('delete from ip_allocations where subnet_id = $1 and ip_address = $2 and port_id = $3', [
            subnet_id,
            ip,
            port_id,
          ]),
  }))
}

interface FreeRange extends Record<string, unknown> {
  readonly pool: string
  readonly first: string
  readonly last: string
}

const freeRanges = async (tx: Transaction, condition: string): Promise<ReadonlyMap<string, readonly NumberRange[]>> => {
  const rows = await tx.query<FreeRange>(
    `/* once */ select pool, first::text, last::text from free_ranges where ${condition} order by free_ranges.first`,
  )
  const ranges = Map.groupBy(rows, (row) => row.pool)
  return new Map([...ranges].map(([pool, list]) => [pool, list.map(numbersOf)]))
}

const numbersOf = ({ first, last }: { readonly first: string; readonly last: string }): NumberRange => ({
  first: BigInt(first),
  last: BigInt(last),
})

/** Pure: ranges as long as they can be, in order; overlapping ones stay apart, so that they differ from what should be. */
export function joined(ranges: readonly NumberRange[]): NumberRange[] {
  const out: NumberRange[] = []
  for (const one of [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const previous = out.at(-1)
    if (previous && one.first === previous.last + 1n) out[out.length - 1] = { first: previous.first, last: one.last }
    else out.push(one)
  }
  return out
}

const textOf = (ranges: readonly NumberRange[], format: (number: bigint) => string): string =>
  ranges.map(({ first, last }) => (first === last ? format(first) : `${format(first)}-${format(last)}`)).join(', ') ||
  'none'

/** What is free of a pool: all of it but what is held. */
function poolProblem(
  tx: Transaction,
  pool: string,
  { all, held, free }: { all: readonly NumberRange[]; held: readonly bigint[]; free: readonly NumberRange[] },
  format: (number: bigint) => string = String,
): Problem[] {
  const wanted = joined(subtract(joined(all), held))
  const [is, should] = [textOf(joined(free), format), textOf(wanted, format)]
  if (is === should) return []
  return [
    { says: `${pool}: free is ${is}, and should be ${should}`, repair: () => setRanges(tx, pool, joined(all), held) },
  ]
}

interface SubnetRow extends Record<string, unknown> {
  readonly id: string
  readonly ip_version: 4 | 6
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[]
  readonly held: readonly { readonly ip: string; readonly from_pool: boolean }[]
}

const numberOf = (text: string): bigint => parseIp(text)?.value ?? -1n

async function addressPools(tx: Transaction): Promise<Problem[]> {
  const free = await freeRanges(tx, "pool like 'subnet:%'")
  const subnets = await tx.query<SubnetRow>(
    `/* once */ select s.id, s.ip_version, s.allocation_pools, coalesce(a.held, '[]') as held from subnets s
      left join (select subnet_id, jsonb_agg(jsonb_build_object('ip', host(ip_address), 'from_pool', from_pool)) as held
        from ip_allocations group by subnet_id) a on a.subnet_id = s.id order by s.id`,
  )
  const pools = new Set(subnets.map(({ id }) => `subnet:${id}`))
  const strays = [...free.keys()].filter((pool) => !pools.has(pool))
  return [
    ...strays.map((pool) => ({
      says: `${pool} has free addresses and no subnet`,
      repair: () => tx.query('delete from free_ranges where pool = $1', [pool]),
    })),
    ...subnets.flatMap((subnet) => [
      ...wrongMarks(tx, subnet),
      ...poolProblem(
        tx,
        `subnet:${subnet.id}`,
        {
          all: rangesOf(subnet),
          held: subnet.held.map(({ ip }) => numberOf(ip)),
          free: free.get(`subnet:${subnet.id}`) ?? [],
        },
        (value) => formatIp({ version: subnet.ip_version, value }),
      ),
    ]),
  ]
}

const rangesOf = ({ allocation_pools }: SubnetRow): NumberRange[] =>
  allocation_pools.map(({ start, end }) => ({ first: numberOf(start), last: numberOf(end) }))

/** An address goes back to where it was taken from. */
function wrongMarks(tx: Transaction, subnet: SubnetRow): Problem[] {
  const ranges = rangesOf(subnet)
  return subnet.held.flatMap(({ ip, from_pool }) => {
    const number = numberOf(ip)
    const within = ranges.some(({ first, last }) => first <= number && number <= last)
    if (within === from_pool) return []
    return [
      {
        says: `subnet ${subnet.id}: ${ip} is marked as ${from_pool ? '' : 'not '}of its pools`,
        repair: () =>
          tx.query('update ip_allocations set from_pool = $3 where subnet_id = $1 and ip_address = $2', [
            subnet.id,
            ip,
            within,
          ]),
      },
    ]
  })
}

interface SegmentPool extends Record<string, unknown> {
  readonly base: string
  readonly project_id: string | null
  readonly ranges: readonly { readonly first: string; readonly last: string }[]
}

const BASE = `network_type || coalesce(':' || physical_network, '')`

/** Of each kind of segment: what a project has for itself, and what is left for all. */
const SEGMENT_POOLS = `/* once */ with own as (
    select ${BASE} as base, project_id, range_agg(int8range(minimum, maximum, '[]')) as ids
    from network_segment_ranges group by 1, 2),
  reserved as (
    select ${BASE} as base, range_agg(int8range(minimum, maximum, '[]')) as ids
    from network_segment_ranges where project_id is not null group by 1)
  select base, project_id, (select coalesce(jsonb_agg(jsonb_build_object('first', lower(r)::text, 'last', (upper(r) - 1)::text)), '[]')
      from unnest(case when project_id is null then own.ids - coalesce(reserved.ids, '{}') else own.ids end) r) as ranges
  from own left join reserved using (base)`

async function segmentPools(tx: Transaction): Promise<Problem[]> {
  const free = await freeRanges(tx, "pool not like 'subnet:%'")
  const pools = await tx.query<SegmentPool>(SEGMENT_POOLS)
  const segments = await tx.query<{ base: string; id: string }>(
    `/* once */ select ${BASE} as base, segmentation_id::text as id from network_segments
      where segmentation_id is not null and (network_type = 'vlan' or physical_network is null)`,
  )
  const held = Map.groupBy(segments, (one) => one.base)
  const nameOf = ({ base, project_id }: SegmentPool): string => poolFor(base, project_id)
  const names = new Set(pools.map(nameOf))
  const strays = [...free.keys()].filter((pool) => !names.has(pool))
  return [
    ...strays.map((pool) => ({
      says: `${pool} has free ids and no range`,
      repair: () => tx.query('delete from free_ranges where pool = $1', [pool]),
    })),
    ...pools.flatMap((pool) =>
      poolProblem(tx, nameOf(pool), {
        all: pool.ranges.map(numbersOf),
        held: (held.get(pool.base) ?? []).map(({ id }) => BigInt(id)),
        free: free.get(nameOf(pool)) ?? [],
      }),
    ),
  ]
}

/** What a pool has, what of it is free and what subnets took, in addresses; and whether anything is both. */
const BLOCKS = `/* once */ select * from (
    select p.id, p.prefixes,
      (select trim_scale(sum(2::numeric ^ (w.bits - masklen(x::cidr)))) from jsonb_array_elements_text(p.prefixes) x)::text as all,
      (select trim_scale(coalesce(sum(2::numeric ^ (w.bits - masklen(f.block))), 0))
        from subnetpool_free_blocks f where f.subnetpool_id = p.id)::text as free,
      (select trim_scale(coalesce(sum(2::numeric ^ (w.bits - masklen(s.cidr))), 0))
        from subnets s where s.subnetpool_id = p.id)::text as taken,
      (select min(text(f.block)) from subnets s join subnetpool_free_blocks f on f.subnetpool_id = s.subnetpool_id
        and f.block && s.cidr where s.subnetpool_id = p.id) as twice
    from subnetpools p, lateral (select case p.ip_version when 4 then 32 else 128 end as bits) w) pools
  where "all"::numeric <> free::numeric + taken::numeric or twice is not null order by id`

interface SubnetPool extends Record<string, unknown> {
  readonly id: string
  readonly prefixes: readonly string[]
  readonly all: string
  readonly free: string
  readonly taken: string
  readonly twice: string | null
}

async function subnetPools(tx: Transaction): Promise<Problem[]> {
  const wrong = await tx.query<SubnetPool>(BLOCKS)
  return wrong.map(({ id, prefixes, all, free, taken, twice }) => ({
    says:
      twice === null
        ? `subnet pool ${id}: of ${all} addresses ${free} are free and ${taken} are taken`
        : `subnet pool ${id}: ${twice} is free, and a subnet has of it`,
    repair: () => resetBlocks(tx, id, prefixes),
  }))
}

async function portGroups(tx: Transaction): Promise<Problem[]> {
  const wrong = await tx.query<{ id: string }>(
    `/* once */ select p.id from ports p left join (
        select port_id, array_agg(security_group_id order by security_group_id) as linked
        from port_security_groups group by port_id) l on l.port_id = p.id
      where array(select unnest(p.security_group_ids) order by 1) <> coalesce(l.linked, '{}') order by p.id`,
  )
  return wrong.map(({ id }) => ({
    says: `port ${id} is linked to other security groups than it shows`,
    repair: async () => {
      await tx.query('delete from port_security_groups where port_id = $1', [id])
      await tx.query(
        'insert into port_security_groups select id, unnest(security_group_ids) from ports where id = $1 on conflict do nothing',
        [id],
      )
    },
  }))
}
