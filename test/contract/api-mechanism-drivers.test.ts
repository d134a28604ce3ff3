/** Drivers from outside the repository in a server: they bind, refuse, guard what is written, and are told afterwards. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hostReports } from '../lib/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

const EXAMPLE = new URL('../../examples/mechanism-driver', import.meta.url).pathname
/** Guards ports named so, in their transaction, and writes into what it sees. */
const GUARD = `export default ({ invalid }) => ({
  name: 'guard',
  connectivity: 'l2',
  bind: () => ({ refused: 'binds_nothing', facts: {} }),
  inTx: async (context, { op, before, after }) => {
    const network = await context.load('network', (after ?? before).network_id)
    if (op === 'delete' && before.name === 'kept') throw invalid('kept ports stay')
    if (network.name === 'closed' && after) throw invalid('the network is closed to ' + after['binding:vif_type'])
  },
})`

const physical = { 'provider:network_type': 'flat', 'provider:physical_network': 'physnet1' }
const metal = (host: string) => ({ 'binding:vnic_type': 'baremetal', 'binding:host_id': host })

let network: string
let folder: string
let server: TestServer

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deuteron-drivers-'))
  cpSync(EXAMPLE, folder, { recursive: true })
  writeFileSync(join(folder, 'guard.mjs'), GUARD)
  server = await testServer({
    settings: {
      mechanismDrivers: ['openvswitch', join(folder, 'patch-panel.ts'), join(folder, 'guard.mjs')],
      vnicTypeProhibitList: [{ driver: 'openvswitch', vnic_type: 'vdpa' }],
    },
  })
  network = String((await server.admin.make('network', { name: 'metal', ...physical }))['id'])
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

test('the example binds what it knows, from a copy of its folder', async () => {
  const port = await server.admin.make('port', { network_id: network, ...metal('metal-2') })
  assert.equal(port['binding:vif_type'], 'other')
  assert.deepEqual(port['binding:vif_details'], {
    port_filter: false,
    connectivity: 'l2',
    switch: 'leaf-1',
    port: 'Ethernet2',
    physical_network: 'physnet1',
    bound_drivers: { 0: 'patch-panel' },
  })
  const unpatched = await server.admin.make('port', { network_id: network, ...metal('metal-9') })
  assert.equal(unpatched['binding:vif_type'], 'binding_failed')
})

test('check answers before anything is written', async () => {
  const wanted = { network_id: network, ...metal('metal-1'), 'binding:profile': { vlan: 5 } }
  refused(await server.admin.post('ports', { port: wanted }), 'InvalidInput', /a patch panel has no VLANs/)
})

test('inTx sees the port as it will be stored, and what it throws undoes the operation', async () => {
  const closed = String((await server.admin.make('network', { name: 'closed' }))['id'])
  refused(await server.admin.post('ports', { port: { network_id: closed } }), 'InvalidInput', /closed to unbound/)
  assert.deepEqual(answered(await server.admin.get(`ports?network_id=${closed}`), 200).ports, [])
  const kept = await server.admin.make('port', { network_id: network, name: 'kept' })
  refused(await server.admin.delete(`ports/${kept['id']}`), 'InvalidInput')
  assert.equal((await server.admin.get(`ports/${kept['id']}`)).status, 200)
})

test('a type that is prohibited is refused as if the driver could not', async () => {
  await hostReports(server, 'd-host', { bridge_mappings: { physnet1: 'br-ex' } })
  const vif = async (vnic_type: string): Promise<string> => {
    const values = { network_id: network, 'binding:vnic_type': vnic_type, 'binding:host_id': 'd-host' }
    return String((await server.admin.make('port', values))['binding:vif_type'])
  }
  assert.equal(await vif('normal'), 'ovs')
  assert.equal(await vif('vdpa'), 'binding_failed')
})

test('cards that a host reports are an agent of their own, and bind', async () => {
  await using apart = await testServer()
  const nic_switch = {
    device_mappings: { physnet1: ['enp3s0f0'] },
    pci_devices: [{ pci_slot: '0000:3b:02.1', physical_network: 'physnet1' }],
  }
  await hostReports(apart, 'd-cards', { services: { nic_switch } })
  const flat = String((await apart.admin.make('network', physical))['id'])
  const port = async (pci_slot: string) =>
    apart.admin.make('port', {
      network_id: flat,
      'binding:vnic_type': 'direct',
      'binding:host_id': 'd-cards',
      'binding:profile': { pci_slot },
    })
  const found = await port('0000:3b:02.1')
  assert.deepEqual(
    [found['binding:vif_type'], found['binding:vif_details']],
    ['hw_veb', { port_filter: false, connectivity: 'l2', vlan: '0', bound_drivers: { 0: 'sriovnicswitch' } }],
  )
  assert.equal(found['status'], 'DOWN')
  assert.equal((await port('0000:3b:02.2'))['binding:vif_type'], 'binding_failed')
})

test('a whole card stands as soon as it is bound: nobody else will say so', async () => {
  await using apart = await testServer()
  const flat = String((await apart.admin.make('network', physical))['id'])
  const card = { 'binding:vnic_type': 'direct-physical', 'binding:host_id': 'd-none' }
  const port = await apart.admin.make('port', { network_id: flat, ...card })
  assert.deepEqual([port['binding:vif_type'], port['status']], ['hostdev_physical', 'ACTIVE'])
  const unbound = await apart.admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': '' } })
  assert.equal(answered(unbound, 200).port.status, 'DOWN')
  const again = await apart.admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': 'd-other' } })
  assert.equal(answered(again, 200).port.status, 'ACTIVE')
})
