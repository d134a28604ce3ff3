/** Runs programs to their end with a deadline, in this or another network namespace. Nothing here decides anything. */
import { spawn } from 'node:child_process'

export class CommandFailed extends Error {
  readonly argv: readonly string[]
  readonly code: number | null
  readonly stderr: string
  constructor(argv: readonly string[], code: number | null, stderr: string) {
    const said = stderr.trim().split('\n').slice(-3).join('; ')
    super(`${argv.join(' ')}: ${code === null ? 'killed' : `exit code ${code}`}${said === '' ? '' : `: ${said}`}`)
    this.name = 'CommandFailed'
    this.argv = argv
    this.code = code
    this.stderr = stderr
  }
}

export interface RunOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  /** Milliseconds until the program is killed; 20,000 by default. */
  readonly timeout?: number
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program and answers its exit code and output, whatever the code. Rejects only when it cannot be started. */
export const tryRun = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const [program = '', ...args] = argv
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeout ?? 20_000,
      killSignal: 'SIGKILL',
      ...(options.env ? { env: options.env } : {}),
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdin.on('error', () => undefined)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
    child.stdin.end(options.input ?? '')
  })

/** Runs a program and answers what it printed; rejects with CommandFailed unless it exits with 0. */
export const run = async (argv: readonly string[], options: RunOptions = {}): Promise<string> => {
  const { code, stdout, stderr } = await tryRun(argv, options)
  if (code !== 0) throw new CommandFailed(argv, code, stderr === '' ? stdout : stderr)
  return stdout
}

/** A command line without spaces inside its words, as a list. */
export const words = (line: string): string[] => line.trim().split(/\s+/)

/** `argv` in the network namespace `ns`; mounts, and so /sys and sockets, stay those of the caller. */
export const inNamespace = (ns: string, argv: readonly string[]): string[] => [
  'nsenter',
  `--net=/var/run/netns/${ns}`,
  '--',
  ...argv,
]

const REAL_TIME = ['chrt', '--rr', '1']
let mayRealTime: Promise<boolean> | null = null

/**
 * `argv` in the real-time class, or at nice -10 where that is not allowed: for what stands for a machine of its own
 * (a switch, a VM that measures) and needs little time, but in time.
 */
export const urgent = async (argv: readonly string[]): Promise<string[]> => {
  mayRealTime ??= tryRun([...REAL_TIME, 'true']).then(({ code }) => code === 0)
  return [...((await mayRealTime) ? REAL_TIME : ['nice', '-n', '-10']), ...argv]
}

/** Runs lines of `ip` commands in one process; `ns` null is the caller's own namespace. */
export const ipBatch = async (ns: string | null, lines: readonly string[]): Promise<void> => {
  if (lines.length === 0) return
  await run(['ip', ...(ns === null ? [] : ['-n', ns]), '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks `probe` every `every` ms until it answers something true-ish; null after `timeout` ms. */
export const waitFor = async <T>(
  probe: () => Promise<T | null | false> | T | null | false,
  { timeout, every = 25 }: { timeout: number; every?: number },
): Promise<T | null> => {
  for (const end = performance.now() + timeout; ; ) {
    const got = await probe()
    if (got) return got
    if (performance.now() > end) return null
    await sleep(every)
  }
}
