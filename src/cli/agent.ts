/** `deuteron agent`: becomes the agent of this host. What administers agents has files of its own. */
import { become } from '#launch/become.ts'
import { credentialsCommand, enrolCommand, revokeCommand } from './agent-enrol.ts'
import type { Command } from './command.ts'

const SUBCOMMANDS: Readonly<Record<string, Command>> = {
  enrol: enrolCommand,
  revoke: revokeCommand,
  credentials: credentialsCommand,
}

export const agentCommand: Command = {
  usage: 'agent [--server URL,…] [--host NAME] [--dataplane ovs|sim] [SETTINGS]',
  help: `
Runs the agent of this host in the foreground: it realizes what the server wants for the ports here,
and keeps doing so from its own disk when no server answers. Needs root for --dataplane ovs.

${Object.values(SUBCOMMANDS)
  .map(({ usage }) => `  deuteron ${usage}`)
  .join('\n')}

docs/reference/config.md lists the settings.`,

  run: async (args, context) => {
    const [first = '', ...rest] = args
    const { env, root } = context
    return SUBCOMMANDS[first]?.run(rest, context) ?? become(root, 'bin/agent.ts', args, env, null)
  },
}
