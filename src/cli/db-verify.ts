/** `deuteron db verify`: what is kept twice, compared in one snapshot and, on demand, put right in one transaction. */
import { extensions } from '#extensions/index.ts'
import { sharedKinds } from '#extensions/rbac/shared-kinds.ts'
import { compose } from '#model/compose.ts'
import { coreResources } from '#resources/index.ts'
import type { Transaction } from '#store/transaction.ts'
import { CHECKED, findProblems, holdStill, type Kept } from '#store/verify.ts'
import type { Client } from 'pg'
import type { Output } from './output.ts'

/** What the model says of the tables. */
export function keptByModel(): Kept {
  const { resources } = compose(coreResources, extensions)
  const counted = [...resources.values()].flatMap(({ table, quota }) => (quota === null ? [] : [{ table, quota }]))
  const shared = [...sharedKinds].flatMap(([type, { resource, lists }]) =>
    Object.entries(lists).map(([action, column]) => ({ table: resource.table, column, type, action })),
  )
  return { resources, counted, shared }
}

/** Answers the exit code: 0 when all is well, or is well again. */
export async function verifyDatabase(client: Client, repair: boolean, out: Output): Promise<number> {
  const kept = keptByModel()
  const tx: Transaction = { query: async (text, params = []) => (await client.query(text, [...params])).rows as never }
  await client.query(repair ? 'begin' : 'begin isolation level repeatable read read only')
  try {
    if (repair) await holdStill(tx, kept)
    const problems = await findProblems(tx, kept, repair)
    for (const { says } of problems) out.line(says)
    const left = repair && problems.length > 0 ? await findProblems(tx, kept, false) : []
    for (const { says } of left) out.line(`not repaired: ${says}`)
    await client.query('commit')
    out.line(verdict(problems.length, repair, left.length))
    return (repair ? left : problems).length > 0 ? 1 : 0
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

function verdict(found: number, repair: boolean, left: number): string {
  if (found === 0) return `all is well: ${CHECKED.join(', ')}`
  const counted = `${found} ${found === 1 ? 'difference' : 'differences'}`
  return repair ? `${counted}, ${found - left} repaired` : `${counted}; "deuteron db verify --repair" puts them right`
}
