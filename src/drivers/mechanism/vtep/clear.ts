/** Takes everything of ours out of a ToR that is not to be looked after any more. */
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '#kernel/log.ts'
import { createTor, type TorOptions } from './tor.ts'

export interface ClearOptions {
  readonly connection: TorOptions['connection']
  /** `Physical_Switch.name` in the ToR's database. */
  readonly switch: string
  readonly withinMs?: number
}

/** Answers null once nothing of ours is left, else why something may be. */
export async function clearTor({ connection, switch: name, withinMs = 10_000 }: ClearOptions): Promise<string | null> {
  const tor = createTor({ connection, log: silentLogger })
  tor.want({ version: 1, switch: name, networks: [] })
  try {
    const from = performance.now()
    for (let waited = 0; waited < withinMs; waited = performance.now() - from) {
      const { state, reason, reconciledAt } = tor.status()
      if (state === 'in_sync' && reconciledAt) return null
      // It was tried more than once by then.
      if (state === 'unreachable' && reason !== null && waited > withinMs / 5) return reason
      await sleep(20)
    }
    const { state, reason } = tor.status()
    return reason ?? (state === 'unreachable' ? 'no connection' : `still ${state}`)
  } finally {
    await tor.close()
  }
}
