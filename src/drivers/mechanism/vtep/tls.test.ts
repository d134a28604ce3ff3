/** A ToR that speaks TLS only: it and we show certificates of one authority, and nobody else's is taken. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import type { TlsIdentity } from '#protocol/socket.ts'
import { createTor } from './tor.ts'

const SCHEMA = '/usr/share/openvswitch/vtep.ovsschema'
const skip = existsSync(SCHEMA) && existsSync('/usr/bin/openssl') ? false : `needs openssl and ${SCHEMA}`

/** An authority, and a key with a certificate of it for each name. */
function certify(dir: string, authority: string, names: readonly string[]): void {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const ca = `${authority}-ca`
  openssl('req', '-x509', ...curve, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`, '-days', '2')
  for (const name of names) {
    openssl('req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signed = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2']
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
  }
}

test('certificates are shown and checked on both sides', { skip, timeout: 30_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'T-vtep-tls-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  certify(dir, 'ours', ['tor', 'server'])
  certify(dir, 'theirs', ['stranger'])
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8')
  const identity = (name: string, ca: string): TlsIdentity => ({
    key: read(`${name}.key`),
    cert: read(`${name}.pem`),
    ca: read(`${ca}-ca.pem`),
  })
  execFileSync('ovsdb-tool', ['create', join(dir, 'vtep.db'), SCHEMA])
  const shown = ['--private-key=tor.key', '--certificate=tor.pem', '--ca-cert=ours-ca.pem']
  const listening = ['vtep.db', '--remote=pssl:0:127.0.0.1', `--unixctl=${join(dir, 'ctl')}`]
  const ovsdb = spawn('/usr/sbin/ovsdb-server', [...listening, ...shown], {
    cwd: dir,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => ovsdb.kill('SIGKILL'))
  let port = ''
  for (let said = ''; port === ''; port = /0:127\.0\.0\.1: listening on port (\d+)/.exec(said)?.[1] ?? '')
    said += String((await once(ovsdb.stderr, 'data'))[0])
  const stateWith = async (tls: TlsIdentity): Promise<string> => {
    const tor = createTor({ connection: { target: `ssl:127.0.0.1:${port}`, tls }, log: silentLogger })
    for (let left = 200; left > 0 && tor.status().state === 'unreachable' && tor.status().reason === null; left--)
      await new Promise((resolve) => setTimeout(resolve, 20))
    const { state } = tor.status()
    await tor.close()
    return state
  }
  assert.equal(await stateWith(identity('server', 'ours')), 'idle')
  assert.equal(await stateWith(identity('stranger', 'ours')), 'unreachable', 'the ToR does not know us')
  assert.equal(await stateWith(identity('server', 'theirs')), 'unreachable', 'we do not know the ToR')
})
