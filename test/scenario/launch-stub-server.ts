/** Stands in for bin/server.ts in tests of the launcher: keeps the contract (settings, /healthz, SIGTERM), counts rows. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createLogger } from '#kernel/log.ts'
import { loadSettings } from '#launch/settings.ts'
import pg from 'pg'

const { settings } = loadSettings('server', process.argv.slice(2), process.env)
const log = createLogger('stub', 'info')
const fault = process.env['DEUTERON_TEST_FAULT']
if (fault && fault !== 'deaf') {
  log.fatal(fault)
  process.exit(3)
}
const pool = new pg.Pool({ connectionString: settings.databaseUrl ?? '' })
pool.on('error', () => undefined)
pool.on('connect', (client) => client.on('error', () => undefined))
await pool.query('create table if not exists counted (n int)')
if (settings.identity === 'builtin') {
  writeFileSync(join(settings.dataDir, 'identity.json'), JSON.stringify({ initial: { admin: 'drawn' } }), {
    mode: 0o600,
  })
}
const answer = async (method: string | undefined): Promise<string> => {
  if (method === 'POST') await pool.query('insert into counted values (1)')
  const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from counted')
  return JSON.stringify({ rows: rows[0]?.n, uid: process.getuid?.() })
}
createServer((request, response) => {
  if (request.method === 'DELETE') process.exit(4)
  answer(request.method).then(
    (text) => response.end(text),
    (error: unknown) => response.writeHead(503).end(String(error)),
  )
}).listen(settings.listenPort, settings.listenHost)
process.on('SIGTERM', () => {
  if (fault !== 'deaf') process.exit(0)
})
