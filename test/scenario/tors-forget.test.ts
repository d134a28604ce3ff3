/** What operators see of ToRs, in numbers and in words, and a ToR that is taken out of the settings, then forgotten. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createOutput } from '#cli/output.ts'
import { torCommand } from '#cli/tor.ts'
import { missing as skip } from '#drivers/mechanism/vtep/vtep.test-support.ts'
import { type Switch, type TorRig, torRig, until } from './tor-rig.ts'

const ROOT = new URL('../..', import.meta.url).pathname

let rig: TorRig
before(async () => {
  if (skip === false) rig = await torRig()
})
after(() => rig?.close())

/** `deuteron tor …` against the server; what it printed, or the message it failed with. */
async function tor(...args: string[]): Promise<string> {
  const lines: string[] = []
  const out = { ...createOutput({}, false), line: (text = '') => void lines.push(text) }
  const env = { PATH: process.env['PATH'], OS_AUTH_TYPE: 'none', OS_ENDPOINT: rig.server.url }
  const failed = await torCommand.run(args, { env, root: ROOT, out }).then(
    () => '',
    (error: Error) => error.message,
  )
  return failed || lines.join('\n')
}
const metric = async (name: string, tor: string): Promise<number> => {
  const line = (await rig.metrics())
    .split('\n')
    .find((one) => one.startsWith(`deuteron_${name}{`) && one.includes(`tor="${tor}"`))
  return Number(line?.split(' ').at(-1))
}
const macsAt = (one: Switch): string[] => [...one.seen().unicast.values()].flat().map(({ mac }) => mac)
const explained = async (id: string, when: 'last' | 'fresh'): Promise<(string | null)[]> => {
  const { binding_explanation } = (await rig.server.admin.get(`ports/${id}/binding-explanation`)).body
  const attempts = binding_explanation[when].attempts as { driver: string; reason: string | null }[]
  return attempts.filter(({ driver }) => driver === 'vtep').map(({ reason }) => reason)
}

test('numbers and list say what each ToR holds and when it was looked at', { skip }, async () => {
  const network = await rig.makeNetwork()
  const ports = [
    await rig.makePort(network, 'h1'),
    await rig.makePort(network, 'h4'),
    await rig.makePort(network, 'h2'),
  ]
  await rig.inSync()
  await until('it is counted', async () => (await metric('tor_vlan_bindings', 'tor1')) === 2)
  const numbers = async (name: string) => [await metric(name, 'tor1'), await metric(name, 'tor2')]
  assert.deepEqual(await numbers('tor_vlan_bindings'), [2, 1])
  assert.deepEqual(await numbers('tor_remote_macs'), [1, 2])
  assert.deepEqual(await numbers('tor_connected'), [1, 1])
  assert.ok((await numbers('tor_reconciled_seconds')).every((one) => one >= 0 && one < 30))
  // Numbers come with heartbeats and are no change of the agent.
  await until('the list has them', async () =>
    /tor1 +connected +physnet-tor1 +192\.0\.2\.201 +2 +1 /.test(await tor('list')),
  )
  assert.match(await tor('list'), /tor2 +connected +physnet-tor2 +192\.0\.2\.202 +1 +2 +\d+ s ago +–/)
  const [log] = await rig.server.database.query<{ count: string }>(
    "select count(*) from change where kind = 'agent' and after ->> 'host' = 'tor1'",
  )
  assert.ok(Number(log?.count) <= 4, `${log?.count} changes of tor1`)
  for (const { id } of ports) await rig.server.admin.delete(`ports/${id}`)
})

test('taken out of the settings it is dead and says so, keeps all, and is forgotten on demand', { skip }, async () => {
  const [tor1, tor2] = rig.switches as [Switch, Switch]
  const network = await rig.makeNetwork()
  const [, below] = [await rig.makePort(network, 'h1'), await rig.makePort(network, 'h2')] as const
  await rig.inSync()
  assert.match(await tor('forget', 'tor2'), /looked after/, 'not while it is')
  await rig.running.shift()?.close()
  rig.start([tor1.setting])
  await until('it is dead', async () => (await rig.agents())[1]?.alive === false)
  assert.equal((await rig.agents())[1]?.configurations['configured'], false)
  assert.deepEqual(await explained(below['id'], 'fresh'), ['tor_not_configured'])
  assert.deepEqual(await explained(below['id'], 'last'), [null], 'the binding it has is as it was')
  const refused = await rig.makePort(network, 'h2')
  assert.equal(refused['binding:vif_type'], 'binding_failed')
  assert.deepEqual(await explained(refused['id'], 'last'), ['tor_not_configured'])
  await rig.server.admin.delete(`ports/${refused['id']}`)
  assert.match(await tor('list'), /tor2 +not configured/)
  // What is behind it is still behind it.
  assert.deepEqual(macsAt(tor1), [below['mac_address']])
  assert.ok(tor2.seen().logical.has(`deuteron-${network}`), 'it keeps what it holds')

  assert.match(await tor('forget', 'tor2'), /Nothing of ours is left in tor2\.\ntor2 is forgotten\./)
  assert.deepEqual([tor2.seen().logical.size, macsAt(tor2)], [0, []])
  assert.deepEqual(
    (await rig.agents()).map(({ host }) => host),
    ['tor1'],
  )
  await until('and by the others', () => macsAt(tor1).length === 0)
  assert.match(await tor('forget', 'tor2'), /There is tor1/)
})

test('one that cannot be reached is forgotten only when that is insisted on; back in the settings it is made anew', {
  skip,
}, async () => {
  const [tor1] = rig.switches as [Switch]
  await rig.running.shift()?.close()
  rig.start([])
  await until('it is dead', async () => (await rig.agents())[0]?.alive === false)
  tor1.client.close()
  await tor1.database.kill()
  assert.match(await tor('forget', 'tor1'), /still holds what was written into it/)
  assert.equal((await rig.agents()).length, 1)
  assert.match(await tor('forget', 'tor1', '--anyway'), /tor1 keeps what it holds.*\ntor1 is forgotten/)
  assert.equal(await tor('list'), 'There are no ToRs: the setting tors names them.')
  await tor1.database.start()
  tor1.client = await tor1.database.connect()
  await rig.running.shift()?.close()
  rig.start()
  await until('both live', async () => (await rig.agents()).filter(({ alive }) => alive).length === 2)
  await until('both are in sync', async () => (await metric('tor_in_sync', 'tor2')) === 1)
})
