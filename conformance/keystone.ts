/** The Keystone of a run. Its folder is made once and taken again by a later run on the same port. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startKeystone as start } from '../test/lib/keystone.ts'

export const REGION = 'RegionOne'
/** Of every user; reachable from this machine alone, and gone with the run. */
export const PASSWORD = 'secret'

export interface KeystoneOptions {
  readonly folder: string
  readonly port: number
  readonly log: string
}

/** Starts it; ends with `stack`. Answers its URL, which ends with `/v3`. */
export async function startKeystone(
  stack: AsyncDisposableStack,
  { folder, port, log }: KeystoneOptions,
): Promise<{ readonly url: string }> {
  // The catalogue in its database names the port.
  const ready = join(folder, 'ready')
  if (!existsSync(ready) || readFileSync(ready, 'utf8') !== String(port))
    rmSync(folder, { recursive: true, force: true })
  const options = { dir: folder, port, log, password: PASSWORD, tokenSeconds: 86_400, cached: true }
  const { url } = stack.use(await start(options))
  writeFileSync(ready, String(port))
  return { url }
}
