/** A server of its own for a benchmark: the launcher's `up` on a new folder, durable commits, ended afterwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { ending } from './ends.ts'

/** What the processes of a server have used. */
export interface Meter {
  /** CPU milliseconds. */
  readonly cpu: () => number
  /** Proportional set size, MiB. */
  readonly memory: () => number
}

export interface BenchServer extends Meter, AsyncDisposable {
  readonly url: string
  /** Where agents connect, on the loopback address. */
  readonly feedPort: number
  readonly token: string
  readonly projectId: string
  readonly dataDir: string
}

const ROOT = join(import.meta.dirname, '..')
const PORT = 19_896
const FEED_PORT = 19_897

export async function startServer(flags: readonly string[]): Promise<BenchServer> {
  const dataDir = await mkdtemp('/tmp/deuteron-bench-')
  const ports = ['--port', String(PORT), '--feed-port', String(FEED_PORT)]
  const child = spawn(join(ROOT, 'deuteron'), ['up', '--data', dataDir, ...ports, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const end = ending(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.kill('SIGTERM')) await gone
    if (!process.env['BENCH_KEEP']) await rm(dataDir, { recursive: true, force: true })
  })
  await ready(child)
  const url = `http://127.0.0.1:${PORT}`
  return {
    url,
    feedPort: FEED_PORT,
    ...(await login(url, dataDir)),
    dataDir,
    ...(await meterOf(dataDir)),
    [Symbol.asyncDispose]: () => end[Symbol.asyncDispose](),
  }
}

const ready = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.stdout?.on('data', (part: Buffer) => part.includes('ready http') && resolve())
    child.once('exit', (code) => reject(new Error(`the server ended with ${code} before it was ready`)))
  })

/** Of the server that `up` runs on a data folder. */
export async function meterOf(dataDir: string): Promise<Meter> {
  const pid = Number((await readFile(join(dataDir, 'server.pid'), 'utf8')).split(' ')[0])
  const sum = (read: (pid: number) => number) => () =>
    [pid, ...childrenOf(pid)].reduce((total, one) => total + read(one), 0)
  return { cpu: sum(cpuMs), memory: sum(pssMib) }
}

/** A token of the administrator whom `up` made. */
export async function login(url: string, dataDir: string): Promise<{ token: string; projectId: string }> {
  const openrc = await readFile(join(dataDir, 'openrc'), 'utf8')
  const value = (name: string): string => new RegExp(`${name}='?([^'\\n]+)`).exec(openrc)?.[1] ?? ''
  const domain = { name: 'Default' }
  const user = { name: value('OS_USERNAME'), domain, password: value('OS_PASSWORD') }
  const auth = {
    identity: { methods: ['password'], password: { user } },
    scope: { project: { name: value('OS_PROJECT_NAME'), domain } },
  }
  const response = await fetch(`${url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  })
  const body = (await response.json()) as { token: { project: { id: string } } }
  return { token: response.headers.get('x-subject-token') ?? '', projectId: body.token.project.id }
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

/** utime and stime of proc(5), in clock ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const pssMib = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024
