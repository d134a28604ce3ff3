/**
 * One agent a switch: an OVSDB lock (RFC 7047 §4.1.8) held on a connection of its own.
 *
 * The database server frees it when the connection ends, however the agent dies, so that no stale lock can keep a
 * successor out; and it is the switch that is locked, not a file that two mounts may hide from each other.
 */
import type { Logger } from '#kernel/log.ts'
import { connectRpc, type Rpc } from '#protocol/ovsdb/rpc.ts'

const LOCK = 'deuteron_agent'
/** A predecessor that was just killed may still hold it for a moment. */
const PATIENCE_MS = 2_000
const RETRY_MS = 250

export interface AgentLock {
  close(): void
}

/**
 * Takes the lock or throws the sentence that says who is in the way. When the database restarts it is taken again;
 * `onLost` is told when another agent was faster.
 */
export async function takeLock(target: string, log: Logger, onLost: (message: string) => void): Promise<AgentLock> {
  const stop = new AbortController()
  const taken = `another Deuteron agent runs on the Open vSwitch at ${target}: stop it first, one host has one agent`

  const hold = async (): Promise<Rpc | null> => {
    const granted = Promise.withResolvers<boolean>()
    const rpc = await connectRpc({
      target,
      log,
      signal: stop.signal,
      onNotification: (method, params) => {
        if (method === 'locked' && params[0] === LOCK) granted.resolve(true)
      },
    })
    const answer = (await rpc.call('lock', [LOCK])) as { locked: boolean }
    if (answer.locked) granted.resolve(true)
    const timer = setTimeout(() => granted.resolve(false), PATIENCE_MS)
    const mine = await granted.promise
    clearTimeout(timer)
    if (mine) return rpc
    rpc.close()
    return null
  }

  const watch = async (held: Rpc): Promise<void> => {
    await held.closed
    while (!stop.signal.aborted) {
      const again = await hold().catch(() => 'unreachable' as const)
      if (again === null) return onLost(taken)
      if (again !== 'unreachable') return watch(again)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  const first = await hold()
  if (!first) throw new Error(taken)
  watch(first).catch((error: Error) => log.error({ error: error.message }, 'lost sight of the agent lock'))
  return { close: () => stop.abort() }
}
