/**
 * A PostgreSQL to throw away, for tests and demonstrations: made in a temporary folder, nothing forced to disk.
 *
 * Nobody needs to stop it: a watcher holds a pipe to this process and, when that ends in whatever way, stops the
 * cluster and removes its folder.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '#kernel/log.ts'
import { startEmbeddedPostgres } from './postgres.ts'

/** Room for many suites at once; logs only what went wrong. */
const SETTINGS = { max_connections: '200', shared_buffers: '64MB', log_min_messages: 'panic' }

// A zombie has no exe: where nobody reaps orphans, kill -0 would succeed for ever.
const WATCH =
  'read -r _; kill -QUIT "$0" 2>/dev/null; while readlink "/proc/$0/exe" >/dev/null; do sleep 0.05; done; rm -rf "$1"'

/** Starts it; the URL is that of a superuser. It lives as long as this process. */
export const startThrowawayPostgres = async (): Promise<{ url: string }> => {
  const folder = mkdtempSync('/tmp/deuteron-test-')
  chmodSync(folder, 0o711)
  const { url, pid } = await startEmbeddedPostgres({
    dataDir: join(folder, 'pg'),
    log: silentLogger,
    durable: false,
    settings: SETTINGS,
  })
  const watcher = spawn('/bin/sh', ['-c', WATCH, String(pid), folder], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.unref()
  const pipe = watcher.stdin as typeof watcher.stdin & { unref?: () => void }
  pipe.unref?.()
  return { url }
}
