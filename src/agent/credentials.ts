/**
 * Reads the host's credential: a file with the secret that `deuteron agent enrol` printed, or, for many simulated
 * hosts, lines of `<host> <secret>`. The secret never reaches a log.
 */
import { readFileSync } from 'node:fs'
import type { Logger } from '#kernel/log.ts'

export interface Credentials {
  /** Null when the file has none for this host; the server then refuses us and says so. */
  of(host: string): string | null
}

export function readCredentials(file: string, log: Logger): Credentials {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    log.warn(
      { file, code: (error as NodeJS.ErrnoException).code },
      'no credential: run "deuteron agent enrol" for this host',
    )
    return { of: () => null }
  }
  return parseCredentials(content)
}

/** Pure. */
export function parseCredentials(content: string): Credentials {
  const lines = content.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim().split(/\s+/)]))
  const byHost = new Map(lines.flatMap(([host, secret]) => (secret === undefined ? [] : [[host, secret] as const])))
  const only = lines.length === 1 && lines[0]?.length === 1 ? (lines[0][0] ?? null) : null
  return { of: (host) => byHost.get(host) ?? only }
}
