/** Answers kept under the client's Idempotency-Key, in the transaction that earned them. */
import { ApiError } from '#kernel/errors.ts'
import type { Database } from './pool.ts'
import type { Transaction } from './transaction.ts'

export interface IdempotentRequest {
  readonly projectId: string
  readonly key: string
  /** Hash of method, path and body. */
  readonly hash: string
}

export interface StoredAnswer {
  readonly status: number
  readonly response: string
}

/**
 * Claims the key for this transaction; a second request with it waits here until the first has ended.
 * Answers what was stored when the key was used before; throws IdempotencyKeyReused for another request's key.
 */
export async function claimKey(
  tx: Transaction,
  { projectId, key, hash }: IdempotentRequest,
): Promise<StoredAnswer | null> {
  const claimed = await tx.query(
    `insert into idempotency_keys (project_id, key, request_hash, status, response) values ($1, $2, $3, 0, '')
      on conflict do nothing returning 1`,
    [projectId, key, hash],
  )
  if (claimed.length > 0) return null
  const [stored] = await tx.query<{ request_hash: string; status: number; response: string }>(
    'select request_hash, status, response from idempotency_keys where project_id = $1 and key = $2',
    [projectId, key],
  )
  if (!stored) return claimKey(tx, { projectId, key, hash })
  if (stored.request_hash !== hash) throw new ApiError('IdempotencyKeyReused', { key })
  return { status: stored.status, response: stored.response }
}

export async function keepAnswer(
  tx: Transaction,
  { projectId, key }: IdempotentRequest,
  answer: StoredAnswer,
): Promise<void> {
  await tx.query('update idempotency_keys set status = $3, response = $4 where project_id = $1 and key = $2', [
    projectId,
    key,
    answer.status,
    answer.response,
  ])
}

/** Forgets answers older than so many seconds; answers how many. */
export const forgetKeys = async (database: Database, olderThanSeconds: number): Promise<number> => {
  const gone = await database.query(
    'delete from idempotency_keys where created_at < now() - make_interval(secs => $1) returning 1',
    [olderThanSeconds],
  )
  return gone.length
}
