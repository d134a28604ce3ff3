/** Prefixes of subnet pools, as hooks take them and give them back. */
import { formatPrefix, parsePrefix, type Prefix } from '#kernel/ip.ts'
import type { Context } from '#model/context.ts'
import { giveBlockBack, resetBlocks, takeBlock, takeThisBlock, usedOfPool } from '#store/blocks.ts'
import type { Transaction } from '#store/transaction.ts'

const parsed = (text: string): Prefix => parsePrefix(text) as Prefix

export const createPrefixes = (tx: Transaction): Context['prefixes'] => ({
  take: async (poolId, length) => {
    const taken = await takeBlock(tx, poolId, length)
    return taken && formatPrefix(taken)
  },
  takeExactly: (poolId, prefix) => takeThisBlock(tx, poolId, parsed(prefix)),
  giveBack: (poolId, prefix) => giveBlockBack(tx, poolId, parsed(prefix)),
  reset: (poolId, prefixes) => resetBlocks(tx, poolId, prefixes),
  used: (poolId, projectId, unit) => usedOfPool(tx, poolId, projectId, unit),
})
