/** A server of several processes: one scrape tells of all of them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, REPOSITORY } from '../lib/installation.ts'
import { testDatabase } from '../lib/postgres.ts'

const REQUESTS = 60

/** Metric lines as values by name with labels. */
const parsed = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^([^#\s]\S*(?:\{.*\})?) (\S+)$/.exec(line) ?? []
      return name ? [[name, Number(value)] as const] : []
    }),
  )

test('/metrics tells of every worker and of the feed, whoever answers', { timeout: 90_000 }, async () => {
  await using db = await testDatabase()
  const port = await freePort()
  const flags = [`--database=${db.url}`, `--port=${port}`, `--feed-port=${port + 1}`, '--workers=2', '--identity=none']
  const server = spawn(process.execPath, [join(REPOSITORY, 'bin/server.ts'), ...flags], { stdio: 'ignore' })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  try {
    const url = `http://127.0.0.1:${port}`
    const scrape = async (): Promise<ReadonlyMap<string, number>> =>
      parsed(await (await fetch(`${url}/metrics`)).text())
    const started = async (): Promise<boolean> => (await scrape().catch(() => null))?.get('deuteron_feed_hosts') === 0
    while (!(await started())) await sleep(200)
    const connection = { connection: 'close' }
    await Promise.all(
      Array.from({ length: REQUESTS }, async () => {
        const answer = await fetch(`${url}/v2.0/networks`, { headers: connection })
        assert.equal(answer.status, 200)
        await answer.text()
      }),
    )
    const counted = (figures: ReadonlyMap<string, number>): number =>
      [...figures].reduce(
        (sum, [name, value]) =>
          name.startsWith('deuteron_http_request_seconds_count{') && /networks/.test(name) ? sum + value : sum,
        0,
      )
    // Several times, for either worker may answer.
    for (let round = 0; round < 6; round++) {
      const figures = await scrape()
      assert.equal(counted(figures), REQUESTS)
      assert.equal(figures.get('deuteron_feed_hosts'), 0)
    }
  } finally {
    server.kill('SIGTERM')
    await ended
  }
})
