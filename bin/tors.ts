/** The ToRs' part of a server: the hardware VTEPs it was told of are kept as the database wants them. */
import { readFileSync } from 'node:fs'
import type { Core } from '#core/operation.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { ServerSettings } from '#launch/settings.ts'
import type { Notifier } from '#store/notify.ts'
import { readKnown } from '#tor/queries.ts'
import { startTors } from '#tor/service.ts'

export interface TorParts {
  readonly core: Core
  readonly notifier: Notifier
  readonly settings: ServerSettings
  readonly registry: Registry
  readonly log: Logger
}

/** Looks after them until the stack is disposed; nothing when there are none and never were. */
export async function serveTors(
  { core, notifier, settings, registry, log }: TorParts,
  stack: AsyncDisposableStack,
): Promise<void> {
  const { tors, torTlsCertificate, torTlsKey, torTlsCa } = settings
  if (tors.length === 0 && (await readKnown(core.database)).size === 0) return
  const read = (path: string): string => readFileSync(path, 'utf8')
  const tls =
    torTlsCertificate === null || torTlsKey === null || torTlsCa === null
      ? null
      : { cert: read(torTlsCertificate), key: read(torTlsKey), ca: read(torTlsCa) }
  const heartbeatMs = settings.heartbeatInterval * 1000
  const served = startTors({ core, tors, tls, hint: () => notifier.hint(), heartbeatMs, registry, log })
  stack.defer(() => served.close())
}
