/** A server on a macvtap device that migrates: it goes on above an interface of the same name, or not at all. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hostReports } from '../lib/agents.ts'
import { networkWith, portOn, reasonsOf, type Seen, stored } from '../lib/binding.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
before(async () => {
  server = await testServer({
    settings: { mechanismDrivers: ['macvtap'], networkVlanRanges: [{ physical_network: 'physnet1', range: null }] },
  })
  for (const [host, device] of [
    ['source', 'eth1'],
    ['like', 'eth1'],
    ['unlike', 'ens3'],
  ] as const) {
    const macvtap = { interface_mappings: { physnet1: device } }
    await hostReports(server, host, { services: { macvtap } })
  }
})
after(() => server.close())

const vlan = (id: number) => ({
  'provider:network_type': 'vlan',
  'provider:physical_network': 'physnet1',
  'provider:segmentation_id': id,
})
const write = async ({ id }: Seen, values: Seen): Promise<Seen> =>
  answered(await server.admin.put(`ports/${id}`, { port: values }), 200).port

test('where the interface has another name the port is not bound, and is where it is the same', async () => {
  const port = await portOn(server, await networkWith(server, vlan(112)), 'source')
  assert.equal(port['binding:vif_details'].macvtap_source, 'eth1.112')
  await write(port, { 'binding:profile': { migrating_to: 'unlike' } })
  const refused = await write(port, { 'binding:host_id': 'unlike' })
  assert.equal(refused['binding:vif_type'], 'binding_failed')
  const { attempts } = (await stored(server, port['id']))['binding_failure']
  assert.deepEqual(reasonsOf(attempts), ['0 macvtap: source_differs'])
  assert.deepEqual(attempts[0].facts, { wanted: 'eth1.112', source: 'ens3.112', from: 'source' })

  const other = await portOn(server, await networkWith(server, vlan(113)), 'source')
  await write(other, { 'binding:profile': { migrating_to: 'like' } })
  const moved = await write(other, { 'binding:host_id': 'like', 'binding:profile': {} })
  assert.deepEqual([moved['binding:vif_type'], moved['binding:vif_details'].macvtap_source], ['macvtap', 'eth1.113'])
})

test('a server that begins anew elsewhere goes anywhere', async () => {
  const port = await portOn(server, await networkWith(server, vlan(114)), 'source')
  const moved = await write(port, { 'binding:host_id': 'unlike', 'binding:profile': { migrating_to: 'unlike' } })
  assert.equal(moved['binding:vif_details'].macvtap_source, 'ens3.114')
})
