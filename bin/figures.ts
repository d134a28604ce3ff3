/**
 * One scrape for all processes of a server: whoever is asked asks the primary process, which asks every worker, and what
 * they tell is added up. A worker that does not tell in time is left out.
 */
import cluster from 'node:cluster'
import { type Figures, figuresOf, type Registry, summed } from '#kernel/metrics.ts'

/** To the primary: `all` asks for everybody's, `mine` tells one's own. From it: `tell` asks for them, `told` is the answer. */
type Message =
  | { readonly figures: 'all' | 'tell'; readonly id: number }
  | { readonly figures: 'mine'; readonly id: number; readonly mine: Figures }
  | { readonly figures: 'told'; readonly id: number; readonly each: readonly Figures[] }

const isMessage = (message: unknown): message is Message =>
  typeof message === 'object' && message !== null && 'figures' in message

const PATIENCE_MS = 2000

/** In the primary process: gathers for whoever asks. */
export function gatherFigures(): void {
  const gathering = new Map<number, (mine: Figures) => void>()
  let last = 0
  cluster.on('message', (asker, message) => {
    if (!isMessage(message)) return
    if (message.figures === 'mine') gathering.get(message.id)?.(message.mine)
    if (message.figures !== 'all') return
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected())
    const [id, each]: [number, Figures[]] = [++last, []]
    const done = (): void => {
      clearTimeout(timer)
      if (!gathering.delete(id) || !asker.isConnected()) return
      asker.send({ figures: 'told', id: message.id, each } satisfies Message)
    }
    const timer = setTimeout(done, PATIENCE_MS)
    gathering.set(id, (mine) => {
      each.push(mine)
      if (each.length === workers.length) done()
    })
    for (const worker of workers) worker?.send({ figures: 'tell', id } satisfies Message)
  })
}

/** What `/metrics` shows: of this process or, where it is one of several, of all of them. */
export function shownFigures(registry: Registry): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics()
  const waiting = new Map<number, (each: readonly Figures[]) => void>()
  const send = (message: Message): void => void process.send?.(message)
  process.on('message', (message) => {
    if (!isMessage(message)) return
    const { id } = message
    if (message.figures === 'tell') void figuresOf(registry).then((mine) => send({ figures: 'mine', id, mine }))
    if (message.figures === 'told') waiting.get(id)?.(message.each)
  })
  let last = 0
  return async () => {
    const id = ++last
    const { promise, resolve } = Promise.withResolvers<readonly Figures[]>()
    waiting.set(id, resolve)
    send({ figures: 'all', id })
    return summed(await promise.finally(() => waiting.delete(id)))
  }
}
