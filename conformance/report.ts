/** The report: our results beside the peer's, what was lost, what is still to do. All pure. */
import { columns } from '#cli/output.ts'
import { moduleOf, type Outcome, type Row, type Rows, verdictOn } from './results.ts'

export interface Comparison {
  /** Tests meant to run. */
  readonly planned: readonly string[]
  readonly ours: Rows
  readonly peer: Rows
  /** Tests that passed once. */
  readonly passed: ReadonlySet<string>
  /** The run was cut off: what did not run is not held against us. */
  readonly cut: boolean
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
export const regressions = ({ planned, ours, passed, cut }: Comparison): string[] =>
  planned.filter((test) => passed.has(test) && !is(ours, test, 'success') && !(cut && verdictOn(ours, test) === null))

/** Tests that did not run, not even by their class. */
export const leftOut = ({ planned, ours }: Comparison): string[] =>
  planned.filter((test) => verdictOn(ours, test) === null)

/** Tests that the peer passes and we do not. */
export const behindPeer = ({ planned, ours, peer }: Comparison): string[] =>
  planned.filter((test) => is(peer, test, 'success') && !is(ours, test, 'success'))

/** Tests that pass here and not on the peer. */
export const aheadOfPeer = ({ planned, ours, peer }: Comparison): string[] =>
  planned.filter((test) => !is(peer, test, 'success') && is(ours, test, 'success'))

/** What went wrong beside the tests: classes that could not clean up behind themselves. */
export const badTearDowns = ({ ours }: Comparison): string[] =>
  [...ours].flatMap(([test, { status }]) => (test.startsWith('tearDownClass') && status === 'fail' ? [test] : []))

const NOT_RUN: Row = { status: 'fail', seconds: 0, reason: 'not run' }
const ID = /[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]{6,}/g

/** Tests by what became of them, the most frequent first; ids in a reason do not tell two reasons apart. */
export const byReason = (tests: readonly string[], rows: Rows): { reason: string; tests: string[] }[] => {
  const reasonOf = (test: string): string => {
    const { status, reason } = verdictOn(rows, test) ?? NOT_RUN
    return `${status}: ${reason.replaceAll(ID, '<id>')}`
  }
  return [...Map.groupBy(tests, reasonOf)]
    .map(([reason, held]) => ({ reason, tests: held }))
    .sort((a, b) => b.tests.length - a.tests.length)
}

const section = (title: string, tests: readonly string[], rows: Rows, most: number): string[] => {
  if (tests.length === 0) return []
  const reasons = byReason(tests, rows).flatMap(({ reason, tests: held }) => [
    `  ${held.length} × ${reason}`,
    ...held.slice(0, most).map((test) => `      ${test}`),
    ...(held.length > most ? [`      … and ${held.length - most} more`] : []),
  ])
  return ['', `${title}: ${tests.length}`, ...reasons]
}

/** What the server logged as an error, each kind once; `log` is its log, JSON lines. */
export const serverErrors = (log: string): string[] => {
  const messages = log
    .split('\n')
    .filter((line) => /^\{"level":"(error|fatal)"/.test(line))
    .map((line) => {
      const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } }
      return [msg, err?.message]
        .filter((text) => text)
        .join(': ')
        .replaceAll(ID, '<id>')
    })
  return [...Map.groupBy(messages, (message) => message)].map(
    ([message, all]) => `the server logged ${all.length} × ${message}`,
  )
}

/** The whole report; at most `most` tests are named for one reason. */
export const reportOf = (comparison: Comparison, most: number): string[] => {
  const { ours, peer } = comparison
  return [
    ...columns(tableOf(comparison)),
    ...section('the peer passes, we do not', behindPeer(comparison), ours, most),
    ...section('we pass, the peer does not', aheadOfPeer(comparison), peer, most),
    ...section('classes that did not clean up', badTearDowns(comparison), ours, most),
    ...section('LEFT OUT', leftOut(comparison), ours, most),
    ...section('LOST: passed before, not now', regressions(comparison), ours, Number.POSITIVE_INFINITY),
  ]
}
