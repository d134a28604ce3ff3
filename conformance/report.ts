/** The report: our results beside the peer's, what was lost, what is still to do. All pure. */
import { moduleOf, type Outcome, type Row, type Rows, verdictOn } from './results.ts'

export interface Comparison {
  /** Tests meant to run. */
  readonly planned: readonly string[]
  readonly ours: Rows
  readonly peer: Rows
  /** Tests that passed once. */
  readonly passed: ReadonlySet<string>
}

interface Count {
  success: number
  fail: number
  skip: number
  missing: number
}

const count = (tests: readonly string[], rows: Rows): Count => {
  const total: Count = { success: 0, fail: 0, skip: 0, missing: 0 }
  for (const test of tests) total[verdictOn(rows, test)?.status ?? 'missing'] += 1
  return total
}

const cells = ({ success, fail, skip, missing }: Count): string[] => [success, fail, skip, missing].map(String)

const HEADING = ['', 'pass', 'fail', 'skip', 'none', '', 'peer:pass', 'fail', 'skip', 'none']

/** A line for each test file and one for all; cells still to be aligned. */
export const tableOf = ({ planned, ours, peer }: Comparison): string[][] => {
  const modules = Map.groupBy(planned, moduleOf)
  const line = (name: string, tests: readonly string[]): string[] => {
    const [mine, its] = [count(tests, ours), count(tests, peer)]
    const mark = mine.success >= its.success ? ' ' : '<'
    return [name, ...cells(mine), mark, ...cells(its)]
  }
  const lines = [...modules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, tests]) => line(name, tests))
  return [HEADING, ...lines, line('all', planned)]
}

const is = (rows: Rows, test: string, status: Outcome): boolean => verdictOn(rows, test)?.status === status

/** Tests that passed once and did not now. */
export const regressions = ({ planned, ours, passed }: Comparison): string[] =>
  planned.filter((test) => passed.has(test) && !is(ours, test, 'success'))

/** Tests that the peer passes and we do not. */
export const behindPeer = ({ planned, ours, peer }: Comparison): string[] =>
  planned.filter((test) => is(peer, test, 'success') && !is(ours, test, 'success'))

/** Tests that pass here and not on the peer. */
export const aheadOfPeer = ({ planned, ours, peer }: Comparison): string[] =>
  planned.filter((test) => !is(peer, test, 'success') && is(ours, test, 'success'))

const NOT_RUN: Row = { status: 'fail', seconds: 0, reason: 'not run' }

/** One line for each reason, the most frequent first, with the tests it holds up. */
export const byReason = (tests: readonly string[], rows: Rows): { reason: string; tests: string[] }[] => {
  const reasonOf = (test: string): string => {
    const { status, reason } = verdictOn(rows, test) ?? NOT_RUN
    return `${status}: ${reason.replaceAll(/[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}/g, '<id>')}`
  }
  return [...Map.groupBy(tests, reasonOf)]
    .map(([reason, held]) => ({ reason, tests: held }))
    .sort((a, b) => b.tests.length - a.tests.length)
}
