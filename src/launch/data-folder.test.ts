import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { cloudsYaml, drawnPassword, openrc } from './data-folder.ts'
import { PACKAGES } from './packages.ts'

test('clouds.yaml is YAML that holds what openrc exports', () => {
  const access = { url: 'http://127.0.0.1:9696', password: "pa'ss: #word" }
  const cloud = (parse(cloudsYaml(access)) as { clouds: { deuteron: { auth: Record<string, string> } } }).clouds
    .deuteron
  assert.equal(cloud.auth['password'], access.password)
  assert.equal(cloud.auth['auth_url'], 'http://127.0.0.1:9696/identity/v3')
  assert.match(openrc({ ...access, password: 'p' }), /^export OS_PASSWORD='p'$/m)
  const open = parse(cloudsYaml({ ...access, password: null })) as { clouds: { deuteron: { auth: object } } }
  assert.deepEqual(open.clouds.deuteron.auth, { endpoint: access.url })
})

test("the drawn password is the administrator's, until it is changed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-identity-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'identity.json')
  writeFileSync(file, '{"initial":{"admin":"drawn"}}')
  assert.equal(drawnPassword(file), 'drawn')
  writeFileSync(file, '{"initial":{}}')
  assert.equal(drawnPassword(file), null)
})

test('package sets name each package once', () => {
  for (const names of Object.values(PACKAGES)) assert.equal(new Set(names).size, names.length)
})
