/** What a setting is: its kind, default, what it is for, and the heading it stands under. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isRoot, SERVICE_HOME } from './account.ts'
import { type Kind, oneOf } from './setting-kinds.ts'

export interface Field<T> {
  readonly kind: Kind<T>
  readonly default: T
  readonly doc: string
  /** Heading in the reference. */
  readonly group: string
  /** The flag's name when it is not the key's. */
  readonly flag?: string
  /** How the reference writes a default that differs by machine. */
  readonly defaultText?: string
  /** Hidden when printed. */
  readonly secret?: boolean
}
export type Fields = Readonly<Record<string, Field<unknown>>>
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

type Extra = Partial<Pick<Field<unknown>, 'flag' | 'defaultText' | 'secret'>>

/** Fields of one heading; `field(kind, default, doc)`. */
export const group =
  (name: string) =>
  <T>(kind: Kind<T>, value: NoInfer<T>, doc: string, extra: Extra = {}): Field<T> => ({
    kind,
    default: value,
    doc,
    group: name,
    ...extra,
  })

/** A folder of this user's, or of the service where root runs it. */
export const underHome = (folder: string): string =>
  isRoot()
    ? join(SERVICE_HOME, folder)
    : join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'deuteron', folder === 'data' ? '' : folder)

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const logging = group('Logs')
/** The same for server and agent. */
export const logLevel = logging(
  oneOf(...LOG_LEVELS),
  'info',
  'The least grave message that is logged (JSON lines on standard error).',
)
