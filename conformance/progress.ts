/** Tells how far a run is: failures as they come, with a file of details each, and a line now and then. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Finished, Row } from './results.ts'

export interface Progress {
  readonly rows: Map<string, Row>
  take(finished: Finished): void
  end(): void
}

const EVERY_MS = 15_000

/** `folder` is emptied, and gets the tracebacks and logs of what fails. */
export const createProgress = (planned: number, folder: string): Progress => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const rows = new Map<string, Row>()
  const began = Date.now()
  let told = 0
  const tell = (): void => {
    told = Date.now()
    const count = (status: string): number => [...rows.values()].filter((row) => row.status === status).length
    const seconds = Math.round((told - began) / 1000)
    process.stdout.write(
      `${rows.size} of ${planned}: ${count('success')} passed, ${count('fail')} failed, ${count('skip')} skipped (${seconds} s)\n`,
    )
  }
  return {
    rows,
    take: ({ test, row, details }) => {
      rows.set(test, row)
      if (row.status === 'fail') {
        process.stdout.write(`FAILED ${test}: ${row.reason}\n`)
        writeFileSync(join(folder, `${test.replaceAll(/[^\w.-]+/g, '_').slice(0, 200)}.txt`), details)
      }
      if (Date.now() - told > EVERY_MS) tell()
    },
    end: tell,
  }
}
