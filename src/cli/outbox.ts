/**
 * `deuteron outbox`: what Nova and Placement were told, what still waits, and having it told again; which mechanism
 * drivers fail at a change, and having them skip it. Asks the server.
 */
import { parseArgs } from 'node:util'
import { ApiRefused, type Api } from '#lab/api.ts'
import { UserError } from '#launch/user-error.ts'
import { apiOf } from './api.ts'
import type { Command, CommandContext } from './command.ts'
import { columns } from './output.ts'

const OPTIONS = {
  data: { type: 'string' },
  openrc: { type: 'string' },
  failed: { type: 'boolean' },
  all: { type: 'boolean' },
  port: { type: 'string' },
  segment: { type: 'string' },
  destination: { type: 'string' },
  'all-failed': { type: 'boolean' },
  since: { type: 'string' },
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

interface Event {
  readonly id: string
  readonly destination: string
  readonly subject: string
  readonly name: string
  readonly body: Readonly<Record<string, unknown>>
  readonly state: string
  readonly failing: boolean
  readonly attempts: number
  readonly answer: string | null
  readonly created_at: string
  readonly attempted_at: string | null
  readonly not_before: string
  readonly done_at: string | null
}

interface Asked {
  readonly api: Api
  readonly values: Values
  readonly id: string | undefined
  /** What comes behind it. */
  readonly more: readonly string[]
  readonly context: CommandContext
}

interface Driver {
  readonly name: string
  readonly place: string
  readonly told: boolean
  readonly behind_since: string | null
  readonly change: string | null
  readonly kind: string | null
  readonly object_id: string | null
  readonly op: string | null
  readonly failures: number
  readonly error: string | null
  readonly failing_since: string | null
  readonly lost_at: string | null
}

/** What waits; with --failed what was tried already, with --all what was delivered too. Drivers that fail come last. */
async function list(asked: Asked): Promise<void> {
  await listEvents(asked)
  const { api, values, context } = asked
  if ([values.port, values.segment, values.destination].some((one) => one !== undefined)) return
  const failing = await driversOf(api, '?failing=true')
  if (failing.length === 0) return
  context.out.line()
  printDrivers(failing, context)
}

async function drivers({ api, context }: Asked): Promise<void> {
  const all = await driversOf(api)
  if (all.length === 0) context.out.line('No mechanism driver follows the change log.')
  else printDrivers(all, context)
}

const driversOf = async (api: Api, query = ''): Promise<readonly Driver[]> => {
  const { outbox_drivers: found } = (await api.call('GET', `outbox-drivers${query}`)) as unknown as {
    outbox_drivers: readonly Driver[]
  }
  return found
}

function printDrivers(found: readonly Driver[], { out }: CommandContext): void {
  const rows = found.map((one) => [
    one.name,
    one.change !== null ? 'failing' : one.told ? 'told' : 'told by nobody',
    one.place,
    one.behind_since ?? '–',
    one.change ?? '–',
    one.change === null ? '–' : `${one.op} of ${one.kind} ${one.object_id}`,
    String(one.failures),
    one.failing_since ?? '–',
    (one.error ?? '').replaceAll(/\s+/g, ' '),
  ])
  const head = ['DRIVER', 'STATE', 'PLACE', 'BEHIND SINCE', 'FAILS AT', 'WHICH IS', 'TRIED', 'SINCE', 'ERROR']
  for (const row of columns([head, ...rows])) out.line(row)
  for (const { name, lost_at } of found)
    if (lost_at !== null)
      out.line(`${name} lost changes at ${lost_at}: the change log no longer had them. Compare what it looks after.`)
}

/** The change is named, so that nothing is skipped that came to stand there meanwhile. */
async function skip({ api, id, more: [change], context: { out } }: Asked): Promise<void> {
  if (id === undefined || change === undefined)
    throw new UserError(
      'Which driver, and which change? "deuteron outbox drivers" shows both: deuteron outbox skip DRIVER CHANGE.',
      { exitCode: 2 },
    )
  await api.call('PUT', `outbox-drivers/${encodeURIComponent(id)}/skip`, { change })
  out.line(`Driver ${id} goes past change ${change}.`)
}

async function listEvents({ api, values, context: { out } }: Asked): Promise<void> {
  const query = new URLSearchParams({ sort_key: 'position', limit: '1000' })
  const subject = values.port ?? values.segment
  if (subject !== undefined) query.set('subject', subject)
  if (values.destination !== undefined) query.set('destination', values.destination)
  if (values.failed) query.set('failing', 'true')
  else if (!values.all && subject === undefined)
    for (const state of ['pending', 'delivering']) query.append('state', state)
  const { outbox_events: events } = (await api.call('GET', `outbox-events?${query}`)) as unknown as {
    outbox_events: readonly Event[]
  }
  if (events.length === 0) {
    out.line(values.failed ? 'Nothing failed.' : 'Nothing waits.')
    return
  }
  const rows = events.map((one) => [
    one.id,
    one.destination,
    one.name,
    one.subject,
    one.failing ? 'failing' : one.state,
    String(one.attempts),
    one.created_at,
    one.answer ?? '',
  ])
  for (const row of columns([['ID', 'TO', 'EVENT', 'ABOUT', 'STATE', 'TRIED', 'SINCE', 'ANSWER'], ...rows]))
    out.line(row)
}

async function show({ api, id, context: { out } }: Asked): Promise<void> {
  const { outbox_event: event } = (await api.call('GET', `outbox-events/${named(id)}`)) as unknown as {
    outbox_event: Event
  }
  const rows = Object.entries(event).map(([name, value]) => [
    name,
    value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value ?? '–'),
  ])
  for (const row of columns(rows)) out.line(row)
}

async function retry({ api, values, id, context: { out } }: Asked): Promise<void> {
  if (values['all-failed']) {
    await api.call('POST', 'outbox-events/retry', destinationOf(values))
    out.line('What failed is sent again.')
    return
  }
  await api.call('PUT', `outbox-events/${named(id)}/retry`)
  out.line(`Event ${id} is sent again.`)
}

async function giveUp({ api, id, context: { out } }: Asked): Promise<void> {
  await api.call('PUT', `outbox-events/${named(id)}/give-up`)
  out.line(`Event ${id} is sent no more.`)
}

async function replay({ api, values, context: { out } }: Asked): Promise<void> {
  const since = instantOf(values.since, Date.now())
  await api.call('POST', 'outbox-events/replay', { since, ...destinationOf(values) })
  out.line(`What came up since ${since} is sent again.`)
}

const destinationOf = ({ destination }: Values) => (destination === undefined ? {} : { destination })

const named = (id: string | undefined): string => {
  if (id === undefined) throw new UserError('Which event? "deuteron outbox list" shows their ids.', { exitCode: 2 })
  return encodeURIComponent(id)
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** RFC 3339, or how long ago: 90s, 15m, 2h, 1d. Answers RFC 3339 in whole seconds. */
export function instantOf(text: string | undefined, now: number): string {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(text ?? '') ?? []
  const instant = count === undefined ? new Date(text ?? '') : new Date(now - Number(count) * (UNITS[unit] ?? 0))
  if (Number.isNaN(instant.getTime()))
    throw new UserError(
      'Since when? --since takes a time such as 2026-01-31T12:00:00Z, or how long ago: 15m, 2h, 1d.',
      {
        exitCode: 2,
      },
    )
  return instant.toISOString().replace(/\.\d+Z$/, 'Z')
}

const SUBCOMMANDS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = {
  list,
  show,
  retry,
  'give-up': giveUp,
  replay,
  drivers,
  skip,
}

export const outboxCommand: Command = {
  usage: 'outbox list|show|retry|give-up|replay|drivers|skip [OPTIONS]',
  help: `
What Nova and Placement must hear of changes, until they have heard it, and what mechanism drivers that follow the
change log fail at. For administrators.

  outbox list [--failed | --all] [--port ID | --segment ID] [--destination nova|placement]
                             what waits, and drivers that fail; of a port or a segment also what was delivered
  outbox show ID             one event: what is sent, how often it was tried, what was answered
  outbox retry ID            send it again, whatever became of it
  outbox retry --all-failed  send everything again, at once, that failed
  outbox give-up ID          send it no more: those behind it of the same port go on
  outbox replay --since WHEN send again what was delivered, in its old order; WHEN is a time or 15m, 2h, 1d
  outbox drivers             every driver that follows: its place, the change it fails at, how often, and why
  outbox skip DRIVER CHANGE  have the driver go past this change and no other: it will never hear of it

All take --data DIR or --openrc FILE; without, the variables of an openrc.`,

  run: async (args, context) => {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const [name = 'list', id, ...more] = positionals
    const subcommand = SUBCOMMANDS[name]
    if (!subcommand)
      throw new UserError(`There is no "outbox ${name}": "deuteron help outbox" lists them.`, { exitCode: 2 })
    try {
      await subcommand({ api: await apiOf(values, context.env), values, id, more, context })
    } catch (error) {
      const refused = error instanceof ApiRefused || error instanceof TypeError
      throw refused ? new UserError(`The server refused: ${error.message}`) : error
    }
    return 0
  },
}
