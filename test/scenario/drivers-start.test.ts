/** A server with a driver that is none ends at once, with one sentence, and before it asks for its database. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { REPOSITORY } from '../lib/installation.ts'

/** Where nothing listens: whoever looks for a database here says so. */
const NOWHERE = 'postgresql://nobody@127.0.0.1:1/none'

test('a driver that is none is reported before the database is touched, with workers and without', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-drivers-start-'))
  const file = join(folder, 'bad.mjs')
  writeFileSync(file, 'export default { name: 7 }')
  try {
    for (const workers of ['0', '2']) {
      const flags = [`--database=${NOWHERE}`, `--mechanism-drivers=${file}`, `--workers=${workers}`]
      const { status, stderr } = spawnSync(process.execPath, [join(REPOSITORY, 'bin/server.ts'), ...flags], {
        encoding: 'utf8',
        timeout: 30_000,
      })
      assert.match(stderr, /mechanism driver .*bad\.mjs is none: name must be/)
      assert.doesNotMatch(stderr, /ECONNREFUSED/)
      assert.equal(status, 1)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
