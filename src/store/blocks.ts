/**
 * What is free in subnet pools, as the largest blocks there are (a buddy system): taking a prefix splits one block,
 * giving it back joins it with its free neighbours. Each costs a few steps in an index, however much is allocated.
 *
 * The caller holds the pool's row locked for update: one at a time takes from a pool or gives back.
 */
import { formatPrefix, parsePrefix, type Prefix } from '#kernel/ip.ts'
import { parentOf, pathOf, siblingOf, subtract } from '#kernel/prefixes.ts'
import type { Transaction } from './transaction.ts'

interface BlockRow {
  readonly block: string
}

const parsed = (text: string): Prefix => parsePrefix(text) as Prefix

const SMALLEST_THAT_FITS = `delete from subnetpool_free_blocks f using (
    select block from subnetpool_free_blocks where subnetpool_id = $1 and masklen(block) <= $2
    order by masklen(block) desc, block limit 1) chosen
  where f.subnetpool_id = $1 and f.block = chosen.block returning text(f.block) as block`

const ONE_OF = `delete from subnetpool_free_blocks where subnetpool_id = $1 and block = any($2::cidr[])
  returning text(block) as block`

/** The first prefix of this length in the smallest free block that has one. Undefined: there is none. */
export async function takeBlock(tx: Transaction, poolId: string, length: number): Promise<Prefix | undefined> {
  const [row] = await tx.query<BlockRow>(SMALLEST_THAT_FITS, [poolId, length])
  if (!row) return undefined
  const block = parsed(row.block)
  const taken = { ...block, length }
  await putBack(tx, poolId, block, taken)
  return taken
}

/** Takes this very prefix. False: not all of it is free. */
export async function takeThisBlock(tx: Transaction, poolId: string, prefix: Prefix): Promise<boolean> {
  const [row] = await tx.query<BlockRow>(ONE_OF, [poolId, pathOf(prefix).map(formatPrefix)])
  if (!row) return false
  await putBack(tx, poolId, parsed(row.block), prefix)
  return true
}

/** Gives a taken prefix back, joined with the free neighbours it then has. */
export async function giveBlockBack(tx: Transaction, poolId: string, prefix: Prefix): Promise<void> {
  const neighbours = pathOf(prefix).slice(0, -1).map(siblingOf).map(formatPrefix)
  const rows = await tx.query<BlockRow>(
    'select text(block) as block from subnetpool_free_blocks where subnetpool_id = $1 and block = any($2::cidr[])',
    [poolId, neighbours],
  )
  // Through our own notation: PostgreSQL writes some IPv6 prefixes otherwise.
  const free = new Set(rows.map((row) => formatPrefix(parsed(row.block))))
  const { block, absorbed } = join(prefix, free)
  if (absorbed.length > 0) await tx.query(ONE_OF, [poolId, absorbed])
  await addBlocks(tx, poolId, [block])
}

/** Makes the pool's free blocks anew: its prefixes without what its subnets have. */
export async function resetBlocks(tx: Transaction, poolId: string, prefixes: readonly string[]): Promise<void> {
  const taken = await tx.query<BlockRow>('select text(cidr) as block from subnets where subnetpool_id = $1', [poolId])
  await tx.query('delete from subnetpool_free_blocks where subnetpool_id = $1', [poolId])
  await addBlocks(
    tx,
    poolId,
    subtract(
      prefixes.map(parsed),
      taken.map((row) => parsed(row.block)),
    ),
  )
}

/** How much of the pool the project's subnets have, in units of prefixes of `unit` bits; parts of one count as parts. */
export async function usedOfPool(tx: Transaction, poolId: string, projectId: string, unit: number): Promise<number> {
  const [row] = await tx.query<{ used: string }>(
    `select coalesce(sum(2::double precision ^ ($3::integer - masklen(cidr))), 0)::text as used
      from subnets where subnetpool_id = $1 and project_id = $2`,
    [poolId, projectId, unit],
  )
  return Number(row?.used ?? 0)
}

/** Pure: the block that a freed prefix becomes, and the free neighbours it takes in. */
export function join(prefix: Prefix, free: ReadonlySet<string>): { block: Prefix; absorbed: string[] } {
  const absorbed: string[] = []
  let block = prefix
  while (block.length > 0 && free.has(formatPrefix(siblingOf(block)))) {
    absorbed.push(formatPrefix(siblingOf(block)))
    block = parentOf(block)
  }
  return { block, absorbed }
}

/** What is left of a block out of which `taken` was cut. */
const putBack = (tx: Transaction, poolId: string, block: Prefix, taken: Prefix): Promise<void> =>
  addBlocks(
    tx,
    poolId,
    pathOf(taken)
      .slice(0, taken.length - block.length)
      .map(siblingOf),
  )

async function addBlocks(tx: Transaction, poolId: string, blocks: readonly Prefix[]): Promise<void> {
  if (blocks.length === 0) return
  await tx.query('insert into subnetpool_free_blocks select $1, b from unnest($2::cidr[]) b', [
    poolId,
    blocks.map(formatPrefix),
  ])
}
