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

/** Without either: the variables of an openrc that is loaded, or the server of this machine. */
export async function apiOf({ openrc, data }: Reach, env: CommandContext['env']): Promise<Api> {
  const file = openrc ?? join(data ?? loadSettings('server', [], env).settings.dataDir, 'openrc')
  const named = openrc !== undefined || data !== undefined
  if (!named && env['OS_AUTH_URL'] !== undefined) return createApi(env as Record<string, string>)
  if (!existsSync(file))
    throw new UserError(`There is no ${file} and no OS_AUTH_URL: load an openrc, or name one with --openrc.`)
  return apiFromOpenrc(file)
}
