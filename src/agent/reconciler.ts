/**
 * From changed keys to the data plane: batches of distinct keys, one batch at a time, each failing key retried alone
 * with growing pauses. Keys that vanished while the world was not in sync come again once it is: nothing that stands
 * on the host is removed before that.
 */
import type { Dataplane } from '#dataplane/port.ts'
import { createKeyedQueue, type KeyedQueueOptions } from '#kernel/keyed-queue.ts'
import type { Logger } from '#kernel/log.ts'
import { keyOf, splitKey, type WireKey, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'

export interface Reconciler {
  /** These keys may differ between world and host. */
  changed(keys: readonly WireKey[]): void
  /** The world became in sync for the first time: what nobody wants any more may go now. */
  sweep(): void
  /** The world is in sync again: what had to stay is looked at once more. */
  release(): void
  /** Keys whose last attempt failed, with the failure. */
  failing(): ReadonlyMap<string, Error>
  idle(): Promise<void>
  close(): Promise<void>
}

/** No key of the world; makes a batch run even if the world is empty, so that the data plane sees "in sync". */
const SWEEP = ''

export function createReconciler(options: {
  readonly dataplane: Dataplane
  readonly state: () => { readonly world: World; readonly inSync: boolean }
  readonly report: (realizations: readonly Realization[]) => void
  readonly log: Logger
  readonly queue?: KeyedQueueOptions
}): Reconciler {
  const { dataplane, state, report, log } = options
  const kept = new Set<WireKey>()

  const run = async (batch: readonly string[]): Promise<ReadonlyMap<string, Error>> => {
    const { world, inSync } = state()
    const keys = batch.filter((key) => key !== SWEEP) as WireKey[]
    if (!inSync) for (const key of keys) if (!wanted(world, key)) kept.add(key)
    const realizations = await dataplane.reconcile(world, keys, inSync)
    report(realizations)
    const failed = realizations.filter(({ state: outcome }) => outcome === 'error')
    for (const { kind, id, message } of failed) log.warn({ kind, id, message }, 'not realized; will be tried again')
    return new Map(failed.map(({ kind, id, message }) => [keyOf(kind, id), new Error(message ?? 'no reason given')]))
  }

  const logged = async (batch: readonly string[]): Promise<ReadonlyMap<string, Error>> => {
    try {
      return await run(batch)
    } catch (error) {
      log.error({ err: error, keys: batch.length }, 'the data plane failed on a batch; will be tried again')
      throw error
    }
  }

  const queue = createKeyedQueue(logged, options.queue)
  const release = (): void => {
    for (const key of kept) queue.add(key)
    kept.clear()
  }
  return {
    changed: (keys) => keys.forEach((key) => queue.add(key)),
    sweep: () => {
      queue.add(SWEEP)
      for (const key of allKeys(state().world)) queue.add(key)
      release()
    },
    release,
    failing: queue.failing,
    idle: queue.idle,
    close: queue.close,
  }
}

const wanted = (world: World, key: WireKey): boolean => {
  const { type, id } = splitKey(key)
  return world[type].has(id)
}

export function* allKeys(world: World): Generator<WireKey> {
  for (const [type, table] of Object.entries(world)) for (const id of table.keys()) yield `${type}/${id}` as WireKey
}
