/** JSON lines on standard error; one root logger a process, children by component, never a global. */
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger } from 'pino'
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** Header and body fields that never reach a log, whatever object they hang on. */
const SECRET = ['token', 'password', 'authorization', 'secret', 'credential', '["x-auth-token"]', '["x-service-token"]']

/** Where PostgreSQL quotes the rows and values that it refuses. */
const QUOTED = ['err.detail', 'err.where']

const stderr = (): DestinationStream => pino.destination({ fd: 2, sync: true })

export const createLogger = (program: string, level: LogLevel = 'info', to: DestinationStream = stderr()): Logger =>
  pino(
    {
      level,
      base: { program, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [...QUOTED, ...SECRET.flatMap((key) => [key, key.startsWith('[') ? `*${key}` : `*.${key}`])],
        censor: '[hidden]',
      },
    },
    to,
  )

export const silentLogger: Logger = pino({ level: 'silent' })
