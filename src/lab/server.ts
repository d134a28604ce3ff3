/**
 * The lab's own server: `deuteron up` as a child with a data folder inside the lab, and its stop, kill and start again.
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { waitFor } from './exec.ts'
import type { LabPaths } from './names.ts'
import { isAlive, type ProcessRef, refOf, signal, startDetached, terminate, waitGone } from './processes.ts'
import { REPOSITORY } from './repository.ts'
import { type Lab, readJson, type ServerSpec, writeJson } from './state.ts'
import { torArguments } from './tor.ts'

interface OwnServer {
  readonly process: ProcessRef
  readonly apiPort: number
  readonly feedPort: number
}

const recordOf = (paths: LabPaths): string => join(paths.dir, 'server.json')
export const serverLog = (paths: LabPaths): string => join(paths.dir, 'server.log')
const LAUNCHER = join(REPOSITORY, 'deuteron')

/** Two TCP ports of the loopback address that nobody listens on now. */
const freePorts = async (): Promise<[number, number]> => {
  const listeners = [createServer(), createServer()]
  const ports = await Promise.all(
    listeners.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
        }),
    ),
  )
  await Promise.all(listeners.map((server) => new Promise((resolve) => server.close(resolve))))
  return [ports[0] ?? 0, ports[1] ?? 0]
}

/** Pure: the command line of the lab's server. */
export const serverArguments = ({ spec, paths }: Lab, apiPort: number, feedPort: number): string[] => [
  LAUNCHER,
  'up',
  `--data=${paths.server}`,
  `--port=${apiPort}`,
  `--feed-port=${feedPort}`,
  `--feed-socket=${paths.feedSocket}`,
  '--agent-down-time=15',
  '--heartbeat-interval=5',
  ...torArguments({ spec, paths }),
]

const specOf = (paths: LabPaths, { apiPort }: OwnServer): ServerSpec => ({
  own: true,
  url: `http://127.0.0.1:${apiPort}`,
  openrc: join(paths.server, 'openrc'),
  feeds: [`ws+unix:${paths.feedSocket}:/agent`],
})

/** Starts the lab's server unless it runs, on the ports it had before, and waits until it serves (at most 60 s). */
export const startServer = async (lab: Lab): Promise<ServerSpec> => {
  const { paths } = lab
  const had = await readJson<OwnServer>(recordOf(paths))
  if (had && isAlive(had.process)) return specOf(paths, had)
  if (!existsSync(LAUNCHER)) throw new Error(`${LAUNCHER} is missing: the lab starts its server with it`)
  await mkdir(paths.dir, { recursive: true })
  await rm(paths.feedSocket, { force: true })
  const [apiPort, feedPort] = had ? [had.apiPort, had.feedPort] : await freePorts()
  const log = serverLog(paths)
  const from = await stat(log).then(
    ({ size }) => size,
    () => 0,
  )
  const process_ = await startDetached(serverArguments(lab, apiPort, feedPort), { log, cwd: REPOSITORY })
  const server = { process: process_, apiPort, feedPort }
  await writeJson(recordOf(paths), server)
  const ready = async (): Promise<'ready' | 'dead' | null> => {
    if ((await readFrom(log, from)).split('\n').some((line) => line.startsWith('ready http'))) return 'ready'
    return isAlive(process_) ? null : 'dead'
  }
  if ((await waitFor(ready, { timeout: 60_000 })) === 'ready') return specOf(paths, server)
  await terminate(process_)
  const said = (await readFrom(log, from)).trim().split('\n').slice(-5).join('\n')
  throw new Error(`the lab's server did not start; the end of ${log}:\n${said}`)
}

const readFrom = async (path: string, offset: number): Promise<string> => {
  const text = await readFile(path).catch(() => Buffer.alloc(0))
  return text.subarray(offset).toString('utf8')
}

export const serverProcess = async (paths: LabPaths): Promise<ProcessRef | null> =>
  (await readJson<OwnServer>(recordOf(paths)))?.process ?? null

/** A process by the `PID START` line that the launcher or PostgreSQL leaves in the data folder. */
const refFromLine = async (path: string): Promise<ProcessRef | null> => {
  const [pid = '', start] = (await readFile(path, 'utf8').catch(() => '')).split(/\s+/)
  const ref = refOf(Number(pid))
  return ref && (start === undefined || ref.started.endsWith(`:${start}`)) ? ref : null
}

/** The server itself, which `up` keeps as its child and which outlives a killed `up`. */
const servingProcess = (paths: LabPaths): Promise<ProcessRef | null> => refFromLine(join(paths.server, 'server.pid'))

/** PostgreSQL of the lab's data folder: its pid file, if that pid works in that folder. */
const databaseProcess = async (paths: LabPaths): Promise<ProcessRef | null> => {
  const folder = join(paths.server, 'postgres')
  const [pid = ''] = (await readFile(join(folder, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const cwd = await readlink(`/proc/${Number(pid)}/cwd`).catch(() => '')
  return cwd === folder ? refOf(Number(pid)) : null
}

/**
 * Ends the lab's server and waits until it is gone. SIGTERM goes to the launcher, which stops server and database in
 * order; SIGKILL hits launcher and server at once and leaves the database running.
 */
export const stopServer = async (paths: LabPaths, name: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  const [launcher, serving] = await Promise.all([serverProcess(paths), servingProcess(paths)])
  if (name === 'SIGKILL') signal(serving, name)
  signal(launcher, name)
  for (const ref of [launcher, serving])
    if (!(await waitGone(ref, 20_000))) throw new Error(`the lab's server (pid ${ref?.pid}) ignores ${name} for 20 s`)
}

/** Takes the lab's own server away with all its data, whatever of it is still alive: nothing is left to stop cleanly for. */
export const removeServer = async (paths: LabPaths): Promise<void> => {
  const [launcher, serving] = await Promise.all([serverProcess(paths), servingProcess(paths)])
  for (const ref of [launcher, serving]) if (signal(ref, 'SIGKILL')) await waitGone(ref, 5_000)
  const database = await databaseProcess(paths)
  if (signal(database, 'SIGQUIT')) await waitGone(database, 5_000)
  await rm(paths.server, { recursive: true, force: true })
}
