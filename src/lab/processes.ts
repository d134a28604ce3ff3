/**
 * Long-lived processes of a lab: started apart from us, remembered by pid *and* start time, so that a pid which the
 * kernel gave to somebody else since is never signalled.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { sleep } from './exec.ts'

export interface ProcessRef {
  readonly pid: number
  /** Boot id and start time in clock ticks since boot (proc(5), /proc/PID/stat field 22). */
  readonly started: string
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** State letter and identity of a pid, or null when there is no such process. */
const look = (pid: number): { state: string; started: string } | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', started: `${bootId()}:${fields[19]}` }
  } catch {
    return null
  }
}

/** Names the process that has this pid now; null when there is none. */
export const refOf = (pid: number): ProcessRef | null => {
  const seen = look(pid)
  return seen ? { pid, started: seen.started } : null
}

/** True while the very process that was recorded runs; a zombie does not. */
export const isAlive = (ref: ProcessRef | null): ref is ProcessRef => {
  if (!ref) return false
  const seen = look(ref.pid)
  return seen !== null && seen.started === ref.started && seen.state !== 'Z'
}

/** True while the recorded process runs in this network namespace; not in one that had the name before. */
export const isAliveIn = (ref: ProcessRef | null, ns: string): ref is ProcessRef => {
  const ino = inodeOf(`/var/run/netns/${ns}`)
  return isAlive(ref) && ino !== null && inodeOf(`/proc/${ref.pid}/ns/net`) === ino
}

/** The process named by a pid file, or null when the file or the process is missing. */
export const refFromPidFile = (path: string): ProcessRef | null => {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim())
    return Number.isInteger(pid) && pid > 1 ? refOf(pid) : null
  } catch {
    return null
  }
}

/** Starts a program that outlives us, its output appended to `log`. Answers once the kernel has made the process. */
export const startDetached = async (
  argv: readonly string[],
  { log, env, cwd }: { log: string; env?: NodeJS.ProcessEnv; cwd?: string },
): Promise<ProcessRef> => {
  const [program = '', ...args] = argv
  const out = openSync(log, 'a')
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', out, out],
      ...(env ? { env } : {}),
      ...(cwd ? { cwd } : {}),
    })
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    child.unref()
    const ref = refOf(child.pid ?? 0)
    if (!ref) throw new Error(`${program} ended at once; see ${log}`)
    return ref
  } finally {
    closeSync(out)
  }
}

export const signal = (ref: ProcessRef | null, name: NodeJS.Signals): boolean => {
  if (!isAlive(ref)) return false
  try {
    return process.kill(ref.pid, name)
  } catch {
    return false
  }
}

/** Waits until the process is gone; false when it still runs after `timeout` ms. */
export const waitGone = async (ref: ProcessRef | null, timeout: number): Promise<boolean> => {
  for (const end = performance.now() + timeout; isAlive(ref); await sleep(10)) if (performance.now() > end) return false
  return true
}

/** Ends a process: SIGTERM, and SIGKILL when it has not gone after `grace` ms. */
export const terminate = async (ref: ProcessRef | null, grace = 5_000): Promise<void> => {
  if (!signal(ref, 'SIGTERM')) return
  if (await waitGone(ref, grace)) return
  signal(ref, 'SIGKILL')
  await waitGone(ref, 2_000)
}

const inodeOf = (path: string): number | null => {
  try {
    return statSync(path).ino
  } catch {
    return null
  }
}

/** Every process in one of these network namespaces, which are ours by name, so the processes are ours too. */
export const processesIn = (namespaces: readonly string[]): ProcessRef[] => {
  const ours = new Set(namespaces.flatMap((name) => inodeOf(`/var/run/netns/${name}`) ?? []))
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && ours.has(inodeOf(`/proc/${name}/ns/net`) ?? 0))
    .flatMap((name) => refOf(Number(name)) ?? [])
}
