/** Kills the server at random while tests run, as a power cut would, and starts it again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from './cloud.ts'

export interface Killer {
  /** No further kill; resolves with how many there were, when the server answers again. */
  stop(): Promise<number>
}

/** A pause of `seconds` on average lies between two kills. */
export const killNowAndThen = (server: Server, seconds: number): Killer => {
  const stopping = new AbortController()
  let kills = 0
  const running = (async () => {
    for (;;) {
      const pause = seconds * 1000 * (0.5 + Math.random())
      const goOn = await sleep(pause, true, { signal: stopping.signal }).catch(() => false)
      if (!goOn) return
      await server.kill()
      kills += 1
      await server.start()
    }
  })()
  running.catch(() => undefined)
  return {
    stop: async () => {
      stopping.abort()
      await running
      return kills
    },
  }
}
