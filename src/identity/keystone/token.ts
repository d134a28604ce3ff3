/** What Keystone says about a token (Identity API v3, `GET /v3/auth/tokens`), read into what we need of it. Pure. */
import type { Caller } from '#kernel/caller.ts'
import type { AccessRule } from './access-rules.ts'
import { KeystoneFault } from './transport.ts'

export interface KeystoneToken {
  /** Whose it is. With a trust Keystone has put the trustor in already. */
  readonly caller: Omit<Caller, 'serviceRoles'>
  /** Of an application credential that allows some requests only; null: all that policy allows. */
  readonly accessRules: readonly AccessRule[] | null
}

/** @throws KeystoneFault when `body` is not the document of a token */
export function readToken(body: unknown): KeystoneToken {
  const token = fields(fields(body)['token'])
  const user = fields(token['user'])
  const project = token['project'] === undefined ? null : fields(token['project'])
  const domain = token['domain'] === undefined ? null : fields(token['domain'])
  const expiresAt = instant(token['expires_at'])
  const credential = fields(token['application_credential'] ?? {})
  return Object.freeze({
    caller: Object.freeze({
      userId: text(user['id']),
      userName: text(user['name']),
      projectId: project && text(project['id']),
      projectName: project && text(project['name']),
      domainId: domain && text(domain['id']),
      systemScope: fields(token['system'] ?? {})['all'] === true ? 'all' : null,
      roles: Object.freeze(listOf(token['roles'] ?? []).map((role) => text(role['name']).toLowerCase())),
      expiresAt,
    }),
    accessRules: accessRulesOf(credential['access_rules'] ?? null),
  })
}

/** When a token that was just issued ends. @throws KeystoneFault */
export const expiryOf = (body: unknown): Date => instant(fields(fields(body)['token'])['expires_at'])

const accessRulesOf = (rules: unknown): readonly AccessRule[] | null =>
  rules === null
    ? null
    : listOf(rules).map(({ service, method, path }) => ({
        service: text(service),
        method: text(method),
        path: text(path),
      }))

const NOT_A_TOKEN = 'its answer is not the document of a token'

const fields = (value: unknown): Readonly<Record<string, unknown>> => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new KeystoneFault(NOT_A_TOKEN, false)
  return value as Readonly<Record<string, unknown>>
}

const listOf = (value: unknown): Readonly<Record<string, unknown>>[] => {
  if (!Array.isArray(value)) throw new KeystoneFault(NOT_A_TOKEN, false)
  return value.map(fields)
}

const text = (value: unknown): string => {
  if (typeof value !== 'string' || value === '') throw new KeystoneFault(NOT_A_TOKEN, false)
  return value
}

const instant = (value: unknown): Date => {
  const date = new Date(text(value))
  if (Number.isNaN(date.getTime())) throw new KeystoneFault(NOT_A_TOKEN, false)
  return date
}
