/**
 * A cloud of real processes for tests that kill them: `bin/server.ts` and `bin/agent.ts` on one PostgreSQL, and a
 * client that asks any server that answers. What is retried carries an Idempotency-Key, so that a writer knows
 * exactly what there must be, whatever died meanwhile.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, REPOSITORY } from './installation.ts'

/** One line of a process's log. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly pid?: number
  readonly [name: string]: unknown
}

export interface Program {
  readonly pid: number
  /** What it has logged so far; what is no JSON comes as level `text`. */
  readonly log: readonly LogLine[]
  /** Resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
}

/** Starts `bin/<script>`; ends it with the stack. */
function start(stack: AsyncDisposableStack, script: string, args: readonly string[]): Program {
  const argv = ['--disable-warning=ExperimentalWarning', join(REPOSITORY, 'bin', script), ...args]
  const child = spawn(process.execPath, argv, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  const log: LogLine[] = []
  collect(child, log)
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    await gone
  }
  stack.defer(() => end('SIGKILL'))
  return { pid: child.pid ?? 0, log, end }
}

function collect(child: ChildProcess, log: LogLine[]): void {
  let rest = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) log.push(parsed(line))
  })
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { level: 'text', msg: line }
  }
}

export interface CloudServer {
  readonly url: string
  /** Where agents connect. */
  readonly feedUrl: string
  readonly running: Program
  /** SIGKILL; a worker process goes with its primary. */
  kill(): Promise<void>
  /** Starts it again on the same ports; resolves when it serves both. */
  start(database?: string): Promise<void>
}

export interface CloudOptions {
  readonly database: string
  readonly workers?: number
  readonly flags?: readonly string[]
}

export async function startServer(stack: AsyncDisposableStack, options: CloudOptions): Promise<CloudServer> {
  const [port, feedPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  let program: Program | null = null
  const launch = async (database = options.database): Promise<void> => {
    const settings = { database, port, feedPort, identity: 'none', workers: options.workers ?? 0, quotaPort: -1 }
    const flags = Object.entries(settings).map(
      ([name, value]) => `--${name.replace(/[A-Z]/g, '-$&').toLowerCase()}=${value}`,
    )
    const now = start(stack, 'server.ts', [...flags, ...(options.flags ?? [])])
    program = now
    await until(`a server on ${port}`, async () => {
      const served = now.log.some(({ msg }) => msg === 'agents are served')
      return (
        served &&
        (await fetch(`${url}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        ))
      )
    })
  }
  await launch()
  return {
    url,
    feedUrl: `ws://127.0.0.1:${feedPort}`,
    get running() {
      return program as Program
    },
    kill: () => (program as Program).end('SIGKILL'),
    start: launch,
  }
}

/** An agent process for simulated hosts: one with a disk in `state`, or `hosts` of them without. */
export const startAgent = (
  stack: AsyncDisposableStack,
  at: {
    readonly host: string
    readonly hosts?: number
    readonly servers: readonly CloudServer[]
    readonly credentials: string
    readonly state: string
    readonly tunnelingIp?: string
    readonly flags?: readonly string[]
  },
): Program =>
  start(stack, 'agent.ts', [
    '--dataplane=sim',
    `--host=${at.host}`,
    `--hosts=${at.hosts ?? 1}`,
    `--server=${at.servers.map(({ feedUrl }) => feedUrl).join(',')}`,
    `--credential-file=${at.credentials}`,
    `--state=${at.state}`,
    ...(at.tunnelingIp ? [`--tunneling-ip=${at.tunnelingIp}`] : []),
    '--heartbeat-interval=3',
    ...(at.flags ?? []),
  ])

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any
}

export type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>

/** Asks any of the servers until one answers with anything but 503; gives up after 30 s. */
export const askAny =
  (servers: readonly CloudServer[]): Ask =>
  async (method, path, body) => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
    const options = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    let last = 'no answer'
    for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100)) {
      const { url } = servers[Math.floor(Math.random() * servers.length)] as CloudServer
      try {
        const answer = await fetch(`${url}/v2.0/${path}`, { ...options, signal: AbortSignal.timeout(10_000) })
        const text = await answer.text()
        last = `${answer.status} ${text}`
        if (answer.status !== 503) return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
      } catch (error) {
        last = String((error as Error).cause ?? error)
      }
    }
    throw new Error(`${method} ${path} was never answered: ${last}`)
  }

/** Polls every 50 ms; throws with `what` when it is not reached in time. */
export async function until(what: string, is: () => unknown, ms = 30_000): Promise<void> {
  for (const end = Date.now() + ms; !(await is()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`not reached: ${what}`)
  }
}
