/**
 * Slows down whoever guesses passwords. After five wrong ones in a row a user name (from one address) must wait: one
 * second, then twice as long each time, up to a minute; a right password or a quarter of an hour forgets all.
 * Guesses at one name are checked one after another, so that many at once gain nothing. Per process, in memory.
 */
export interface Throttle {
  /** Runs `attempt` in its turn. `waitSeconds` is above 0 when it was not run because it is too early. */
  guard(
    key: string,
    attempt: () => Promise<boolean>,
  ): Promise<{ readonly right: boolean; readonly waitSeconds: number }>
}

const FREE = 5
const LONGEST_MS = 60_000
const FORGET_MS = 15 * 60_000
const KEYS_KEPT = 10_000

export function createThrottle(clock: () => number): Throttle {
  const failures = new Map<string, { count: number; at: number }>()
  const queues = new Map<string, Promise<unknown>>()

  const waitMs = (key: string): number => {
    const failed = failures.get(key)
    if (!failed) return 0
    if (clock() - failed.at > FORGET_MS) failures.delete(key)
    const pause = failed.count < FREE ? 0 : Math.min(1000 * 2 ** (failed.count - FREE), LONGEST_MS)
    return Math.max(0, failed.at + pause - clock())
  }
  const note = (key: string, right: boolean): void => {
    const count = (failures.get(key)?.count ?? 0) + 1
    failures.delete(key)
    if (!right) failures.set(key, { count, at: clock() })
    // Names that nobody has are guessed too: the oldest entry makes room.
    if (failures.size > KEYS_KEPT) for (const oldest of failures.keys()) return void failures.delete(oldest)
  }
  const turn = async (key: string, attempt: () => Promise<boolean>) => {
    const wait = waitMs(key)
    if (wait > 0) return { right: false, waitSeconds: Math.ceil(wait / 1000) }
    const right = await attempt()
    note(key, right)
    return { right, waitSeconds: 0 }
  }
  return {
    guard: (key, attempt) => {
      const mine = (queues.get(key) ?? Promise.resolve()).then(() => turn(key, attempt))
      const settled = mine.then(
        () => undefined,
        () => undefined,
      )
      queues.set(key, settled)
      void settled.then(() => queues.get(key) === settled && queues.delete(key))
      return mine
    },
  }
}
