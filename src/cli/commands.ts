/** The commands, in the order `help` shows them. Each is loaded when it is called: `help` stays fast. */
import { nearest } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import type { Command, CommandContext } from './command.ts'
import { columns } from './output.ts'

interface Entry {
  readonly summary: string
  load(): Promise<Command>
}

/** The lab answers for itself: its own subcommands, help and failures. */
const loadLab = async (): Promise<Command> => {
  const { labCommand } = await import('./lab.ts')
  return {
    usage: 'lab COMMAND',
    help: 'See "deuteron lab help".',
    ownHelp: true,
    run: (args, { env }) => labCommand([...args], { stdout: process.stdout, env }),
  }
}

export const COMMANDS: Readonly<Record<string, Entry>> = {
  up: {
    summary: 'start a database and the server on this machine',
    load: async () => (await import('./up.ts')).upCommand,
  },
  server: {
    summary: 'run the server alone (API and feed)',
    load: async () => (await import('./server.ts')).serverCommand,
  },
  agent: { summary: 'run the agent of this host', load: async () => (await import('./agent.ts')).agentCommand },
  lab: { summary: 'hosts and virtual machines as namespaces, to try and to break (root)', load: loadLab },
  db: {
    summary: 'status, migration, backup and restore of the database',
    load: async () => (await import('./db.ts')).dbCommand,
  },
  outbox: {
    summary: 'what Nova and Placement were told, what waits, and telling it again',
    load: async () => (await import('./outbox.ts')).outboxCommand,
  },
  tor: {
    summary: 'how the hardware switches are that the server configures, and forgetting one',
    load: async () => (await import('./tor.ts')).torCommand,
  },
  explain: {
    summary: 'why a port is bound as it is, or not, and where it could be',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  policy: {
    summary: 'the policy in force, and what it says to a caller',
    load: async () => (await import('./policy.ts')).policyCommand,
  },
  config: { summary: 'show the settings in force', load: async () => (await import('./config.ts')).configCommand },
  reference: {
    summary: 'write the generated pages of docs/reference',
    load: async () => (await import('./reference.ts')).referenceCommand,
  },
  conformance: {
    summary: 'run the tests of OpenStack Networking against this server',
    load: async () => (await import('./conformance.ts')).conformanceCommand,
  },
  test: { summary: 'run every test this machine can run', load: async () => (await import('./test.ts')).testCommand },
}

const overview = ({ out }: CommandContext): number => {
  out.line('Deuteron: networks, subnets, ports and what moves their packets.')
  out.line()
  out.line('usage: deuteron COMMAND [OPTIONS]')
  out.line()
  const rows = Object.entries(COMMANDS).map(([name, { summary }]) => [`  ${name}`, summary])
  for (const row of columns([
    ...rows,
    ['  version', 'print the version'],
    ['  help', 'this overview; help COMMAND for one'],
  ])) {
    out.line(row)
  }
  return 0
}

const find = (name: string): Entry => {
  const entry = COMMANDS[name]
  if (entry) return entry
  const near = nearest(name, [...Object.keys(COMMANDS), 'version', 'help'])
  const hint = near ? `did you mean "${near}"?` : '"deuteron help" lists them.'
  throw new UserError(`There is no command "${name}": ${hint}`, { exitCode: 2 })
}

const explain = ({ usage, help }: Command, { out }: CommandContext): number => {
  out.line(`usage: deuteron ${usage}`)
  out.line()
  out.line(help.trim())
  return 0
}

/** Whether `--help` stands among the options (not behind `--`). */
const asksForHelp = (args: readonly string[]): boolean => {
  const end = args.indexOf('--')
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === '--help' || arg === '-h')
}

/** Runs what the command line asks for; answers the exit code. */
export const dispatch = async (argv: readonly string[], version: string, context: CommandContext): Promise<number> => {
  const [first = 'help', ...rest] = argv
  if (first === 'version' || first === '--version') {
    context.out.line(`deuteron ${version}`)
    return 0
  }
  if (first === 'help' || first === '--help' || first === '-h') {
    return rest[0] ? explain(await find(rest[0]).load(), context) : overview(context)
  }
  const command = await find(first).load()
  return asksForHelp(rest) && !command.ownHelp ? explain(command, context) : command.run(rest, context)
}
