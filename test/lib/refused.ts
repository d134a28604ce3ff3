/** Assertions on answers that refuse. */
import assert from 'node:assert/strict'
import { catalogue, type ErrorType } from '#kernel/errors.ts'
import type { Reply } from './server.ts'

/** The answer is this error of the catalogue, in OpenStack's form; answers its `facts`. */
export function refused(reply: Reply, type: ErrorType, message?: RegExp | string): Record<string, any> {
  const seen = `${reply.status} ${reply.text}`
  assert.equal(reply.status, catalogue[type].status, seen)
  const { NeutronError: error, ...rest } = reply.body ?? {}
  assert.deepEqual(rest, {}, seen)
  const { facts = {}, ...known } = error ?? {}
  assert.deepEqual(Object.keys(known).sort(), ['detail', 'message', 'type'], seen)
  // Only where people need more than a sentence.
  assert.equal(error.detail !== '', type === 'PortBindingError', seen)
  assert.equal(error.type, type, seen)
  if (typeof message === 'string') assert.equal(error.message, message)
  else if (message) assert.match(error.message, message)
  return facts
}

/** The answer has this status; answers its body. */
export function answered(reply: Reply, status: number): any {
  assert.equal(reply.status, status, `${reply.status} ${reply.text}`)
  return reply.body
}
