/** `/v2.0/realizations`: what hosts report, to administrators, filtered. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
const ids = Array.from({ length: 4 }, () => randomUUID())

before(async () => {
  server = await testServer()
  for (const [index, id] of ids.entries()) {
    await server.database.query(
      `insert into realizations (host, kind, id, generation, state, message, repaired, at)
        values ($1, 'port', $2, 1, $3, $4, $5, now() + make_interval(secs => $6))`,
      [
        `h${index % 2}`,
        id,
        index === 3 ? 'error' : 'done',
        index === 2 ? '3 flows were put back' : null,
        index === 2,
        index,
      ],
    )
  }
})
after(() => server.close())

const listed = async (query: string): Promise<string[]> => {
  const body = answered(await server.admin.get(`realizations${query}`), 200)
  return (body['realizations'] as { id: string }[]).map((one) => one.id)
}

test('the newest first, by host, state, id and repair', async () => {
  assert.deepEqual(await listed(''), [...ids].reverse())
  assert.deepEqual(await listed('?host=h0'), [ids[2], ids[0]])
  assert.deepEqual(await listed('?host=h0&host=h1&state=error'), [ids[3]])
  assert.deepEqual(await listed('?repaired=true'), [ids[2]])
  assert.deepEqual(await listed(`?id=${ids[1]}&id=nonsense`), [ids[1]])
  assert.deepEqual(await listed('?kind=network'), [])
  assert.deepEqual(await listed('?limit=1'), [ids[3]])
})

test('what is asked wrongly, or by others, is refused', async () => {
  refused(await server.admin.get('realizations?colour=red'), 'HTTPBadRequest')
  refused(await server.admin.get('realizations?repaired=perhaps'), 'HTTPBadRequest')
  refused(await server.admin.get('realizations?limit=0'), 'HTTPBadRequest')
  refused(await server.as('p1').get('realizations'), 'PolicyNotAuthorized')
})
