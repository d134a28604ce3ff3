/**
 * A small JSON document in a file that several processes share. Written whole, to a new file that takes the old
 * one's place, mode 0600; changes are made one process at a time, behind a lock file; readers notice a new file by
 * its inode and time.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

export interface StateFile<T> {
  /** The document as it is now; one object until the file changes. Not to be altered. */
  read(): Readonly<T>
  /** `change` alters a copy of the newest document, which is written unless it throws. */
  update<R>(change: (draft: T) => R): R
}

const LOCK_PATIENCE_MS = 5000
const LOCK_PAUSE_MS = 5

/** `initial` is called once, when there is no file yet. @throws Error that names the file and what to do */
export function openStateFile<T>(
  file: string,
  initial: () => T,
  isValid: (content: unknown) => content is T,
): StateFile<T> {
  let known: { readonly stamp: string; readonly content: T } | null = null

  const read = (): T => {
    const { ino, mtimeNs, size } = statSync(file, { bigint: true })
    const stamp = `${ino} ${mtimeNs} ${size}`
    if (known?.stamp !== stamp) known = { stamp, content: parse(file, isValid) }
    return known.content
  }
  const update = <R>(change: (draft: T) => R): R =>
    locked(`${file}.lock`, () => {
      const draft = structuredClone(read())
      const result = change(draft)
      replace(file, `${JSON.stringify(draft, null, 2)}\n`)
      return result
    })

  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  locked(`${file}.lock`, () => {
    if (!statSync(file, { throwIfNoEntry: false })) replace(file, `${JSON.stringify(initial(), null, 2)}\n`)
  })
  read()
  return { read, update }
}

function parse<T>(file: string, isValid: (content: unknown) => content is T): T {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}; restore it from a copy, or move it away`)
  }
  if (!isValid(content)) throw new Error(`${file} is not an identity file of this version; restore it, or move it away`)
  return content
}

/** Atomic and durable: after a crash the file holds the old text or the new. */
function replace(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`
  const descriptor = openSync(fresh, 'w', 0o600)
  try {
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(fresh, file)
}

/** Runs `work` while this process alone holds `lock`; the lock of a dead process is taken over. */
function locked<R>(lock: string, work: () => R): R {
  const deadline = Date.now() + LOCK_PATIENCE_MS
  while (!take(lock)) {
    releaseDead(lock)
    if (Date.now() > deadline) throw new Error(`${lock} is held by another process; remove it if there is none`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS)
  }
  try {
    return work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** The lock appears with its owner already in it, so that nobody finds it empty. */
function take(lock: string): boolean {
  const mine = `${lock}.${process.pid}`
  writeFileSync(mine, String(process.pid), { mode: 0o600 })
  try {
    linkSync(mine, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(mine, { force: true })
  }
}

/** Moves a dead owner's lock aside; should it be a living one's by then, puts it back. */
function releaseDead(lock: string): void {
  if (isAlive(ownerOf(lock))) return
  const aside = `${lock}.${process.pid}.dead`
  try {
    renameSync(lock, aside)
  } catch {
    return
  }
  try {
    if (isAlive(ownerOf(aside))) linkSync(aside, lock)
  } catch {
    // Someone else holds the lock already.
  } finally {
    rmSync(aside, { force: true })
  }
}

const ownerOf = (lock: string): number | null => {
  try {
    return Number(readFileSync(lock, 'utf8'))
  } catch {
    return null
  }
}

/** A lock that is gone counts as alive: the next attempt to take it decides. */
const isAlive = (pid: number | null): boolean => {
  if (pid === null) return true
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
