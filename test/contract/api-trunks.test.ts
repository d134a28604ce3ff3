/** Trunks: parents, subports and their VLANs; nothing belongs to two, whoever comes first. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let owner: Client
let network: Record<string, unknown>
before(async () => {
  const networkVlanRanges = [{ physical_network: 'physnet1', range: null }]
  server = await testServer({ settings: { networkVlanRanges } })
  owner = server.as('owner')
  network = await owner.make('network', { name: 'n' })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const port = async (values: object = {}): Promise<string> =>
  String((await owner.make('port', { network_id: network['id'], ...values }))['id'])
const vlan = (port_id: string, segmentation_id: number) => ({ port_id, segmentation_type: 'vlan', segmentation_id })

describe('trunks', () => {
  test('are made with subports, gain and lose some, and go', async () => {
    const [parent, a, b] = [await port(), await port(), await port()]
    const made = await owner.make('trunk', { port_id: parent, sub_ports: [vlan(a, 10)] })
    assert.deepEqual([made['status'], made['sub_ports']], ['DOWN', [vlan(a, 10)]])
    const at = `trunks/${made['id']}`
    const more = answered(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(b, 20)] }), 200)
    assert.deepEqual(more.sub_ports, [vlan(a, 10), vlan(b, 20)])
    assert.equal(more.revision_number, Number(made['revision_number']) + 1)
    assert.deepEqual(answered(await owner.get(`${at}/get_subports`), 200), { sub_ports: more.sub_ports })
    const { trunk_details } = answered(await owner.get(`ports/${parent}`), 200).port
    assert.equal(trunk_details.trunk_id, made['id'])
    assert.deepEqual(
      trunk_details.sub_ports.map((one: { port_id: string }) => one.port_id),
      [a, b],
    )
    refused(await owner.delete(`ports/${parent}`), 'PortInUseAsTrunkParent')
    refused(await owner.delete(`ports/${a}`), 'PortInUseAsSubPort')
    const less = answered(await owner.put(`${at}/remove_subports`, { sub_ports: [{ port_id: a }] }), 200)
    assert.deepEqual(less.sub_ports, [vlan(b, 20)])
    refused(await owner.put(`${at}/remove_subports`, { sub_ports: [{ port_id: a }] }), 'SubPortNotFound')
    answered(await owner.delete(`ports/${a}`), 204)
    answered(await owner.delete(at), 204)
    answered(await owner.delete(`ports/${parent}`), 204)
  })

  test('a port is parent or subport once, a VLAN one port’s', async () => {
    const [parent, a, b] = [await port(), await port(), await port()]
    const made = await owner.make('trunk', { port_id: parent, sub_ports: [vlan(a, 10)] })
    const at = `trunks/${made['id']}`
    refused(await owner.post('trunks', { trunk: { port_id: parent } }), 'ParentPortInUse')
    refused(await owner.post('trunks', { trunk: { port_id: a } }), 'TrunkPortInUse')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(a, 11)] }), 'TrunkPortInUse')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(parent, 11)] }), 'ParentPortInUse')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(b, 10)] }), 'DuplicateSubPort')
    const used = await port({ device_id: 'vm' })
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(used, 12)] }), 'PortInUse')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [{ port_id: b }] }), 'InvalidInput')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(b, 4095)] }), 'HTTPBadRequest')
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(b, 1), vlan(b, 2)] }), 'HTTPBadRequest')
    const nobody = '00000000-0000-4000-8000-000000000000'
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(nobody, 13)] }), 'PortNotFound')
  })

  test('inherit the segment of a VLAN network', async () => {
    const parent = await port()
    const provider = { 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet1' }
    const tagged = await server.admin.make('network', {
      project_id: 'owner',
      mtu: 1400,
      ...provider,
      'provider:segmentation_id': 77,
    })
    const sub = await port({ network_id: tagged['id'] })
    const given = [{ port_id: sub, segmentation_type: 'inherit' }]
    const made = await owner.make('trunk', { port_id: parent, sub_ports: given })
    assert.deepEqual(made['sub_ports'], [vlan(sub, 77)])
  })

  test('carry no larger packets than their parent', async () => {
    const wide = await server.admin.make('network', {
      project_id: 'owner',
      'provider:network_type': 'vlan',
      'provider:physical_network': 'physnet1',
      'provider:segmentation_id': 78,
      mtu: 1500,
    })
    const sub = await port({ network_id: wide['id'] })
    const body = { trunk: { port_id: await port(), sub_ports: [vlan(sub, 5)] } }
    refused(await owner.post('trunks', body), 'SubPortMtuGreaterThanTrunkPortMtu')
  })

  test('that are down or bound are left as they are', async () => {
    const parent = await port()
    const made = await owner.make('trunk', { port_id: parent, admin_state_up: false })
    const at = `trunks/${made['id']}`
    refused(await owner.put(`${at}/add_subports`, { sub_ports: [vlan(await port(), 5)] }), 'TrunkDisabled')
    refused(await owner.delete(at), 'TrunkDisabled')
    answered(await owner.put(at, { trunk: { admin_state_up: true } }), 200)
    answered(await server.admin.put(`ports/${parent}`, { port: { 'binding:host_id': 'h1' } }), 200)
    refused(await owner.delete(at), 'TrunkInUse')
  })

  test('of two that want one port at once, one gets it', async () => {
    const [shared, ...parents] = [await port(), await port(), await port(), await port(), await port()]
    const replies = await Promise.all(
      parents.map((port_id, index) => {
        const body = { trunk: { port_id, sub_ports: [vlan(String(shared), 100 + index)] } }
        return owner.post('trunks', body)
      }),
    )
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 409, 409, 409])
    for (const reply of replies) if (reply.status === 409) refused(reply, 'TrunkPortInUse')
  })
})
