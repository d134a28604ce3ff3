/** Which tests a run means, and the files that name tests: the ratchet and lists. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { classOf, type Rows } from './results.ts'

export interface Wish {
  readonly only: RegExp | null
  /** Ids of the only tests meant. */
  readonly listed: ReadonlySet<string> | null
  readonly rerunFailures: boolean
}

/** Those of `all` that are asked for; `earlier` tells what failed. Pure. */
export const chooseTests = (all: readonly string[], { only, listed, rerunFailures }: Wish, earlier: Rows): string[] => {
  const failed = (name: string): boolean => earlier.get(name)?.status === 'fail'
  return all.filter(
    (test) =>
      (only === null || only.test(test)) &&
      (listed === null || listed.has(test)) &&
      (!rerunFailures || failed(test) || failed(`setUpClass (${classOf(test)})`)),
  )
}

/** First column of each line; empty when there is no such file. */
export const readIds = (file: string): Set<string> => {
  if (!existsSync(file)) return new Set()
  const ids = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '')
  return new Set(ids.filter((id) => id !== ''))
}

/** Adds what passed to the ratchet; nothing is ever taken away by a program. */
export const recordPassed = (file: string, ours: Rows): void => {
  const now = [...ours].flatMap(([test, { status }]) => (status === 'success' ? [test] : []))
  writeFileSync(file, `${[...new Set([...readIds(file), ...now])].sort().join('\n')}\n`)
}
