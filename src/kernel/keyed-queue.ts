/**
 * A work queue of keys, after client-go's: queued, dirty and processing are three sets.
 *
 * Promised: a key never runs twice at once; a key added while it runs runs again afterwards; adding a queued key is
 * a no-op (so coalescing per key is the back-pressure); a failing key is retried alone, after 100 ms and then twice
 * the last delay up to one minute, until it succeeds. Not promised: any order between keys.
 */
export interface KeyedQueue {
  /** Wants `key` to run soon. */
  add(key: string): void
  /** Resolves when nothing is queued or running (keys that wait for a retry do not count). */
  idle(): Promise<void>
  /** Keys that failed last and wait for their retry, with the failure. */
  failing(): ReadonlyMap<string, Error>
  /** Takes no more keys and waits for those running. */
  close(): Promise<void>
}

export interface KeyedQueueOptions {
  /** Keys handed to one `run` call at most. */
  readonly batch?: number
  readonly retry?: { readonly firstMs: number; readonly maxMs: number }
}

/**
 * `run` gets a batch of distinct keys and answers which of them failed; throwing fails the whole batch.
 */
export function createKeyedQueue(
  run: (keys: readonly string[]) => Promise<ReadonlyMap<string, Error> | void>,
  { batch = 1000, retry = { firstMs: 100, maxMs: 60_000 } }: KeyedQueueOptions = {},
): KeyedQueue {
  const queued = new Set<string>()
  const failures = new Map<string, { error: Error; delayMs: number; timer: NodeJS.Timeout | null }>()
  let waiters: (() => void)[] = []
  let running: Promise<void> | null = null
  let closed = false

  const finish = (key: string, error: Error | undefined): void => {
    const last = failures.get(key)
    if (last?.timer) clearTimeout(last.timer)
    if (!error) {
      failures.delete(key)
      return
    }
    const delayMs = last ? Math.min(last.delayMs * 2, retry.maxMs) : retry.firstMs
    const timer = closed ? null : setTimeout(() => add(key), delayMs)
    failures.set(key, { error, delayMs, timer })
  }

  const loop = async (): Promise<void> => {
    while (queued.size > 0) {
      const keys = [...queued].slice(0, batch)
      for (const key of keys) queued.delete(key)
      const outcome = await run(keys).catch((error: unknown) => new Map(keys.map((key) => [key, error as Error])))
      for (const key of keys) finish(key, outcome?.get(key))
    }
  }

  const kick = (): void => {
    if (running) return
    // One turn later, so that everything added in this turn shares a batch.
    running = new Promise<void>((resolve) => setImmediate(resolve)).then(loop).finally(() => {
      running = null
      if (queued.size > 0) return kick()
      for (const resolve of waiters.splice(0)) resolve()
    })
  }

  function add(key: string): void {
    if (closed) return
    queued.add(key)
    kick()
  }

  const idle = (): Promise<void> =>
    running || queued.size > 0 ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve()

  return {
    add,
    idle,
    failing: () => new Map([...failures].map(([key, { error }]) => [key, error])),
    close: async () => {
      closed = true
      queued.clear()
      for (const { timer } of failures.values()) if (timer) clearTimeout(timer)
      await running
      waiters.splice(0).forEach((resolve) => resolve())
    },
  }
}
