/** What every request carries besides its body: who, under which id, and on what conditions. */
import { createHash } from 'node:crypto'
import type { Request } from '#core/operation.ts'
import type { Params } from '#core/reading/query.ts'
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import { canonicalJson } from '#kernel/fingerprint.ts'
import type { FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the authentication hook on everything below /v2.0. */
    caller: Caller
  }
}

export const paramsOf = (request: FastifyRequest): Params => {
  const query = request.query as Record<string, string | string[]>
  return Object.fromEntries(Object.entries(query).map(([key, value]) => [key, Array.isArray(value) ? value : [value]]))
}

export function writeRequest(request: FastifyRequest): Request {
  const params = paramsOf(request)
  return {
    caller: request.caller,
    requestId: request.id,
    idempotency: idempotencyOf(request),
    ifRevision: revisionOf(request.headers['if-match']),
    dryRun: params['dry_run']?.at(-1)?.toLowerCase() === 'true',
  }
}

function idempotencyOf(request: FastifyRequest): Request['idempotency'] {
  const key = request.headers['idempotency-key']
  if (request.method !== 'POST' || key === undefined) return null
  if (typeof key !== 'string' || key.length === 0 || key.length > 255) {
    throw new ApiError('HTTPBadRequest', { reason: 'Idempotency-Key must have 1 to 255 characters' })
  }
  const hash = createHash('sha256')
    .update(`${request.method} ${request.url}\n${canonicalJson(request.body ?? null)}`)
    .digest('hex')
  return { key, hash }
}

/** `If-Match: revision_number=N`. */
function revisionOf(header: string | string[] | undefined): number | null {
  if (header === undefined) return null
  const match = /^\s*revision_number=(\d{1,15})\s*$/.exec(String(header))
  if (!match)
    throw new ApiError('HTTPBadRequest', {
      reason: `Invalid value for If-Match header: '${String(header)}'. It must be revision_number=N`,
    })
  return Number(match[1])
}
