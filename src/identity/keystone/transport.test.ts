/** TLS to Keystone: whose certificate is trusted, and what is said of one that is not. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTransport, versioned } from './transport.ts'

const missing = spawnSync('openssl', ['version']).error ? 'openssl is not installed: it makes the certificate' : false

test('a certificate is trusted by its authority, or when nothing is verified', { skip: missing }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-tls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = 'req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=keystone'.split(' ')
  execFileSync('openssl', [...made, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  })
  const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) =>
    response.end(JSON.stringify({ asked: request.url })),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const authUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = (cafile: string | null, insecure: boolean) =>
    createTransport({ authUrl, cafile, insecure })({ method: 'GET', path: '/auth/tokens' }, AbortSignal.timeout(5000))
  assert.deepEqual((await ask(certificate, false)).body, { asked: '/v3/auth/tokens' })
  assert.equal((await ask(null, true)).status, 200)
  await assert.rejects(ask(null, false), {
    name: 'KeystoneFault',
    message: 'the connection failed (DEPTH_ZERO_SELF_SIGNED_CERT)',
  })
})

test('an authority that cannot be read is named', () => {
  assert.throws(
    () => createTransport({ authUrl: 'https://keystone.example', cafile: '/nonexistent/ca.pem', insecure: false }),
    /keystone_cafile \/nonexistent\/ca\.pem cannot be read \(ENOENT\)/,
  )
})

test('the version belongs to the address, whether it is given or not', () => {
  for (const given of ['http://k:5000', 'http://k:5000/', 'http://k:5000/v3', 'http://k:5000/v3/'])
    assert.equal(versioned(given), 'http://k:5000/v3')
  assert.equal(versioned('https://k/identity'), 'https://k/identity/v3')
})
