/** Makes a server's core on a migrated database: the era of its change log begun, its default ranges of segment ids stored. */
import type { Model } from '#model/compose.ts'
import type { Policy } from '#policy/policy.ts'
import { beginEra } from '#store/era.ts'
import type { Notifier } from '#store/notify.ts'
import type { Database } from '#store/pool.ts'
import { inTransaction } from '#store/transaction.ts'
import { storeDefaultRanges } from './allocation/default-ranges.ts'
import type { Core } from './operation.ts'
import type { CoreSettings } from './unit.ts'

export interface Parts {
  readonly database: Database
  readonly model: Model
  readonly policy: Policy
  readonly settings: CoreSettings
  readonly notifier: Pick<Notifier, 'poke'>
}

export async function assembleCore(parts: Parts): Promise<Core> {
  const { database, model, policy, settings, notifier } = parts
  const core: Core = { database, model, policy, settings, notifier }
  await inTransaction(database, async (tx) => ({ value: await beginEra(tx) }))
  await storeDefaultRanges(core)
  return core
}
