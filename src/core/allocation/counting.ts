/** What an operation adds to the quota counters, moved in one statement with COMMIT. */
import { countStatement } from '#store/quota.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Draft, Op } from '#model/define.ts'

interface Count {
  delta: number
  readonly projectId: string
  readonly resource: string
  readonly enforce: boolean
}

export interface Counting {
  /** A client's own object must fit its quota; what the system adds (`internal`) is counted without refusing. */
  note(resource: ComposedResource, op: Op, object: Readonly<Draft>, internal: boolean): void
  /** The statement that moves the counters, always in the same order; none when nothing is counted. */
  statements(): { readonly text: string; readonly params: readonly unknown[] }[]
}

/** `limits`: of projects that have none of their own. */
export function createCounting(limits: Readonly<Record<string, number>>): Counting {
  const all = new Map<string, Count>()
  return {
    note: ({ quota }, op, object, internal) => {
      if (!quota || op === 'update') return
      const projectId = String(object['project_id'] ?? '')
      const key = `${projectId} ${quota} ${internal}`
      const count = all.get(key) ?? { delta: 0, projectId, resource: quota, enforce: !internal }
      count.delta += op === 'create' ? 1 : -1
      all.set(key, count)
    },
    statements: () => {
      const counts = [...all.values()]
        .filter((count) => count.delta !== 0)
        .sort((a, b) => (`${a.projectId} ${a.resource}` < `${b.projectId} ${b.resource}` ? -1 : 1))
        .map((one) => ({ ...one, fallback: limits[one.resource] ?? -1 }))
      return counts.length > 0 ? [countStatement(counts)] : []
    },
  }
}
