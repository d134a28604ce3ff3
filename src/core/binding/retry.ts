/**
 * Ports whose binding failed are bound anew when something changed that may help them: an agent is back or reaches more,
 * a network has another segment, a range more ids. The change leaves a request in its own transaction; servers take
 * requests one by one and try the ports in batches, each port in a transaction of its own. What a server that dies had
 * taken, another takes up where it stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#kernel/log.ts'
import { SYSTEM } from '../hosts/agents.ts'
import { type Core, operateInternally } from '../operation.ts'
import { failedPorts, noteReached, settleRequest, takeRequest } from './retry-requests.ts'

/** Ports tried before it is noted how far a request has come. */
const BATCH = 50

export interface Rebound {
  readonly tried: number
  /** Bound now, or failing for another reason. */
  readonly changed: number
}

/** Carries out one request. Null: there is none, or none that is ripe. */
export async function rebindOnRequest(
  core: Core,
  log: Pick<Logger, 'warn'>,
  signal?: AbortSignal,
): Promise<Rebound | null> {
  const { database } = core
  const request = await takeRequest(database)
  if (!request) return null
  let { reached } = request
  let [tried, changed] = [0, 0]
  while (!signal?.aborted) {
    const ports = await failedPorts(database, request, reached, BATCH)
    for (const id of ports) {
      if (await rebindOne(core, id, log)) changed++
      tried++
    }
    reached = ports.at(-1) ?? reached
    if (ports.length < BATCH) {
      await settleRequest(database, request)
      break
    }
    await noteReached(database, request, reached)
  }
  return { tried, changed }
}

/** True: its binding is another than before. One that cannot be tried does not keep the others waiting. */
const rebindOne = (core: Core, id: string, log: Pick<Logger, 'warn'>): Promise<boolean> =>
  operateInternally(core, SYSTEM, 'rebind', ({ context }) => context.binding.rebind(id)).catch((error: Error) => {
    log.warn({ port: id, error: error.message }, 'a port could not be bound anew')
    return false
  })

export interface RebindOptions {
  readonly core: Core
  readonly log: Logger
  /** Milliseconds between looks at the requests. */
  readonly everyMs?: number
}

/** Carries out requests until it is closed; any number of servers may. */
export function startRebinding({ core, log, everyMs = 1000 }: RebindOptions): { close(): Promise<void> } {
  const stop = new AbortController()
  const { signal } = stop
  const running = (async () => {
    while (!signal.aborted) {
      const done = await rebindOnRequest(core, log, signal).catch((error: Error) => {
        log.warn({ error: error.message }, 'ports could not be bound anew; trying again')
        return null
      })
      if (done && done.tried > 0) log.info(done, 'ports whose binding had failed were tried anew')
      if (done === null) await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    }
  })()
  return {
    close: async () => {
      stop.abort()
      await running
    },
  }
}
