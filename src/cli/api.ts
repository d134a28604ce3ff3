/** The server that a command asks: the one of an openrc, or of this machine. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Api, apiFromOpenrc, createApi } from '#lab/api.ts'
import { loadSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import type { CommandContext } from './command.ts'

export interface Reach {
  /** Folder of a server on this machine. */
  readonly data?: string | undefined
  readonly openrc?: string | undefined
}

/** Does the environment say how to reach a server, as a loaded openrc does? */
const isLoaded = (env: CommandContext['env']): boolean => (env['OS_AUTH_URL'] ?? env['OS_ENDPOINT']) !== undefined

/** Without either: the variables of an openrc that is loaded, or the server of this machine. */
export async function apiOf({ openrc, data }: Reach, env: CommandContext['env']): Promise<Api> {
  const file = openrc ?? join(data ?? loadSettings('server', [], env).settings.dataDir, 'openrc')
  const named = openrc !== undefined || data !== undefined
  if (!named && isLoaded(env)) return createApi(env as Record<string, string>)
  if (!existsSync(file))
    throw new UserError(
      `There is no ${file} and neither OS_AUTH_URL nor OS_ENDPOINT: load an openrc, or name one with --openrc.`,
    )
  return apiFromOpenrc(file)
}
