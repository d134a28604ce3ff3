/** `deuteron config show`: the settings in force and where each came from. */
import { loadSettings } from '#launch/settings.ts'
import { settingRows } from '#launch/settings-print.ts'
import { UserError } from '#launch/user-error.ts'
import type { Command } from './command.ts'
import { columns } from './output.ts'

export const configCommand: Command = {
  usage: 'config show [--server | --agent] [SETTINGS]',
  help: `
Prints every setting of the server (or of the agent), its value and where the value came from:
a flag, an environment variable, deuteron.yaml or the default. Secrets are hidden.
docs/reference/config.md says what each means.`,

  run: async ([verb, ...args], { env, out }) => {
    if (verb !== 'show') throw new UserError('Say "deuteron config show".', { exitCode: 2 })
    const program = args.includes('--agent') ? 'agent' : 'server'
    const loaded = loadSettings(program, args, env, { server: 'boolean', agent: 'boolean' })
    const rows = settingRows(program, loaded).map(([key, value, source]) => [key, value || '-', source])
    const lines = columns([['SETTING', 'VALUE', 'FROM'], ...rows])
    for (const [i, line] of lines.entries()) {
      out.line(i === 0 ? out.paint('bold', line) : rows[i - 1]?.[2] === 'default' ? out.paint('dim', line) : line)
    }
    return 0
  },
}
