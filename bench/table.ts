/** Figures as an aligned table. */
import type { Measured } from './load.ts'

const HEAD = [
  'scenario',
  'clients',
  'requests',
  'p50 ms',
  'p95 ms',
  'p99 ms',
  'per second',
  'server CPU ms',
  'failures',
]

/** What another has not measured stays empty. */
const number = (value: number | null, digits: number): string =>
  value === null || Number.isNaN(value) ? '' : value.toFixed(digits)

const cells = (one: Measured): string[] => [
  one.name,
  String(one.clients),
  String(one.requests),
  number(one.p50, 2),
  number(one.p95, 2),
  number(one.p99, 2),
  number(one.perSecond, one.perSecond < 10 ? 1 : 0),
  number(one.cpuMs, 2),
  one.failures === 0 ? '' : String(one.failures),
]

/** Markdown, readable as it is. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  return [
    line(head),
    `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`,
    ...rows.map(line),
  ].join('\n')
}

export const figures = (measured: readonly Measured[]): string => table(HEAD, measured.map(cells))
