/** `deuteron tor`: how the hardware switches (ToRs) are that the server configures, and taking one out for good. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { ApiRefused, type Api } from '#lab/api.ts'
import { loadSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import { apiOf } from './api.ts'
import type { Command, CommandContext } from './command.ts'
import { columns } from './output.ts'

const OPTIONS = {
  data: { type: 'string' },
  openrc: { type: 'string' },
  anyway: { type: 'boolean' },
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

/** A ToR's agent; what it says of itself may be older than this program. */
interface Tor {
  readonly id: string
  readonly host: string
  readonly alive: boolean
  readonly configurations: {
    readonly physical_network?: string
    readonly tunnel_ip?: string | null
    readonly target?: string
    readonly switch?: string
    readonly configured?: boolean
    readonly unreachable?: string | null
    readonly problems?: readonly Problem[]
    readonly vlan_bindings?: number
    readonly remote_macs?: number
    readonly reconciled_at?: string | null
    readonly last_error?: { readonly at: string; readonly message: string } | null
  }
}
interface Problem {
  readonly network: string
  readonly reason: string
  readonly facts: Readonly<Record<string, unknown>>
  readonly remedy?: string
}

interface Asked {
  readonly api: Api
  readonly values: Values
  readonly name: string | undefined
  readonly context: CommandContext
}

const torsOf = async (api: Api): Promise<readonly Tor[]> => {
  const { agents } = (await api.call('GET', 'agents?agent_type=Hardware%20VTEP%20agent')) as unknown as {
    agents: readonly Tor[]
  }
  return agents.toSorted((a, b) => (a.host < b.host ? -1 : 1))
}

const stateOf = ({ alive, configurations: { configured, unreachable } }: Tor): string => {
  if (configured === false) return 'not configured'
  return alive && (unreachable ?? null) === null ? 'connected' : 'unreachable'
}

/** How long ago, in whole seconds. */
const ago = (at: string | null | undefined, now: number): string =>
  at ? `${Math.max(0, Math.round((now - Date.parse(at)) / 1000))} s ago` : '–'

/** Pure. The lines of `tor list`: a row a ToR, then what is wrong and what to do. */
export function listing(tors: readonly Tor[], now: number): string[] {
  if (tors.length === 0) return ['There are no ToRs: the setting tors names them.']
  const rows = tors.map((tor) => {
    const { physical_network, tunnel_ip, vlan_bindings, remote_macs, reconciled_at, unreachable, last_error } =
      tor.configurations
    const numbers = [vlan_bindings, remote_macs].map((one) => String(one ?? '–'))
    const error = unreachable ?? (last_error ? `${last_error.message} (${ago(last_error.at, now)})` : '–')
    return [
      tor.host,
      stateOf(tor),
      physical_network ?? '–',
      tunnel_ip ?? '–',
      ...numbers,
      ago(reconciled_at, now),
      error,
    ]
  })
  const head = ['TOR', 'STATE', 'PHYSICAL NETWORK', 'TUNNEL', 'VLANS', 'REMOTE MACS', 'COMPARED', 'LAST ERROR']
  const wrong = tors.flatMap(({ host, configurations: { problems = [] } }) =>
    problems.flatMap(({ network, reason, facts, remedy }) => [
      `${host}: ${reason} for network ${network}: ${JSON.stringify(facts)}`,
      ...(remedy ? [`  ${remedy}`] : []),
    ]),
  )
  return [...columns([head, ...rows]), ...wrong]
}

async function list({ api, context: { out } }: Asked): Promise<void> {
  for (const line of listing(await torsOf(api), Date.now())) out.line(line)
}

/** Takes our rows out of the switch's database, where it can be reached, and then its agent. */
async function forget({ api, values, name, context }: Asked): Promise<void> {
  const tors = await torsOf(api)
  const tor = tors.find(({ host }) => host === name)
  if (!tor)
    throw new UserError(`Which ToR? There is ${tors.map(({ host }) => host).join(', ') || 'none'}.`, { exitCode: 2 })
  if (tor.configurations.configured !== false)
    throw new UserError(`${tor.host} is looked after: take it out of the setting tors first, and restart the server.`)
  const reason = await clear(tor, context)
  if (reason !== null && !values.anyway)
    throw new UserError(
      `${tor.host} still holds what was written into it: ${reason}. --anyway forgets it all the same.`,
    )
  context.out.line(
    reason === null ? `Nothing of ours is left in ${tor.host}.` : `${tor.host} keeps what it holds: ${reason}.`,
  )
  await api.call('DELETE', `agents/${tor.id}`)
  context.out.line(`${tor.host} is forgotten.`)
}

/** By a program of its own: the command line knows no switches. Null: done; else why not. */
async function clear({ configurations }: Tor, { root, env }: CommandContext): Promise<string | null> {
  const { target, switch: own } = configurations
  if (!target || !own) return 'it is not known where its database is'
  const { torTlsCertificate, torTlsKey, torTlsCa } = loadSettings('server', [], env).settings
  const tls = Object.entries({ certificate: torTlsCertificate, 'private-key': torTlsKey, 'ca-cert': torTlsCa })
  const flags = tls.flatMap(([flag, path]) => (path === null ? [] : [`--${flag}=${path}`]))
  const argv = [join(root, 'bin/tor-clear.ts'), `--target=${target}`, `--switch=${own}`, ...flags]
  const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', 'inherit', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const said = (await text(child.stderr)).trim()
  return (await ended) === 0 ? null : said || 'it could not be cleared'
}

const SUBCOMMANDS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = { list, forget }

export const torCommand: Command = {
  usage: 'tor list|forget [OPTIONS]',
  help: `
The hardware switches (ToRs) that the server configures for hosts below them. For administrators.

  tor list                   each: whether its database is connected, VLANs and remote MACs of ours in it, when it was
                             last compared with what it should hold, its last error; then what is wrong, and what to do
  tor forget NAME [--anyway] one that is not in the settings any more: takes what was written into its database out of
                             it, then its agent; with --anyway its agent also where its database cannot be reached

All take --data DIR or --openrc FILE; without, the variables of an openrc.`,

  run: async (args, context) => {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const [command = 'list', name] = positionals
    const subcommand = SUBCOMMANDS[command]
    if (!subcommand)
      throw new UserError(`There is no "tor ${command}": "deuteron help tor" lists them.`, { exitCode: 2 })
    try {
      await subcommand({ api: await apiOf(values, context.env), values, name, context })
    } catch (error) {
      const refused = error instanceof ApiRefused || error instanceof TypeError
      throw refused ? new UserError(`The server refused: ${error.message}`) : error
    }
    return 0
  },
}
