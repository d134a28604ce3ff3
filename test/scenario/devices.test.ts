/**
 * A host with an SR-IOV card that is simulated, with real processes: a port gets its function with the network's VLAN and
 * becomes ACTIVE, a function that is not there is said to be so, and with the port its function is given back.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { askAny, startAgent, startServer, until } from '../lib/cloud.ts'
import { testDatabase } from '../lib/postgres.ts'

const SLOT = '0000:fb:02.1'
const EXCLUDED = '0000:fb:0a.0'

test('a port is on a virtual function: bound, set up, proven, given back', async () => {
  await using db = await testDatabase()
  await using stack = new AsyncDisposableStack()
  const server = await startServer(stack, { database: db.url, flags: ['--network-vlan-ranges=physnet2:100:199'] })
  const ask = askAny([server])
  const state = mkdtempSync(join(tmpdir(), 'deuteron-devices-'))
  stack.defer(() => rmSync(state, { recursive: true, force: true }))
  mkdirSync(join(state, 'agent'))
  const { secret } = (await ask('POST', 'agents/enrolments', { enrolment: { host: 'cards' } })).body.enrolment
  writeFileSync(join(state, 'credential'), secret, { mode: 0o600 })
  const flags = [
    '--physical-device-mappings=physnet2:enp3s0f0,physnet2:enp3s0f1',
    `--pci-devices=${SLOT}@physnet2,${EXCLUDED}@physnet2`,
    `--exclude-devices=enp3s0f1:${EXCLUDED}`,
  ]
  startAgent(stack, {
    host: 'cards',
    servers: [server],
    credentials: join(state, 'credential'),
    state: join(state, 'agent'),
    flags,
  })
  const cards = async () => (await ask('GET', 'agents?agent_type=NIC%20Switch%20agent')).body.agents
  await until('the card is reported', async () => (await cards()).length === 1)
  const { simulated, device_mappings, pci_devices } = (await cards())[0].configurations
  assert.deepEqual([simulated, device_mappings], [true, { physnet2: ['enp3s0f0', 'enp3s0f1'] }])
  assert.deepEqual(pci_devices, [{ pci_slot: SLOT, physical_network: 'physnet2' }])

  const physical = { 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet2' }
  const network = (await ask('POST', 'networks', { network: { ...physical, 'provider:segmentation_id': 120 } })).body
    .network.id
  const direct = async (pci_slot: string) => {
    const binding = { 'binding:vnic_type': 'direct', 'binding:host_id': 'cards', 'binding:profile': { pci_slot } }
    return (await ask('POST', 'ports', { port: { network_id: network, ...binding } })).body.port
  }
  const functions = () => JSON.parse(readFileSync(join(state, 'agent', 'simulated-cards.json'), 'utf8'))

  const port = await direct(SLOT)
  assert.deepEqual([port['binding:vif_type'], port['binding:vif_details'].vlan], ['hw_veb', '120'])
  await until('the port is ACTIVE', async () => (await ask('GET', `ports/${port.id}`)).body.port.status === 'ACTIVE')
  const wanted = { mac: port.mac_address, vlan: 120, spoofchk: true, link: 'auto' }
  assert.deepEqual(functions(), { [SLOT]: wanted })
  const { realizations } = (await ask('GET', `realizations?id=${port.id}`)).body
  assert.match(JSON.stringify(realizations), /simulated: there is no 0000:fb:02\.1/)

  await ask('PUT', `ports/${port.id}`, { port: { admin_state_up: false } })
  await until('the link is down', () => functions()[SLOT].link === 'disable')

  for (const slot of ['0000:fb:02.7', EXCLUDED]) {
    const missing = await direct(slot)
    assert.equal(missing['binding:vif_type'], 'binding_failed')
    const explained = (await ask('GET', `ports/${missing.id}/binding-explanation`)).body
    assert.match(JSON.stringify(explained), /device_not_found/)
  }

  assert.equal((await ask('DELETE', `ports/${port.id}`)).status, 204)
  await until('the function is given back', () => functions()[SLOT].vlan === 0)
  assert.deepEqual(functions()[SLOT], { mac: '00:00:00:00:00:00', vlan: 0, spoofchk: true, link: 'auto' })
})

test('a host to which a port may come is ready when it has the device that the port would have there', async () => {
  await using db = await testDatabase()
  await using stack = new AsyncDisposableStack()
  const server = await startServer(stack, { database: db.url, flags: ['--network-vlan-ranges=physnet2:100:199'] })
  const ask = askAny([server])
  const state = mkdtempSync(join(tmpdir(), 'deuteron-devices-'))
  stack.defer(() => rmSync(state, { recursive: true, force: true }))
  // One says which functions it has, the other is believed; and has none.
  for (const host of ['cards', 'bare']) {
    const { secret } = (await ask('POST', 'agents/enrolments', { enrolment: { host } })).body.enrolment
    const credentials = join(state, `${host}.credential`)
    writeFileSync(credentials, secret, { mode: 0o600 })
    const listed = host === 'cards' ? [`--pci-devices=${SLOT}@physnet2`] : []
    const flags = ['--physical-device-mappings=physnet2:enp3s0f0', ...listed]
    startAgent(stack, { host, servers: [server], credentials, state: join(state, host), flags })
  }
  const agents = async () => (await ask('GET', 'agents?agent_type=NIC%20Switch%20agent')).body.agents
  await until('the cards are reported', async () => (await agents()).length === 2)
  const physical = { 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet2' }
  const network_id = (await ask('POST', 'networks', { network: physical })).body.network.id
  const values = { network_id, device_owner: 'compute:nova', 'binding:vnic_type': 'direct', 'binding:host_id': 'away' }
  const { id } = (await ask('POST', 'ports', { port: values })).body.port
  const profile = { pci_slot: SLOT }
  for (const host of ['cards', 'bare'])
    assert.equal(
      (await ask('POST', `ports/${id}/bindings`, { binding: { host, vnic_type: 'direct', profile } })).status,
      201,
    )
  const said = async (host: string) => {
    const { realizations } = (await ask('GET', `realizations?id=${id}`)).body
    const one = realizations.find((it: { host: string }) => it.host === host)
    return one && [one.state, one.message]
  }
  await until('both have looked', async () => (await said('cards')) && (await said('bare')))
  assert.equal((await said('cards'))[0], 'done')
  assert.deepEqual(await said('bare'), ['error', `this host has no PCI device ${SLOT}`])
})
