/** What must hold of the database after any run, whatever was killed: counters, addresses, segments, the change log. */
import { loadSettings } from '#launch/settings.ts'
import { coreOn } from '../test/lib/core.ts'
import { verify } from '../test/lib/verify.ts'
import type { Server } from './cloud.ts'

/** What is wrong, one sentence each; empty when all is well. */
export const inconsistencies = async ({ databaseUrl, flags }: Server): Promise<string[]> => {
  const { settings } = loadSettings('server', flags, {})
  await using rig = await coreOn(databaseUrl, { settings })
  return await verify(rig.core)
}
