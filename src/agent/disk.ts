/**
 * The last world on the host's disk (SQLite), so that an agent starts, adopts and repairs without a server; and the
 * lock that keeps a second agent off the host: the database file stays locked while the process lives, however it dies.
 *
 * A frame is one transaction. Its last commits may be lost with the machine's power (no fsync a frame): the file then
 * holds an earlier frame, whole, and the next hello's fingerprints say so to the server.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Logger } from '#kernel/log.ts'
import type { Frame } from '#wire/messages.ts'
import { splitKey, type WireKey } from '#wire/objects.ts'
import { convertUp, currentVersion, isWireType, shapeOf } from '#wire/versions.ts'
import type { Known } from './world.ts'

export interface Disk {
  load(): { readonly known: readonly Known[]; readonly position: string | null }
  /** Errors (a full disk) are thrown; the file keeps what it had. */
  write(frame: Frame): void
  close(): void
}

/** Remembers nothing: for simulated hosts. */
export const noDisk: Disk = { load: () => ({ known: [], position: null }), write: () => {}, close: () => {} }

/** SQLite's primary result codes. */
const BUSY = 5
const CORRUPT = 11
const NOT_A_DATABASE = 26

/** Throws with one sentence when another agent holds the folder or it cannot be written. */
export function openDisk(stateDir: string, log: Logger): Disk {
  const file = join(stateDir, 'world.db')
  const pidFile = join(stateDir, 'agent.pid')
  let db: DatabaseSync
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    db = openOrSetAside(file, log)
    writeFileSync(pidFile, `${process.pid}\n`)
  } catch (error) {
    throw new Error(explain(error, stateDir, pidFile), { cause: error })
  }
  const put = db.prepare('insert or replace into object (key, version, fingerprint, body) values (?, ?, ?, ?)')
  const drop = db.prepare('delete from object where key = ?')
  const setPosition = db.prepare("insert or replace into meta (name, value) values ('position', ?)")

  return {
    load: () => ({
      known: db
        .prepare('select key, version, fingerprint, body from object')
        .all()
        .flatMap((row) => revive(row, log)),
      position: (db.prepare("select value from meta where name = 'position'").get()?.['value'] as string) ?? null,
    }),
    write: (frame) => {
      db.exec('begin immediate')
      try {
        for (const [key, print, object] of frame.put)
          put.run(key, currentVersion(splitKey(key).type), print, JSON.stringify(object))
        for (const key of frame.drop) drop.run(key)
        setPosition.run(frame.position)
        db.exec('commit')
      } catch (error) {
        if (db.isTransaction) db.exec('rollback')
        throw error
      }
    },
    close: () => db.close(),
  }
}

function openOrSetAside(file: string, log: Logger): DatabaseSync {
  try {
    return openDatabase(file)
  } catch (error) {
    const code = resultCode(error)
    if (code !== CORRUPT && code !== NOT_A_DATABASE) throw error
    const aside = `${file}.broken-${Date.now()}`
    renameSync(file, aside)
    log.error({ file, aside }, 'the remembered world is not readable; set aside, starting with none')
    return openDatabase(file)
  }
}

function openDatabase(file: string): DatabaseSync {
  const db = new DatabaseSync(file)
  try {
    // Exclusive mode keeps the file lock from the first write on until the process ends.
    db.exec(`
      pragma locking_mode = exclusive;
      pragma journal_mode = wal;
      pragma synchronous = normal;
      create table if not exists meta (name text primary key, value text not null) strict;
      create table if not exists object (
        key text primary key, version integer not null, fingerprint text not null, body text not null
      ) strict;
      begin immediate;
      insert or replace into meta (name, value) values ('opened', datetime('now'));
      commit`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Objects of a version this build does not know (it was downgraded) are left to the server to send again. */
function revive(row: Record<string, unknown>, log: Logger): Known[] {
  const { key, version, fingerprint, body } = row as {
    key: WireKey
    version: number
    fingerprint: string
    body: string
  }
  const { type } = splitKey(key)
  const shape = isWireType(type) ? shapeOf(type, version) : undefined
  const object = JSON.parse(body) as unknown
  const fault = shape ? shape.fault(object, key) : `${key}: version ${version} is not known to this build`
  if (!fault) return [{ key, fingerprint, object: convertUp(type, object, version) }]
  log.warn({ key, version, fault }, 'left out of the remembered world')
  return []
}

const resultCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) & 0xff

function explain(error: unknown, stateDir: string, pidFile: string): string {
  if (resultCode(error) === BUSY) {
    const pid = readPid(pidFile)
    return `another agent${pid ? ` (process ${pid})` : ''} runs on this host with ${stateDir}; stop it first or use another --state`
  }
  return `the agent cannot use its folder ${stateDir}: ${(error as Error).message}; make it writable or choose another --state`
}

function readPid(pidFile: string): string | null {
  try {
    return readFileSync(pidFile, 'utf8').trim()
  } catch {
    return null
  }
}
