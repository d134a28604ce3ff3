/**
 * Numbers the host keeps for good: object numbers in cookies, port keys (register value and conntrack zone in one),
 * network and group keys.
 *
 * A number must survive the agent: a port whose zone changes loses its connections, an object whose number changes has
 * its flows replaced. They live in SQLite, because one new port must cost one small append, not a rewrite of every
 * number of a host that knows 100,000 neighbours. Losing the last moments at a power cut is fine: then the flows are
 * gone too. The file is locked for the life of the process, so two agents cannot share a state folder.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** First and last number of each space. Port keys are conntrack zones, hence 16 bits; zone 0 is the default zone. */
const SPACES = {
  object: { first: 1, last: 0xffffff },
  port: { first: 1, last: 0xffff },
  network: { first: 1, last: 0xffffff },
  group: { first: 1, last: 0xffffff },
} as const

export type Space = keyof typeof SPACES

export interface Numbers {
  /** The number of `key`, taken now if it has none. Throws when the space is used up. */
  of(space: Space, key: string): number
  /** The numbers of keys that `keep` refuses, by key. */
  stale(space: Space, keep: (key: string) => boolean): ReadonlyMap<string, number>
  /** Frees the numbers of keys that `keep` refuses; answers those freed. They are the last to be given out again. */
  prune(space: Space, keep: (key: string) => boolean): ReadonlyMap<string, number>
  /** Writes what was taken since the last flush, in one transaction. */
  flush(): void
  close(): void
}

interface Table {
  readonly byKey: Map<string, number>
  readonly used: Set<number>
  next: number
}

/** Opens (or creates) `<stateDir>/numbers.db`; null keeps everything in memory, for tests. */
export function openNumbers(stateDir: string | null): Numbers {
  const db = stateDir === null ? null : openDatabase(stateDir)
  const tables = load(db)
  const unsaved: { space: Space; key: string; value: number }[] = []

  const take = (space: Space, key: string): number => {
    const table = tables[space]
    const { first, last } = SPACES[space]
    if (table.used.size > last - first) throw new Error(`no ${space} number is left on this host`)
    while (table.used.has(table.next)) table.next = table.next >= last ? first : table.next + 1
    const value = table.next
    table.next = value >= last ? first : value + 1
    table.byKey.set(key, value)
    table.used.add(value)
    unsaved.push({ space, key, value })
    return value
  }

  const flush = (): void => {
    if (!db || unsaved.length === 0) return void unsaved.splice(0)
    const insert = db.prepare('insert or replace into number (space, key, value) values (?, ?, ?)')
    transaction(db, () => {
      for (const { space, key, value } of unsaved.splice(0)) insert.run(space, key, value)
    })
  }

  const stale: Numbers['stale'] = (space, keep) => new Map([...tables[space].byKey].filter(([key]) => !keep(key)))

  return {
    of: (space, key) => tables[space].byKey.get(key) ?? take(space, key),
    stale,
    prune: (space, keep) => {
      flush()
      const table = tables[space]
      const freed = stale(space, keep)
      if (freed.size === 0) return freed
      const remove = db?.prepare('delete from number where space = ? and key = ?')
      for (const [key, value] of freed) {
        table.byKey.delete(key)
        table.used.delete(value)
      }
      if (db) transaction(db, () => freed.forEach((_, key) => remove?.run(space, key)))
      return freed
    },
    flush,
    close: () => {
      flush()
      db?.close()
    },
  }
}

function openDatabase(stateDir: string): DatabaseSync {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(join(stateDir, 'numbers.db'))
  try {
    // Exclusive first: in this order the write-ahead log needs no shared memory, and the lock is held from here on.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal')
    db.exec(`create table if not exists number (
      space text not null, key text not null, value integer not null,
      primary key (space, key), unique (space, value)) without rowid`)
    db.exec('begin immediate; commit')
  } catch (error) {
    db.close()
    if (/locked|busy/i.test((error as Error).message))
      throw new Error(`${stateDir} is in use by another agent: stop it, or give this one a state folder of its own`, {
        cause: error,
      })
    throw error
  }
  return db
}

function load(db: DatabaseSync | null): Record<Space, Table> {
  const empty = (space: Space): Table => ({ byKey: new Map(), used: new Set(), next: SPACES[space].first })
  const tables = { object: empty('object'), port: empty('port'), network: empty('network'), group: empty('group') }
  const rows = db?.prepare('select space, key, value from number').all() ?? []
  for (const row of rows as { space: Space; key: string; value: number }[]) {
    const table = tables[row.space]
    table.byKey.set(row.key, row.value)
    table.used.add(row.value)
    // A freed number comes back only after the whole space was walked through.
    table.next = Math.max(table.next, row.value === SPACES[row.space].last ? SPACES[row.space].first : row.value + 1)
  }
  return tables
}

function transaction(db: DatabaseSync, run: () => void): void {
  db.exec('begin immediate')
  try {
    run()
    db.exec('commit')
  } catch (error) {
    db.exec('rollback')
    throw error
  }
}
