/** Answers under an Idempotency-Key: kept as long as configured, then the key is as new. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testServer } from '../../test/lib/server.ts'
import { forgetKeys } from './idempotency.ts'

test('forgotten when old, not before', async () => {
  await using server = await testServer()
  const post = () => server.admin.post('networks', { network: { name: 'n' } }, { 'idempotency-key': 'k' })
  const first = await post()
  assert.equal(await forgetKeys(server.database, 60), 0)
  assert.equal((await post()).body.network.id, first.body.network.id)
  await server.database.query("/* once */ update idempotency_keys set created_at = created_at - interval '61 seconds'")
  assert.equal(await forgetKeys(server.database, 60), 1)
  assert.notEqual((await post()).body.network.id, first.body.network.id)
})

test('the same request twenty times at once is carried out once', async () => {
  await using server = await testServer()
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => server.admin.post('networks', { network: {} }, { 'idempotency-key': 'same' })),
  )
  assert.ok(replies.every(({ status }) => status === 201))
  assert.equal(new Set(replies.map(({ text }) => text)).size, 1)
  assert.equal(replies.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 19)
})
