/** What tests build on: two free ports are two. */
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePort } from './lib/installation.ts'

const taken = (port: number): Promise<AsyncDisposable> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () =>
      resolve({ [Symbol.asyncDispose]: () => new Promise((done) => void server.close(() => done())) }),
    )
  })

test('a free port and the one beside it can both be taken', async () => {
  for (let round = 0; round < 50; round++) {
    const port = await freePort()
    await using _first = await taken(port)
    await using _second = await taken(port + 1)
  }
})
