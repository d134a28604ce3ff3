/**
 * Drivers whose answer depends on another system. They are never asked inside a transaction: it is rolled back, they
 * are asked, and the whole operation runs again with what they said. An answer counts only for the facts it was asked
 * about, so what is committed was true of the facts it was committed with: compare-and-swap.
 */
import { newId } from '#kernel/ids.ts'
import type { Refusal } from '../contracts.ts'
import { type Asked, type OutsideAnswer, questionOf } from './plan.ts'

/** Milliseconds that a driver may take to ask. */
export const ASK_LIMIT_MS = 5000
/** How often one driver is asked about one segment of a port whose facts keep changing. */
const MAX_ROUNDS = 10

/** Thrown out of the transaction: these must be asked first. */
export class AskFirst extends Error {
  readonly asked: readonly Asked[]

  constructor(asked: readonly Asked[]) {
    super(`${asked.map((one) => one.driver.name).join(', ')} must be asked outside the transaction`)
    this.asked = asked
  }
}

/** What was learned outside, over all runs of one operation. */
export class Outside {
  readonly answers = new Map<string, OutsideAnswer>()
  readonly #rounds = new Map<string, number>()
  readonly #ids: string[] = []

  /** The ids of new objects: every run draws the same ones in the same order, or no answer would fit the next run. */
  ids(): () => string {
    let drawn = 0
    return () => (this.#ids[drawn++] ??= newId())
  }

  async ask(asked: readonly Asked[], limit: number): Promise<void> {
    const answers = await Promise.all(asked.map((one) => this.#answer(one, limit)))
    for (const [index, { driver, facts }] of asked.entries())
      this.answers.set(questionOf(driver, facts), answers[index] as OutsideAnswer)
  }

  async #answer({ driver, facts }: Asked, limit: number): Promise<OutsideAnswer> {
    const { id, network_type, physical_network } = facts.segment
    const about = [driver.name, facts.port.id, facts.host, facts.level, id ?? network_type, physical_network].join(' ')
    const round = (this.#rounds.get(about) ?? 0) + 1
    this.#rounds.set(about, round)
    if (round > MAX_ROUNDS) return { refused: 'contention', facts: { rounds: MAX_ROUNDS } }
    return inTime(async () => ({ said: await driver.ask?.(facts) }), limit)
  }
}

/** An answer, or why there is none. Whoever is late is not waited for, and not heard either. */
async function inTime(ask: () => Promise<OutsideAnswer>, limit: number): Promise<OutsideAnswer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Refusal>((resolve) => {
    timer = setTimeout(() => resolve({ refused: 'driver_timed_out', facts: { limit_ms: limit } }), limit)
  })
  try {
    return await Promise.race([ask(), late])
  } catch (error) {
    return { refused: 'driver_failed', facts: { error: error instanceof Error ? error.message : String(error) } }
  } finally {
    clearTimeout(timer)
  }
}

/** Runs an operation until nobody must be asked any more. Each round asks something new, so it ends. */
export async function askingOutside<T>(run: (outside: Outside) => Promise<T>, limit = ASK_LIMIT_MS): Promise<T> {
  const outside = new Outside()
  for (;;) {
    try {
      return await run(outside)
    } catch (error) {
      if (!(error instanceof AskFirst)) throw error
      await outside.ask(error.asked, limit)
    }
  }
}
