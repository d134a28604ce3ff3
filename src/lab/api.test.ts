import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createApi, parseOpenrc } from './api.ts'

test('where nobody logs in no token is asked for, and none is sent', async (t) => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url, request.headers['x-auth-token'] as string | undefined)
    response.end('{"networks": []}')
  })
  t.after(() => server.close())
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const openrc = `export OS_AUTH_TYPE='none'\nexport OS_ENDPOINT='http://127.0.0.1:${port}'\n`
  assert.deepEqual(await createApi(parseOpenrc(openrc)).call('GET', 'networks'), { networks: [] })
  assert.deepEqual(asked, ['/v2.0/networks', undefined])
})
