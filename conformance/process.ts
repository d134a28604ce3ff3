/**
 * Programs that live as long as the run: each in a process group of its own, its words in a log file, ended in
 * reverse order when the run's stack is disposed; by the kernel, should the run itself be killed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '#launch/user-error.ts'

export interface Program {
  readonly child: ChildProcess
  /** Resolves with the exit code or the signal's name. */
  readonly ended: Promise<number | string>
  readonly log: string
  /** SIGTERM to the group, SIGKILL after 10 s; `SIGKILL` at once. Resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface ProgramOptions {
  readonly argv: readonly string[]
  readonly log: string
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** `pipe`: standard output is read by the caller instead of going to the log. */
  readonly stdout?: 'log' | 'pipe'
}

/** Debian's interpreters and nothing else of the caller's environment. */
export const debianEnv = (home: string): NodeJS.ProcessEnv => ({
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  HOME: home,
  no_proxy: '127.0.0.1,localhost',
})

export const startProgram = (stack: AsyncDisposableStack, options: ProgramOptions): Program => {
  const { argv, log, env, cwd, stdout = 'log' } = options
  const words = openSync(log, 'a')
  // The kernel ends it when we die; a clean end is ours.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...argv], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', stdout === 'pipe' ? 'pipe' : words, words],
  })
  closeSync(words)
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => stopGroup(child, ended, signal)
  stack.defer(() => stop())
  return { child, ended, log, stop }
}

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid) process.kill(-child.pid, signal)
  } catch {
    // The group is gone.
  }
}

const stopGroup = async (child: ChildProcess, ended: Promise<unknown>, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) {
    signalGroup(child, signal)
    const patience = new AbortController()
    const late = sleep(10_000, 'late', { signal: patience.signal }).catch(() => 'ended')
    await Promise.race([ended, late])
    patience.abort()
  }
  signalGroup(child, 'SIGKILL')
  await ended
}

/** Polls `url` until it answers with anything below 500; throws a UserError when `program` ends first or 60 s pass. */
export const waitForHttp = async (what: string, url: string, program: Program): Promise<void> => {
  let how: number | string | null = null
  void program.ended.then((code) => {
    how = code
  })
  for (const end = Date.now() + 60_000; ; await sleep(100)) {
    const status = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
      async (answer) => (await answer.arrayBuffer(), answer.status),
      () => 599,
    )
    if (status < 500) return
    if (how !== null) throw new UserError(`${what} ended (${how}): ${tail(program.log)}`)
    if (Date.now() > end) throw new UserError(`${what} does not answer at ${url}: ${tail(program.log)}`)
  }
}

/** Runs a program to its end; throws a UserError with its last words when it fails. */
export const runProgram = (argv: readonly string[], options: { env: NodeJS.ProcessEnv; cwd: string }): string => {
  const [program = '', ...args] = argv
  const done = spawnSync(program, args, { ...options, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 })
  if (done.status === 0) return done.stdout
  const said = `${done.error?.message ?? ''}${done.stdout ?? ''}${done.stderr ?? ''}`.trim()
  throw new UserError(`"${argv.join(' ')}" failed (${done.status}): ${said.split('\n').slice(-5).join(' | ')}`)
}

const tail = (file: string): string =>
  `${readFileSync(file, 'utf8').trim().split('\n').slice(-5).join(' | ')} (${file})`
