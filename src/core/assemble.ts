/** Makes a server's core on a migrated database: the era of its change log begun, its pools of segment ids seeded. */
import type { Model } from '#model/compose.ts'
import type { Policy } from '#policy/policy.ts'
import { beginEra } from '#store/era.ts'
import type { Notifier } from '#store/notify.ts'
import type { Database } from '#store/pool.ts'
import { inTransaction } from '#store/transaction.ts'
import type { Core } from './operation.ts'
import { seedPools } from './segments.ts'
import type { CoreSettings } from './unit.ts'

export interface Parts {
  readonly database: Database
  readonly model: Model
  readonly policy: Policy
  readonly settings: CoreSettings
  readonly notifier: Pick<Notifier, 'poke'>
}

export const assembleCore = ({ database, model, policy, settings, notifier }: Parts): Promise<Core> =>
  inTransaction(database, async (tx) => {
    await beginEra(tx)
    await seedPools(tx, settings.segments)
    return { value: { database, model, policy, settings, notifier } }
  })
