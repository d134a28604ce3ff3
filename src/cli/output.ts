/** Text for people: aligned tables, and colour on a terminal only (NO_COLOR switches it off, FORCE_COLOR on). */

export interface Output {
  /** A line on standard output. */
  line(text?: string): void
  /** A line on standard error: progress, warnings. */
  note(text: string): void
  readonly paint: Paint
}

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
export type Paint = (colour: Colour, text: string) => string

const CODES: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

export const createOutput = (env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): Output => {
  const coloured = env['FORCE_COLOR']
    ? env['FORCE_COLOR'] !== '0'
    : isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return {
    line: (text = '') => console.log(text),
    note: (text) => console.error(text),
    paint: (colour, text) => (coloured ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text),
  }
}

/** Rows in columns, two spaces apart, the last column ragged. */
export const columns = (rows: readonly (readonly string[])[]): string[] => {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length)
  }
  return rows.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** 1536 → "1.5 KiB". */
export const humanSize = (bytes: number): string => {
  const unit = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** unit
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}
