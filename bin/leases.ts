/** Ends bindings of ports whose live migration was abandoned, and says so. */
import { SYSTEM } from '#core/hosts/agents.ts'
import { type Core, operateInternally } from '#core/operation.ts'
import { expireBindings } from '#extensions/port-bindings/lease.ts'
import type { Logger } from '#kernel/log.ts'
import { counter, type Registry } from '#kernel/metrics.ts'

export interface LeaseParts {
  readonly core: Core
  readonly registry: Registry
  readonly log: Logger
}

/** Several servers that do it at once find each binding once. */
export function leasesOf({ core, registry, log }: LeaseParts): () => Promise<void> {
  const ended = counter(registry, 'port_bindings_expired_total', 'Inactive bindings of ports whose lease was over.')
  return async () => {
    const gone = await operateInternally(core, SYSTEM, 'leases of bindings', (unit) => expireBindings(unit.context))
    for (const one of gone) log.warn({ ...one }, 'a binding that nobody activated was removed: its lease was over')
    ended.inc(gone.length)
  }
}
