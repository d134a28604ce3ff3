/** The cache of tokens: how long, how many, and how often Keystone is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenCache } from './token-cache.ts'

const fixture = ({ ttlMs = 300_000, refusedTtlMs = 10_000, limit = 100 } = {}) => {
  const time = { now: 0 }
  const asked: string[] = []
  const cache = createTokenCache<string>({ ttlMs, refusedTtlMs, limit, clock: () => time.now })
  const find = (token: string, answer: string | null = token, name = '') =>
    cache(token, name, async () => {
      asked.push(token)
      return answer
    })
  return { time, asked, cache, find }
}

test('a good token is asked about once a while, a refused one sooner again', async () => {
  const { time, asked, find } = fixture()
  for (const now of [0, 9999, 10_000, 299_999, 300_000]) {
    time.now = now
    assert.equal(await find('good'), 'good')
    assert.equal(await find('bad', null), null)
  }
  assert.deepEqual(asked, ['good', 'bad', 'bad', 'bad', 'good'])
})

test('many at once ask once; one token asked about in two ways is two questions', async () => {
  const { asked, find } = fixture()
  assert.deepEqual(await Promise.all(Array.from({ length: 50 }, () => find('t'))), Array(50).fill('t'))
  assert.equal(await find('t', null, 'even if expired'), null)
  assert.equal(await find('t'), 't')
  assert.deepEqual(asked, ['t', 't'])
})

test('a failure goes to all who wait and is not kept', async () => {
  const { cache, find } = fixture()
  const fail = () => cache('t', '', () => Promise.reject(new Error('down')))
  const both = await Promise.allSettled([fail(), fail()])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await find('t'), 't')
})

test('the one unused longest goes, and made-up tokens drive out none that is good', async () => {
  const { asked, find } = fixture({ limit: 3 })
  for (const token of ['a', 'b', 'c', 'a', 'd']) await find(token)
  for (let i = 0; i < 10; i++) await find(`made up ${i}`, null)
  asked.length = 0
  for (const token of ['a', 'c', 'd', 'made up 9', 'made up 6'])
    await find(token, token.startsWith('made') ? null : token)
  assert.deepEqual(asked, ['made up 6'])
  await find('b')
  assert.deepEqual(asked, ['made up 6', 'b'])
})

test('no time to live is no cache', async () => {
  const { asked, find } = fixture({ ttlMs: 0, refusedTtlMs: 0 })
  await find('t')
  await find('t')
  assert.equal(asked.length, 2)
})
