/** Injected faults are real ones: transactions fail and run again, and neither clients nor tables can tell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testServer } from '../test/lib/server.ts'
import { verify } from '../test/lib/verify.ts'
import { injectFaults } from './faults.ts'

test('with one of four transactions failing, each request is answered as if none did', async () => {
  await using server = await testServer()
  await using stack = new AsyncDisposableStack()
  const faults = await injectFaults(stack, server.databaseUrl, 4)
  assert.equal(await faults.count(), 0)
  await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const { id } = await server.admin.make('network', { name: `n${index}` })
      const { status } = await server.admin.put(`networks/${id}`, { network: { name: `m${index}` } })
      assert.equal(status, 200)
    }),
  )
  // About fourteen of sixty.
  assert.ok((await faults.count()) >= 3)
  const { body } = await server.admin.get('networks')
  assert.deepEqual(
    body.networks.map(({ name }: { name: string }) => name).sort(),
    Array.from({ length: 30 }, (_, index) => `m${index}`).sort(),
  )
  assert.deepEqual(await verify(server.core), [])
})
