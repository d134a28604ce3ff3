/** What the command line of `deuteron conformance` asks for. */
import { parseArgs } from 'node:util'
import { messageOf, UserError } from '#launch/user-error.ts'

export interface Options {
  /** Tests whose id matches; all of the selection when null. */
  readonly only: RegExp | null
  /** A file of test ids, one a line. */
  readonly list: string | null
  readonly concurrency: number
  /** The run is cut off after so long; what had finished counts. */
  readonly minutes: number
  /** A folder to keep; null makes one and removes it afterwards. */
  readonly state: string | null
  /** First of three ports; null takes free ones. */
  readonly port: number | null
  readonly workers: number
  readonly hosts: number
  readonly keep: boolean
  readonly stay: boolean
  readonly record: boolean
  readonly rerunFailures: boolean
  /** One of so many transactions fails; 0: none. */
  readonly faults: number
  /** Seconds between two kills of the server; 0: none. */
  readonly kill: number
}

const TEXT = { type: 'string' } as const
const FLAG = { type: 'boolean', default: false } as const

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: TEXT,
        list: TEXT,
        concurrency: { ...TEXT, default: '2' },
        minutes: { ...TEXT, default: '90' },
        state: TEXT,
        port: TEXT,
        workers: { ...TEXT, default: '0' },
        hosts: { ...TEXT, default: '3' },
        keep: FLAG,
        stay: FLAG,
        record: FLAG,
        'rerun-failures': FLAG,
        faults: { ...TEXT, default: '0' },
        kill: { ...TEXT, default: '0' },
      },
    }).values
  } catch (error) {
    throw new UserError(messageOf(error), { exitCode: 2 })
  }
}

const number = (flag: string, text: string, least: number, most: number): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new UserError(`--${flag} must be a whole number from ${least} to ${most}, not "${text}".`, { exitCode: 2 })
}

const pattern = (text: string): RegExp => {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new UserError(`--only: ${messageOf(error)}`, { exitCode: 2 })
  }
}

/** Throws a UserError (exit code 2) when the line makes no sense. */
export const parseOptions = (args: readonly string[]): Options => {
  const given = parse(args)
  if (given['rerun-failures'] && given.state === undefined)
    throw new UserError('--rerun-failures needs --state: the folder that holds the earlier results.', { exitCode: 2 })
  return {
    only: given.only === undefined ? null : pattern(given.only),
    list: given.list ?? null,
    concurrency: number('concurrency', given.concurrency, 1, 64),
    minutes: number('minutes', given.minutes, 1, 10_000),
    state: given.state ?? null,
    port: given.port === undefined ? null : number('port', given.port, 1, 65_533),
    workers: number('workers', given.workers, 0, 64),
    hosts: number('hosts', given.hosts, 1, 100),
    keep: given.keep,
    stay: given.stay,
    record: given.record,
    rerunFailures: given['rerun-failures'],
    faults: number('faults', given.faults, 0, 1_000_000),
    kill: number('kill', given.kill, 0, 86_400),
  }
}
