/**
 * One credential per host: a random secret of 256 bits, of which the database keeps the SHA-256 alone (a slow hash
 * guards guessable secrets; this one is not). A host may hold several while they are being replaced.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Database } from '#store/pool.ts'
import type { Refusal } from '#wire/messages.ts'

export interface Enrolment {
  readonly id: string
  readonly host: string
  /** Shown once, never stored. */
  readonly secret: string
}

export interface CredentialRecord {
  readonly id: string
  readonly host: string
  readonly created_at: Date
  readonly revoked_at: Date | null
  /** The last connection that was accepted with it. */
  readonly used_at: Date | null
}

const PREFIX = 'dtn_'
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

const HOST = /^[A-Za-z0-9_.-]{1,255}$/
export const isHostName = (host: string): boolean => HOST.test(host)

/** `host` must satisfy `isHostName`. */
export async function enrol(database: Database, host: string): Promise<Enrolment> {
  const [id, secret] = [randomUUID(), PREFIX + randomBytes(32).toString('base64url')]
  await database.query('insert into host_credentials (id, host, hash) values ($1, $2, $3)', [id, host, hashOf(secret)])
  return { id, host, secret }
}

/** Revokes all credentials of the host; answers how many there were. Open connections end within seconds. */
export async function revoke(database: Database, host: string): Promise<number> {
  const revoked = await database.query(
    'update host_credentials set revoked_at = now() where host = $1 and revoked_at is null returning id',
    [host],
  )
  return revoked.length
}

export const listCredentials = (database: Database): Promise<readonly CredentialRecord[]> =>
  database.query('select id, host, created_at, revoked_at, used_at from host_credentials order by host, created_at')

export type Admission =
  | { readonly ok: true; readonly credential: string }
  | { readonly ok: false; readonly reason: Refusal['reason']; readonly message: string }

const ENROL = 'run "deuteron agent enrol" for this host and give the agent what it prints'

/** `authorization` is the header of the upgrade request. */
export async function admit(database: Database, host: string, authorization: string | undefined): Promise<Admission> {
  const secret = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1]
  if (!secret) return refused('credential_missing', `host ${host} shows no credential; ${ENROL}`)
  const [known] = await database.query<{ id: string; host: string; revoked: boolean }>(
    'select id, host, revoked_at is not null as revoked from host_credentials where hash = $1',
    [hashOf(secret)],
  )
  if (!known) return refused('credential_bad', `the credential of host ${host} is not known here; ${ENROL}`)
  if (known.host !== host)
    return refused(
      'credential_foreign',
      `host ${host} shows the credential of host ${known.host}; each host needs its own`,
    )
  if (known.revoked) return refused('credential_revoked', `the credential of host ${host} was revoked; ${ENROL}`)
  await database.query('update host_credentials set used_at = now() where id = $1', [known.id])
  return { ok: true, credential: known.id }
}

const refused = (reason: Refusal['reason'], message: string): Admission => ({ ok: false, reason, message })

/** Of these credentials, those that were revoked. */
export async function revokedAmong(database: Database, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ id: string }>(
    'select id from host_credentials where id = any($1::uuid[]) and revoked_at is not null',
    [ids],
  )
  return new Set(rows.map(({ id }) => id))
}
