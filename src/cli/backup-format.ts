/**
 * The backup file: gzip over lines of text.
 *
 * The first line is a JSON header: what the database was, the migrations that made its schema (with their SQL, so
 * that a newer program can build the old schema, fill it and migrate on), partitions and sequences. Then for each
 * table a JSON line, its rows in PostgreSQL's COPY text format, and a line `\.`. The last line counts tables and
 * rows: a file cut short has none.
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { UserError } from '#launch/user-error.ts'

export interface BackupHeader {
  readonly format: 'deuteron-backup'
  readonly version: 1
  readonly made_at: string
  readonly deuteron: string
  readonly postgresql: string
  readonly migrations: readonly { readonly branch: string; readonly name: string; readonly sql: string }[]
  readonly partitions: readonly { readonly name: string; readonly parent: string; readonly bound: string }[]
  readonly sequences: readonly { readonly name: string; readonly last: string }[]
}
export interface TableLine {
  readonly table: string
  readonly columns: readonly string[]
}
export interface EndLine {
  readonly end: true
  readonly tables: number
  readonly rows: number
}

/** End of a table's rows, as in COPY's own files. */
export const END_OF_ROWS = '\\.'
const NEWLINE = 0x0a

export interface BackupWriter {
  /** Nothing, or what resolves when the file can take more: one promise for all who wait. */
  write(chunk: Buffer | string): Promise<void> | void
  /** Resolves when everything is on disk. */
  end(): Promise<void>
}

export const openBackupWriter = async (path: string): Promise<BackupWriter> => {
  const handle = await open(path, 'wx', 0o600)
  const gzip = createGzip({ level: 6 })
  const done = pipeline(gzip, handle.createWriteStream({ flush: true }))
  done.catch(() => undefined) // seen by whoever writes or ends
  let draining: Promise<void> | null = null
  const drained = async (): Promise<void> => {
    await Promise.race([once(gzip, 'drain'), done])
    draining = null
  }
  return {
    write: (chunk) => (gzip.write(chunk) ? undefined : (draining ??= drained())),
    end: () => {
      gzip.end()
      return done
    },
  }
}

/** Lines of a backup, without their newline. Throws a UserError when the file is no gzip file or is cut short. */
export async function* backupLines(path: string): AsyncGenerator<Buffer> {
  const source = createReadStream(path)
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  source.pipe(gunzip)
  let rest: Buffer[] = []
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      let start = 0
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        const piece = chunk.subarray(start, at)
        yield rest.length > 0 ? Buffer.concat([...rest, piece]) : piece
        rest = []
        start = at + 1
      }
      if (start < chunk.length) rest.push(chunk.subarray(start))
    }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (code === 'ENOENT') throw new UserError(`There is no file ${path}.`, { cause })
    if (code.startsWith('Z_')) throw new UserError(`${path} is not a backup, or was cut short (${code}).`, { cause })
    throw cause
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

/** Reads a JSON line of the file; a UserError when it is something else. */
export const parseLine = <T>(line: Buffer | undefined, path: string): T => {
  try {
    return JSON.parse((line ?? Buffer.alloc(0)).toString('utf8')) as T
  } catch (cause) {
    throw new UserError(`${path} is not a backup written by "deuteron db backup".`, { cause })
  }
}
