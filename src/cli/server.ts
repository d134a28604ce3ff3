/** `deuteron server`: becomes the server, without root's rights, on a database that exists. */
import { accountNamed, isRoot } from '#launch/account.ts'
import { become } from '#launch/become.ts'
import { canRunServer } from '#launch/server-process.ts'
import { loadSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import type { Command } from './command.ts'

export const serverCommand: Command = {
  usage: 'server --database URL [SETTINGS]',
  help: `
Runs the API and the feed on an existing PostgreSQL, in the foreground, with JSON lines on standard
error. Many servers may share one database. "deuteron up" brings a database of its own.
Started by root it turns into the user named by --user first.

docs/reference/config.md lists the settings.`,

  run: async (args, { env, root }) => {
    const { settings } = loadSettings('server', args, env)
    if (settings.databaseUrl === null) {
      throw new UserError('The server needs a database: give --database URL, or use "deuteron up", which brings one.')
    }
    const account = isRoot() && settings.user !== 'root' ? accountNamed(settings.user) : null
    if (account && !canRunServer(account, root)) {
      throw new UserError(
        `User "${account.name}", under which the server runs, cannot reach ${root}: move Deuteron to a folder such as /opt, or accept --user root.`,
      )
    }
    return become(root, 'bin/server.ts', args, env, account)
  },
}
