/** The processes of a server with `--workers N`: a primary keeps N that serve the API and one that serves the feed. */
import cluster from 'node:cluster'
import type { Logger } from '#kernel/log.ts'
import { gatherFigures } from './figures.ts'

export type Role = 'all' | 'api' | 'feed'
/** How the primary tells a worker its role; not a setting. */
const ROLE = 'SERVER_ROLE'

export const roleOf = (): Role => (process.env[ROLE] as Role | undefined) ?? 'all'

/** One feed process and N API processes; one that ends by itself is replaced, a second later at most once a second. */
export function supervise(workers: number, log: Logger, stack: AsyncDisposableStack): void {
  let stopping = false
  gatherFigures()
  const start = (role: Role): void => {
    const worker = cluster.fork({ [ROLE]: role })
    worker.once('exit', (code, signal) => {
      if (stopping) return
      log.error({ role, code, signal }, 'a worker ended; starting another')
      setTimeout(() => start(role), 1000)
    })
  }
  start('feed')
  for (let count = 0; count < workers; count++) start('api')
  stack.defer(async () => {
    stopping = true
    const all = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
    const ended = all.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
    for (const worker of all) worker.process.kill('SIGTERM')
    await Promise.all(ended)
  })
}
