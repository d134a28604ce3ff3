import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { duration, idRange, list, mapping, size, vlanRange } from './setting-kinds.ts'
import { agentFields } from './setting-agent.ts'
import type { Fields } from './setting-field.ts'
import { serverFields } from './setting-fields.ts'
import { configReference, settingRows } from './settings-print.ts'
import { loadSettings, pathFlags } from './settings.ts'
import { UserError } from './user-error.ts'

const folder = (t: { after(fn: () => void): void }): string => {
  const made = mkdtempSync(join(tmpdir(), 'deuteron-settings-'))
  t.after(() => rmSync(made, { recursive: true }))
  return made
}

const refusal = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof UserError)
    return error.message
  }
  return assert.fail('nothing was refused')
}

test('every default survives being printed and read again', () => {
  for (const fields of [serverFields, agentFields] as Fields[]) {
    for (const [key, { kind, default: value }] of Object.entries(fields)) {
      assert.deepEqual(kind.parse(kind.print(value)), { ok: value }, key)
    }
  }
})

test('what a kind prints it reads back as the same value', () => {
  const back = <T>(kind: { parse(raw: unknown): unknown; print(value: T): string }, value: T): void =>
    assert.deepEqual(kind.parse(kind.print(value)), { ok: value })
  fc.assert(fc.property(fc.integer({ min: 1, max: 10 ** 9 }), (n) => (back(duration(), n), back(size(), n))))
  const range = fc.tuple(fc.integer({ min: 1, max: 4094 }), fc.integer({ min: 1, max: 4094 })).map(([a, b]) => ({
    first: Math.min(a, b),
    last: Math.max(a, b),
  }))
  const vlan = fc
    .tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/), fc.option(range))
    .map(([physical_network, one]) => ({ physical_network, range: one }))
  fc.assert(fc.property(fc.array(range), (ranges) => back(list(idRange(1, 4094)), ranges)))
  fc.assert(fc.property(fc.array(vlan), (ranges) => back(list(vlanRange()), ranges)))
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/)
  fc.assert(fc.property(fc.dictionary(word, word), (pairs) => back(mapping('a', 'b'), { ...pairs })))
})

test('a flag wins over the environment, the environment over the file, the file over the default', (t) => {
  const data = folder(t)
  writeFileSync(
    join(data, 'deuteron.yaml'),
    'listen_port: 1001\nfeed_port: 1002\nworkers: 3\nbridge_mappings: {a: br-a}\n',
  )
  const env = { DEUTERON_LISTEN_PORT: '2001', DEUTERON_FEED_PORT: '2002' }
  const { settings, sources } = loadSettings('server', ['--port', '3001', '--data', data], env)
  assert.deepEqual([settings.listenPort, settings.feedPort, settings.workers], [3001, 2002, 3])
  assert.equal(settings.databasePool, 16)
  assert.equal(sources['listenPort'], '--port')
  assert.equal(sources['feedPort'], 'DEUTERON_FEED_PORT')
  assert.equal(sources['workers'], `workers in ${join(data, 'deuteron.yaml')}`)
  assert.ok(Object.isFrozen(settings))
})

test('all problems are reported at once, each with its source', (t) => {
  const data = folder(t)
  writeFileSync(join(data, 'deuteron.yaml'), 'vni_ranges: [5:2]\nworkerz: 2\n')
  const said = refusal(() =>
    loadSettings('server', ['--data', data, '--prot', '1'], { DEUTERON_LISTEN_PORT: 'http', DEUTERON_IDENTTY: 'x' }),
  )
  assert.match(said, /there is no flag --prot \(did you mean --port\?\)/)
  assert.match(said, /DEUTERON_LISTEN_PORT must be a whole number from 1 to 65535, not "http"/)
  assert.match(said, /no variable DEUTERON_IDENTTY \(did you mean DEUTERON_IDENTITY\?\)/)
  assert.match(said, /vni_ranges in .*deuteron\.yaml has an entry "5:2" that must be a range/)
  assert.match(said, /there is no key workerz \(did you mean workers\?\)/)
})

/** Settings of a server without a file. */
const none = (argv: string[]): unknown => loadSettings('server', ['--data', '/nonexistent', ...argv], {})

test('the built-in identity is not shown to other machines by accident', () => {
  assert.match(
    refusal(() => none(['--listen-host', '0.0.0.0'])),
    /--insecure-listen if you mean it/,
  )
  assert.match(
    refusal(() => none(['--listen-host', '::', '--identity', 'none'])),
    /identity none is for this machine/,
  )
  none(['--listen-host', '0.0.0.0', '--insecure-listen'])
  none(['--listen-host', '0.0.0.0', ...KEYSTONE])
  assert.match(
    refusal(() => none(['--feed-host', '10.0.0.1', ...KEYSTONE])),
    /feed_tls_certificate/,
  )
})

const AUTH_URL = ['--identity', 'keystone', '--keystone-auth-url', 'https://keystone.example:5000']
const KEYSTONE = [...AUTH_URL, '--keystone-username', 'neutron', '--keystone-password', 'p']

test('Keystone has an address, and this server one way of saying who it is', () => {
  const refused = (args: string[], expected: RegExp) =>
    assert.match(
      refusal(() => none(args)),
      expected,
    )
  refused(['--identity', 'keystone'], /needs keystone_auth_url/)
  refused(AUTH_URL, /needs keystone_username and keystone_password, or keystone_application_credential_id/)
  refused([...AUTH_URL, '--keystone-username', 'neutron'], /keystone_username and keystone_password need each other/)
  refused([...AUTH_URL, '--keystone-application-credential-secret', 's'], /_id and .*_secret need each other/)
  const byCredential = ['--keystone-application-credential-id', 'i', '--keystone-application-credential-secret', 's']
  refused([...KEYSTONE, ...byCredential], /not both/)
  none([...AUTH_URL, ...byCredential])
  none(['--keystone-username', 'of no use without identity keystone'])
})

test('an agent speaks to other machines by TLS only', () => {
  const load = (...urls: string[]): unknown => loadSettings('agent', ['--server', urls.join(',')], {})
  load('ws://127.0.0.1:1', 'ws://[::1]:1', 'ws://localhost:9697', 'wss://10.0.0.1')
  assert.match(
    refusal(() => load('ws://10.0.0.1:9697')),
    /use wss:/,
  )
  assert.match(
    refusal(() => load('ws://localhost.example.org')),
    /use wss:/,
  )
  assert.match(
    refusal(() => load('')),
    /must name a server/,
  )
})

test('switches, their negation, and flags of a command', () => {
  const { settings, extra, positionals } = loadSettings(
    'server',
    ['file', '--data', '/nonexistent', '--no-enforce-scope', '--force'],
    {},
    { force: 'boolean' },
  )
  assert.equal(settings.enforceScope, false)
  assert.deepEqual([extra['force'], positionals], [true, ['file']])
})

test('paths are those of the folder where they were said, wherever the server starts', (t) => {
  const data = folder(t)
  writeFileSync(join(data, 'deuteron.yaml'), 'policy_file: below/policy.yaml')
  const given = ['--data', data, '--mechanism-drivers', 'openvswitch,./mine.ts,@rack/driver', '--port', '1']
  const flags = pathFlags(loadSettings('server', given, {}))
  const here = (name: string): string => join(process.cwd(), name)
  const expected = [
    ['--config', join(data, 'deuteron.yaml')],
    ['--data', data],
    ['--policy-file', here('below/policy.yaml')],
    ['--mechanism-drivers', `openvswitch,${here('mine.ts')},@rack/driver`],
  ]
  assert.deepEqual(flags, expected.flat())
  const again = loadSettings('server', [...given, ...flags], {}).settings
  assert.deepEqual(again.mechanismDrivers, ['openvswitch', here('mine.ts'), '@rack/driver'])
})

test('cards of a host, and which of their functions are left alone', () => {
  const load = (flag: string, value: string) => loadSettings('agent', [flag, value], {}).settings
  const two = [
    { device: 'enp3s0f0', pci_slots: ['0000:07:00.2', '0000:07:00.3'] },
    { device: 'enp5s0', pci_slots: ['0000:05:00.7'] },
  ]
  const text = 'enp3s0f0:0000:07:00.2;0000:07:00.3,enp5s0:0000:05:00.7'
  assert.deepEqual(load('--exclude-devices', text).excludeDevices, two)
  for (const wrong of ['enp3s0f0', 'enp3s0f0:', 'enp3s0f0:0000:07:00.2;', '0000:07:00.2', 'enp3s0f0:0000:07:00.9'])
    assert.match(
      refusal(() => load('--exclude-devices', wrong)),
      /device:slot;slot/,
    )
  const mapped = load('--physical-device-mappings', 'physnet2:enp3s0f0,physnet2:enp3s0f1,physnet3:enp5s0')
  assert.deepEqual(
    mapped.physicalDeviceMappings.map((one) => Object.values(one)),
    [
      ['physnet2', 'enp3s0f0'],
      ['physnet2', 'enp3s0f1'],
      ['physnet3', 'enp5s0'],
    ],
  )
})

test('a password in the database URL is not printed', () => {
  const loaded = loadSettings('server', ['--data', '/nonexistent', '--database', 'postgresql://u:hush@h/d'], {})
  assert.doesNotMatch(JSON.stringify(settingRows('server', loaded)), /hush/)
  const bad = refusal(() => loadSettings('server', ['--data', '/nonexistent', '--database', 'mysql://u:hush@h/d'], {}))
  assert.doesNotMatch(bad, /hush/)
})

test('a file that is not YAML, or not there, is named', (t) => {
  const data = folder(t)
  writeFileSync(join(data, 'deuteron.yaml'), 'a: [1\nb')
  assert.match(
    refusal(() => loadSettings('server', ['--data', data], {})),
    /deuteron\.yaml is not YAML/,
  )
  assert.match(
    refusal(() => loadSettings('server', ['--config', `${data}/x`], {})),
    /x cannot be read \(ENOENT\)/,
  )
})

test('docs/reference/config.md is current', () => {
  const written = readFileSync(new URL('../../docs/reference/config.md', import.meta.url), 'utf8')
  assert.equal(written, configReference(), 'run: node src/launch/settings-write.ts')
})
