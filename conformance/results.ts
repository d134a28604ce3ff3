/** Results of tests: gathered from a subunit stream, kept as a table of text, looked up per planned test. */
import type { Packet } from './subunit.ts'

export type Outcome = 'success' | 'fail' | 'skip'

export interface Row {
  readonly status: Outcome
  readonly seconds: number
  /** First words of the exception, or why it was skipped; one line. */
  readonly reason: string
}

/** By test id; what ended a whole class is called `setUpClass (its.path.and.Name)`. */
export type Rows = ReadonlyMap<string, Row>

const OUTCOME: Readonly<Record<string, Outcome>> = {
  success: 'success',
  xfail: 'success',
  fail: 'fail',
  uxsuccess: 'fail',
  skip: 'skip',
}

interface Running {
  started: number | null
  readonly files: Map<string, Buffer[]>
}

export interface Finished {
  readonly test: string
  readonly row: Row
  /** Traceback and what was logged, for a person. */
  readonly details: string
}

/** Takes packets in order; answers the test that a packet ended. */
export const createGatherer = (): ((packet: Packet) => Finished | null) => {
  const running = new Map<string, Running>()
  return ({ test, status, at, file }) => {
    if (test === null) return null
    const one = running.get(test) ?? { started: null, files: new Map() }
    running.set(test, one)
    if (file) one.files.set(file.name, [...(one.files.get(file.name) ?? []), file.content])
    if (status === 'inprogress') one.started = at
    const outcome = OUTCOME[status ?? '']
    if (outcome === undefined) return null
    running.delete(test)
    const texts = new Map([...one.files].map(([name, parts]) => [name, Buffer.concat(parts).toString('utf8')]))
    const seconds = at !== null && one.started !== null ? at - one.started : 0
    const details = [...texts].map(([name, text]) => `== ${name}\n${text}`).join('\n')
    return { test, row: { status: outcome, seconds, reason: reasonOf(outcome, texts) }, details }
  }
}

const EXCEPTION =
  /^[\w.]*(Error|Exception|Conflict|NotFound|BadRequest|Fault|Forbidden|Timeout|Mismatch\w*|Found|Unauthorized|Invalid\w*|Skip\w*)\b/

const TEST_FRAME = /^\s*File "[^"]*\/test_\w+\.py"/

const reasonOf = (outcome: Outcome, texts: ReadonlyMap<string, string>): string => {
  if (outcome === 'success') return ''
  const given = texts.get('reason')
  if (given !== undefined) return oneLine(given)
  const traceback = [...texts].find(([name]) => name.startsWith('traceback'))?.[1] ?? ''
  const lines = traceback.split('\n').filter((line) => line.trim() !== '')
  const thrown = lines.findLast((line) => EXCEPTION.test(line)) ?? lines.at(-1) ?? 'no traceback'
  const details = lines.findLast((line) => line.startsWith('Details:'))
  if (details !== undefined) return oneLine(thrown.includes(details) ? thrown : `${thrown} ${details}`)
  const [, file, line] =
    /\/(test_\w+\.py)", line (\d+)/.exec(lines.findLast((text) => TEST_FRAME.test(text)) ?? '') ?? []
  return oneLine(file === undefined ? thrown : `${thrown} (${file}:${line})`)
}

const oneLine = (text: string): string => text.trim().replaceAll(/\s+/g, ' ').slice(0, 300)

const HEADING = 'test\tstatus\tseconds\treason'

export const formatRows = (rows: Rows): string =>
  [
    HEADING,
    ...[...rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([test, { status, seconds, reason }]) => [test, status, seconds.toFixed(2), reason].join('\t')),
    '',
  ].join('\n')

export const parseRows = (text: string): Map<string, Row> =>
  new Map(
    text
      .split('\n')
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => {
        const [test = '', status = '', seconds = '0', reason = ''] = line.split('\t')
        return [test, { status: status as Outcome, seconds: Number(seconds), reason }]
      }),
  )

/** The path of a test's class: `a.b.test_c.Class.test_d[id-…]` → `a.b.test_c.Class`. */
export const classOf = (test: string): string => test.replace(/[[(].*$/s, '').replace(/\.[^.]*$/, '')

/** The module, what the table has a line for: `a.b.test_c`. */
export const moduleOf = (test: string): string => classOf(test).replace(/\.[^.]*$/, '')

/** What became of `test`, by its own row or by its class's; null when it did not run. */
export const verdictOn = (rows: Rows, test: string): Row | null =>
  rows.get(test) ?? rows.get(`setUpClass (${classOf(test)})`) ?? null
