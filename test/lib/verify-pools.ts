/** What must hold of subnet pools: all of a pool is free or some subnet's, nothing is both. */
import type { Database } from '#store/pool.ts'

export async function poolsAreFreeOrTaken(database: Database): Promise<string[]> {
  const wrong = await database.query<{ id: string; all: string; free: string; taken: string }>(
    `/* once */ select id, "all"::text, free::text, taken::text from (
        select p.id,
            (select sum(2::numeric ^ (w.bits - masklen(x::cidr))) from jsonb_array_elements_text(p.prefixes) x) as all,
            (select coalesce(sum(2::numeric ^ (w.bits - masklen(f.block))), 0)
              from subnetpool_free_blocks f where f.subnetpool_id = p.id) as free,
            (select coalesce(sum(2::numeric ^ (w.bits - masklen(s.cidr))), 0)
              from subnets s where s.subnetpool_id = p.id) as taken
          from subnetpools p, lateral (select case p.ip_version when 4 then 32 else 128 end as bits) w) pools
      where "all" <> free + taken`,
  )
  const both = await database.query<{ id: string; cidr: string; block: string }>(
    `/* once */ select s.id, text(s.cidr) as cidr, text(f.block) as block
      from subnets s join subnetpool_free_blocks f on f.subnetpool_id = s.subnetpool_id and f.block && s.cidr`,
  )
  return [
    ...wrong.map(({ id, all, free, taken }) => `subnet pool ${id}: ${free} free and ${taken} taken are not ${all}`),
    ...both.map(({ id, cidr, block }) => `subnet ${id}: its block ${cidr} is free as ${block}`),
  ]
}
