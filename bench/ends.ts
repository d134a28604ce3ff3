/** What must be undone when a benchmark ends, also when it is told to stop half-way. */

const ends: (() => Promise<void>)[] = []
let stopping = false

async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  // Whoever still works with what is taken away fails, and that is nobody's concern.
  process.on('uncaughtException', () => undefined)
  for (const end of ends.toReversed()) await end().catch((error: unknown) => console.error(error))
  process.exit(130)
}

/** Runs `end` once: when disposed, or when SIGINT or SIGTERM comes first. */
export function ending(end: () => Promise<void>): AsyncDisposable {
  if (ends.length === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  ends.push(end)
  return {
    [Symbol.asyncDispose]: async () => {
      if (stopping) return
      ends.splice(ends.indexOf(end), 1)
      if (ends.length === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
      await end()
    },
  }
}
