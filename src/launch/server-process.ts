/**
 * The server as a child: started under its account, waited for until it is ready, stopped. It writes its log into a
 * file, so it is not disturbed when its launcher is killed; the next launcher finds it by its pid file and ends it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NODE_FLAGS, NODE_VARIABLES } from './node-flags.ts'
import { type Account, reaches, runAs, writeAs } from './account.ts'
import { isAlive, openLog, readLog, signal, startTime, until } from './processes.ts'
import { errnoOf, UserError } from './user-error.ts'

export interface ServerProcess {
  readonly pid: number
  /** Resolves with the exit code or the signal's name when it has ended, for whatever reason. */
  readonly ended: Promise<number | string>
  /** SIGTERM; SIGKILL when it is still there after 15 s, or at once when `force`. */
  stop(force?: boolean): Promise<void>
  /** Its last error, for a person. */
  lastWords(): string
}

export interface ServerOptions {
  /** The repository's root. */
  readonly root: string
  readonly folder: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly account: Account
}

/** Refuses an address that is in use or may not be used. `setting` names the flag that changes the port. */
export const checkPort = async (host: string, port: number, setting: string): Promise<void> => {
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject)
      probe.listen({ port, host, exclusive: true }, resolve)
    })
    await new Promise((resolve) => probe.close(resolve))
  } catch (error) {
    const hint = {
      EADDRINUSE: `Port ${port} is in use: stop the program that listens there ("ss -ltnp sport = :${port}" names it) or choose another with ${setting}.`,
      EACCES: `Port ${port} is reserved for root: choose one above 1023 with ${setting}.`,
      EADDRNOTAVAIL: `This machine has no address ${host}: choose another with --listen-host.`,
    }[errnoOf(error) ?? '']
    throw hint ? new UserError(hint, { cause: error }) : error
  }
}

const pidFile = (folder: string): string => join(folder, 'server.pid')

/** Ends the server that a killed launcher left behind on this folder, if there is one. */
export const endOrphan = async (folder: string): Promise<void> => {
  let recorded: string[] = []
  try {
    recorded = readFileSync(pidFile(folder), 'utf8').trim().split(' ')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  const [pid, start] = [Number(recorded[0]), recorded[1]]
  if (pid > 1 && start && startTime(pid) === start) await end(pid, 5_000)
  rmSync(pidFile(folder), { force: true })
}

const end = async (pid: number, patienceMs: number): Promise<void> => {
  signal(pid, 'SIGTERM')
  if (await until(() => !isAlive(pid), patienceMs)) return
  signal(pid, 'SIGKILL')
  await until(() => !isAlive(pid), 5_000)
}

/** Whether the server can run under `account`: it must reach Node and our code. */
export const canRunServer = (account: Account, root: string): boolean =>
  reaches(account, process.execPath) && reaches(account, join(root, 'src'))

export const startServer = ({ root, folder, args, env, account }: ServerOptions): ServerProcess => {
  const logFile = join(folder, 'server.log')
  const { fd, start } = openLog(logFile)
  const argv = [...NODE_FLAGS, join(root, 'bin/server.ts'), ...args]
  const child = spawn(process.execPath, argv, {
    ...runAs(account),
    cwd: '/',
    env: { ...NODE_VARIABLES, ...env },
    detached: true, // a Ctrl-C in the terminal is for us: the database must outlive the server
    stdio: ['ignore', fd, fd],
  })
  closeSync(fd)
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, name) => resolve(code ?? name ?? 'unknown'))
  })
  if (child.pid) writeAs(account, pidFile(folder), `${child.pid} ${startTime(child.pid)}\n`)
  const stop = (force = false): Promise<void> => stopChild(child, ended, force, folder)
  return { pid: child.pid ?? 0, ended, stop, lastWords: () => lastWords(readLog(logFile, start)) }
}

const stopChild = async (
  child: ChildProcess,
  ended: Promise<unknown>,
  force: boolean,
  folder: string,
): Promise<void> => {
  child.kill(force ? 'SIGKILL' : 'SIGTERM')
  const patience = new AbortController()
  const late = sleep(15_000, 'late', { signal: patience.signal }).catch(() => 'ended')
  if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL')
  patience.abort()
  await ended
  rmSync(pidFile(folder), { force: true })
}

/** The message of the last grave line of a JSON log; a crash before the first line comes as plain text. */
const lastWords = (log: string): string => {
  const lines = log.trim().split('\n')
  const messages = lines.map(messageOf).filter((text) => text !== null)
  const plain = lines.filter((line) => !line.startsWith('{'))
  return messages.at(-1) ?? plain.find((line) => /^\w*Error\b/.test(line)) ?? plain.at(-1) ?? ''
}

const messageOf = (line: string): string | null => {
  try {
    const { level, msg, err } = JSON.parse(line) as { level?: string; msg?: string; err?: { message?: string } }
    if (level !== 'error' && level !== 'fatal') return null
    return [msg, err?.message].filter((text) => text).join(': ')
  } catch {
    return null
  }
}

/** Resolves when GET `url`/healthz answers 200; rejects when the server ends first or `limitMs` pass. */
export const waitForHealth = async (url: string, server: ServerProcess, limitMs = 60_000): Promise<void> => {
  const exit: (number | string)[] = []
  void server.ended.then((how) => exit.push(how))
  const limit = performance.now() + limitMs
  for (;;) {
    if (await answers(url)) return
    if (exit.length > 0) throw new UserError(`The server did not start (${exit[0]}): ${server.lastWords()}`)
    if (performance.now() > limit) {
      throw new UserError(
        `The server was not ready after ${limitMs / 1000} s: ${server.lastWords() || 'it said nothing'}`,
      )
    }
    await sleep(25)
  }
}

const answers = async (url: string): Promise<boolean> => {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}
