/** A core of its own on a database that is there already: a second server, one after a restore, one that fails. */
import { assembleCore } from '#core/assemble.ts'
import type { Core } from '#core/operation.ts'
import { extensions } from '#extensions/index.ts'
import { silentLogger } from '#kernel/log.ts'
import { loadSettings, type ServerSettings } from '#launch/settings.ts'
import { compose } from '#model/compose.ts'
import { createPolicy } from '#policy/policy.ts'
import { coreResources } from '#resources/index.ts'
import { type Database, openDatabase } from '#store/pool.ts'
import { coreSettingsOf } from '../../bin/parts.ts'

export interface TestCore extends AsyncDisposable {
  readonly core: Core
  readonly database: Database
  close(): Promise<void>
}

export interface CoreOptions {
  readonly settings?: Partial<ServerSettings>
  readonly onStatement?: (text: string) => void
  /** Puts something between the core and its database. */
  readonly wrap?: (database: Database) => Database
  readonly size?: number
}

export async function coreOn(
  url: string,
  { settings, onStatement, wrap, size = 8 }: CoreOptions = {},
): Promise<TestCore> {
  const all = { ...loadSettings('server', ['--database', url], {}).settings, ...settings }
  const { agentDownTime, enforceNewDefaults, enforceScope } = all
  const database = openDatabase({ url, size, log: silentLogger, agentDownTime, ...(onStatement && { onStatement }) })
  const close = (): Promise<void> => database.close()
  const core = await assembleCore({
    database: wrap ? wrap(database) : database,
    model: compose(coreResources, extensions),
    policy: createPolicy({ enforceNewDefaults, enforceScope }),
    settings: await coreSettingsOf(all, silentLogger),
    notifier: { poke: () => undefined },
  })
  return { core, database, close, [Symbol.asyncDispose]: close }
}
