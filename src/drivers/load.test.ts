/** Choosing drivers: order, drivers of others from anywhere on the disk, lists of types, and every mistake named. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BindingFacts, MechanismDriver } from '#core/contracts.ts'
import { silentLogger } from '#kernel/log.ts'
import { mechanismDrivers } from './index.ts'
import { loadMechanismDrivers, type MechanismSettings } from './load.ts'

const builtIn = mechanismDrivers(silentLogger)
const NOTHING = { vnicTypeProhibitList: [], vnicTypeAllowList: [] }
const load = (names: readonly string[], lists: Partial<MechanismSettings> = {}) =>
  loadMechanismDrivers({ mechanismDrivers: names, ...NOTHING, ...lists }, builtIn, silentLogger)

/** The sentence with which loading fails. */
const refusal = async (...given: Parameters<typeof load>): Promise<string> =>
  load(...given).then(
    () => assert.fail('it was loaded'),
    (error: Error) => error.message,
  )

function folder(files: Readonly<Record<string, string>>): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'deuteron-drivers-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), text)
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

const facts = (vnic_type: string): BindingFacts => ({
  port: { id: 'p', network_id: 'n', vnic_type, device_owner: '', profile: {}, addressed: true },
  host: 'h',
  level: 0,
  segment: { id: 's', network_type: 'vlan', physical_network: 'physnet1', segmentation_id: 7 },
  agents: [],
  tors: [],
})
const namesOf = (drivers: readonly MechanismDriver[]) => drivers.map(({ name }) => name)

test('drivers come in the configured order, those of others among them', async () => {
  using there = folder({
    'one.ts': `type Facts = { host: string }
      export default { name: 'one', connectivity: 'l2', bind: ({ host }: Facts) => ({ refused: 'no', facts: { host } }) }`,
    'two.mjs': `export default async ({ log }) => ({ name: 'two', connectivity: 'l3', bind() { return this.answer }, answer: { refused: 'two' + typeof log.info, facts: {} } })`,
    'three.ts': `class Three { name = 'three'; connectivity = 'legacy'; #no = 'three'; bind() { return { refused: this.#no, facts: {} } } }
      export default new Three()`,
  })
  const at = (name: string) => join(there.path, name)
  const drivers = await load(['logger', at('one.ts'), 'openvswitch', at('two.mjs'), at('three.ts'), 'l2population'])
  assert.deepEqual(namesOf(drivers), ['logger', 'one', 'openvswitch', 'two', 'three', 'l2population'])
  const answers = drivers.map((driver) => driver.bind(facts('normal'), undefined))
  assert.deepEqual(
    answers.map((one) => ('refused' in one ? one.refused : one)),
    ['binds_nothing', 'no', 'agent_absent', 'twofunction', 'three', 'binds_nothing'],
  )
})

test('a package is found from the folder where the server starts', async () => {
  using there = folder({
    'node_modules/@rack/driver/package.json': '{"name":"@rack/driver","type":"module","exports":"./main.js"}',
    'node_modules/@rack/driver/main.js': `export default { name: 'rack', connectivity: 'l2', bind: () => ({ refused: 'no', facts: {} }) }`,
  })
  const before = process.cwd()
  process.chdir(there.path)
  try {
    assert.deepEqual(namesOf(await load(['@rack/driver'])), ['rack'])
  } finally {
    process.chdir(before)
  }
})

test('each mistake is named, and all of them at once', async () => {
  using there = folder({
    'nothing.ts': 'export const name = 1',
    'nameless.ts': `export default { connectivity: 'l2', bind() {} }`,
    'apart.ts': `export default { name: 'apart', connectivity: 'l7', bind() {} }`,
    'bindless.ts': `export default { name: 'bindless', connectivity: 'l2' }`,
    'listed.ts': `export default { name: 'listed', connectivity: 'l2', bind() {}, vnicTypes: 'normal' }`,
    'asked.ts': `export default { name: 'asked', connectivity: 'l2', bind() {}, ask: true }`,
    'throws.ts': `throw new Error('no licence')`,
    'rejects.ts': `export default async () => { throw new Error('no list of cables') }`,
    'broken.ts': `export default {`,
    'twin.ts': `export default { name: 'openvswitch', connectivity: 'l2', bind() {} }`,
  })
  const at = (name: string) => join(there.path, name)
  const says = async (name: string, what: RegExp) => assert.match(await refusal([at(name)]), what)
  await says('absent.ts', /absent\.ts: there is no such file\.$/)
  await says('nothing.ts', /is none: its default export must be a driver, or a function that answers one\.$/)
  await says('nameless.ts', /is none: name must be a word/)
  await says('apart.ts', /is none: connectivity must be one of l2, l3, legacy\.$/)
  await says('bindless.ts', /is none: bind must be a function\.$/)
  await says('listed.ts', /is none: vnicTypes must be a list of texts\.$/)
  await says('asked.ts', /is none: ask must be a function\.$/)
  await says('throws.ts', /throws\.ts could not be loaded: no licence\.$/)
  await says('rejects.ts', /rejects\.ts could not be loaded: no list of cables\.$/)
  await says('broken.ts', /broken\.ts could not be loaded: /)
  assert.match(await refusal(['openvswich']), /^there is no mechanism driver openvswich: built in are openvswitch, /)
  assert.equal(await refusal(['openvswitch', at('twin.ts')]), 'two mechanism drivers are called openvswitch.')
  assert.equal(await refusal(['logger', 'logger']), 'two mechanism drivers are called logger.')
  const both = await refusal([at('throws.ts'), 'openvswitch', at('bindless.ts')])
  assert.match(both, /^these mechanism drivers cannot be used:\n {2}- .*no licence\n {2}- .*bind must be a function$/)
})

test('lists of types hold for any driver', async () => {
  const pairs = (...texts: string[]) =>
    texts.map((text) => ({ driver: text.split(':')[0] ?? '', vnic_type: text.split(':')[1] ?? '' }))
  const reasonOf = ([driver]: readonly MechanismDriver[], vnic_type: string) => {
    const answer = driver?.bind(facts(vnic_type), undefined)
    return answer && 'refused' in answer ? answer.refused : 'bound'
  }
  const without = await load(['sriovnicswitch'], {
    vnicTypeProhibitList: pairs('sriovnicswitch:direct', 'sriovnicswitch:direct-physical'),
  })
  assert.equal(reasonOf(without, 'direct-physical'), 'vnic_unsupported')
  assert.equal(reasonOf(without, 'macvtap'), 'agent_absent')
  const only = await load(['sriovnicswitch'], { vnicTypeAllowList: pairs('sriovnicswitch:direct-physical') })
  assert.equal(reasonOf(only, 'direct-physical'), 'bound')
  assert.equal(reasonOf(only, 'macvtap'), 'vnic_unsupported')
  assert.deepEqual(only[0]?.vnicTypes, ['direct-physical'])

  const said = (lists: Partial<MechanismSettings>) => refusal(['macvtap'], lists)
  assert.equal(
    await said({ vnicTypeProhibitList: pairs('macvtap:direct') }),
    'macvtap does not bind direct, only normal.',
  )
  assert.equal(await said({ vnicTypeProhibitList: pairs('macvtap:normal') }), 'macvtap may not bind anything.')
  assert.equal(
    await said({ vnicTypeAllowList: pairs('openvswitch:normal') }),
    'openvswitch has a list of vnic_types and is not among the mechanism drivers.',
  )
})
