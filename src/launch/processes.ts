/** Looking at processes through /proc, waiting for them, and a lock file that does not outlive its holder. */
import {
  constants,
  fstatSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from './user-error.ts'

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}

/** The fields of /proc/PID/stat after the program's name (which may hold spaces); null when there is no such process. */
const statFields = (pid: number): string[] | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

const isZombie = (pid: number): boolean => statFields(pid)?.[0] === 'Z'

/** When `pid` started, in clock ticks since boot: with the pid it names a process for good. */
export const startTime = (pid: number): string | null => statFields(pid)?.[19] ?? null

/** Sends a signal; a process that is gone already is no error. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** Resolves true as soon as `done` holds, false after `limitMs`. */
export const until = async (done: () => boolean, limitMs: number, everyMs = 10): Promise<boolean> => {
  const end = performance.now() + limitMs
  while (!done()) {
    if (performance.now() > end) return false
    await sleep(everyMs)
  }
  return true
}

/** Processes whose working folder is `folder` and whose program is called `program`. Those of other users stay unseen. */
export const processesIn = (folder: string, program: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // An upgraded binary shows as "… (deleted)".
        const exe = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
        return exe.endsWith(`/${program}`) && readlinkSync(`/proc/${pid}/cwd`) === folder
      } catch {
        return false
      }
    })
    .map(Number)

export interface PidLock extends Disposable {
  release(): void
}

const holder = (path: string): number | null => {
  try {
    const [pid, start] = readFileSync(path, 'utf8').trim().split(' ')
    return pid && start && startTime(Number(pid)) === start ? Number(pid) : null
  } catch {
    return null
  }
}

/**
 * Takes the lock file `path`, or answers the pid that holds it. A holder that died, even if its pid lives on in
 * another process, holds nothing.
 */
export const takePidLock = (path: string): PidLock | { readonly heldBy: number } => {
  const mine = `${process.pid} ${startTime(process.pid)}\n`
  const draft = `${path}.${process.pid}`
  rmSync(draft, { force: true })
  writeFileSync(draft, mine, { mode: 0o644, flag: 'wx' })
  try {
    for (;;) {
      try {
        linkSync(draft, path) // either the whole file appears or nothing does
        break
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
      }
      const heldBy = holder(path)
      if (heldBy === process.pid) break
      if (heldBy !== null) return { heldBy }
      setAside(path)
    }
  } finally {
    unlinkSync(draft)
  }
  const release = (): void => {
    if (holder(path) === process.pid) unlinkSync(path)
  }
  return { release, [Symbol.dispose]: release }
}

/** Removes a dead holder's file; if a living one slipped in meanwhile, its file goes back. */
const setAside = (path: string): void => {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  if (holder(aside) !== null) linkSync(aside, path)
  unlinkSync(aside)
}

const LOG_LIMIT = 16 * 1024 ** 2

/**
 * Opens a log file to append to, for a child's output; answers the descriptor and where its words will begin. A file
 * grown over 16 MiB is kept as `.1`. A symbolic link is refused: root may open logs in a folder of someone else.
 */
export const openLog = (path: string): { fd: number; start: number } => {
  const grown = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (grown > LOG_LIMIT) renameSync(path, `${path}.1`)
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants
  const fd = openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600)
  return { fd, start: fstatSync(fd).size }
}

/** What was appended to a log from `start` on; its last 64 KiB at most. */
export const readLog = (path: string, start: number): string =>
  readFileSync(path).subarray(start).subarray(-65_536).toString('utf8')
