/** Words and tables for people: aligned columns, colour only on a terminal that wants it. */
import { stripVTControlCharacters } from 'node:util'

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
}

const plain = (text: string): string => text
const paint = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`

/** Colours for a terminal, nothing for a pipe, a dumb terminal or with NO_COLOR set (no-color.org). */
export const styleFor = (out: { isTTY?: boolean }, env: NodeJS.ProcessEnv): Style =>
  out.isTTY === true && env['TERM'] !== 'dumb' && !env['NO_COLOR']
    ? { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31) }
    : { bold: plain, dim: plain, good: plain, bad: plain }

/** Characters a terminal shows. */
export const widthOf = (text: string): number => stripVTControlCharacters(text).length

/** Pure. Rows as lines with aligned columns, the first row being the heading; columns of figures right-aligned. */
export const table = (rows: readonly (readonly string[])[], style?: Style): string => {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, i) => Math.max(0, ...rows.map((row) => widthOf(row[i] ?? ''))))
  const figures = widths.map((_, i) =>
    rows.slice(1).every((row) => /^[-\d., ]*( (ms|s|%))?$/.test(stripVTControlCharacters(row[i] ?? ''))),
  )
  const cell = (text: string, i: number): string => {
    const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(text)))
    return figures[i] && rows.length > 1 ? space + text : text + space
  }
  const line = (row: readonly string[]): string =>
    widths
      .map((_, i) => cell(row[i] ?? '', i))
      .join('  ')
      .trimEnd()
  const [head, ...body] = rows
  if (!head) return ''
  return [style ? style.bold(line(head)) : line(head), ...body.map(line)].join('\n')
}

/** Milliseconds for people: `0.4 ms`, `12 ms`, `1.3 s`. */
export const duration = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
