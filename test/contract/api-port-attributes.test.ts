/** Attributes of ports for the servers behind them: DHCP options, MACs drawn anew and taken from cards, hints. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
let owner: Client
let network: Record<string, unknown>
before(async () => {
  server = await testServer()
  owner = server.as('owner')
  network = await owner.make('network', { name: 'n' })
})
after(() => server.close())

const make = (values: object = {}) => owner.make('port', { network_id: network['id'], ...values })

describe('extra DHCP options', () => {
  const tftp = { opt_name: 'tftp-server', opt_value: '192.0.2.1' }

  test('are kept with their IP version, merged by name in updates, removed by null', async () => {
    const made = await make({ extra_dhcp_opts: [tftp, { opt_name: 'router', opt_value: '' }] })
    assert.deepEqual(made['extra_dhcp_opts'], [
      { ...tftp, ip_version: 4 },
      { opt_name: 'router', opt_value: '', ip_version: 4 },
    ])
    const at = `ports/${made['id']}`
    const given = [
      { opt_name: 'router', opt_value: null },
      { opt_name: 'tftp-server', opt_value: '192.0.2.2' },
      { opt_name: 'tftp-server', opt_value: '2001:db8::1', ip_version: 6 },
    ]
    const { port } = answered(await owner.put(at, { port: { extra_dhcp_opts: given } }), 200)
    assert.deepEqual(port.extra_dhcp_opts, [
      { opt_name: 'tftp-server', opt_value: '192.0.2.2', ip_version: 4 },
      { opt_name: 'tftp-server', opt_value: '2001:db8::1', ip_version: 6 },
    ])
    answered(await owner.put(at, { port: { extra_dhcp_opts: null } }), 200)
    assert.equal(answered(await owner.get(at), 200).port.extra_dhcp_opts.length, 2)
  })

  test('without a name, a needed value or a single line are refused', async () => {
    const wrong = [
      [{ opt_name: '', opt_value: 'x' }],
      [{ opt_name: 'x' }],
      [{ opt_value: 'x' }],
      [{ opt_name: 'tftp-server', opt_value: ' ' }],
      [{ opt_name: 'tftp-server', opt_value: 'a\nb' }],
      [{ ...tftp, ip_version: 5 }],
      [{ ...tftp, more: 1 }],
      [{ opt_name: 'x'.repeat(65), opt_value: 'x' }],
      'router',
    ]
    for (const extra_dhcp_opts of wrong)
      refused(await owner.post('ports', { port: { network_id: network['id'], extra_dhcp_opts } }), 'HTTPBadRequest')
  })
})

describe('MAC addresses', () => {
  test('null draws one, again at each update', async () => {
    const made = await make({ mac_address: null })
    assert.match(String(made['mac_address']), /^fa:16:3e/)
    const { port } = answered(await server.admin.put(`ports/${made['id']}`, { port: { mac_address: null } }), 200)
    assert.match(port.mac_address, /^fa:16:3e/)
    assert.notEqual(port.mac_address, made['mac_address'])
  })

  test('of a card are taken while a port is bound to it, and given back', async () => {
    const card = '52:54:00:12:34:56'
    const bound = {
      'binding:vnic_type': 'direct-physical',
      'binding:host_id': 'h1',
      'binding:profile': { device_mac_address: card },
    }
    const made = await server.admin.make('port', { network_id: network['id'] })
    const at = `ports/${made['id']}`
    assert.equal(answered(await server.admin.put(at, { port: bound }), 200).port.mac_address, card)
    const away = { 'binding:host_id': '', 'binding:profile': {} }
    const { port } = answered(await server.admin.put(at, { port: away }), 200)
    assert.match(port.mac_address, /^fa:16:3e/)
    assert.equal(answered(await server.admin.get(at), 200).port.mac_address, port.mac_address)
  })

  test('of a card are given back by a port that no server has any more, though no profile named it', async () => {
    const used = { device_id: 'server-1', device_owner: 'compute:nova' }
    const freed = async (vnic_type: string): Promise<boolean> => {
      const values = { network_id: network['id'], 'binding:vnic_type': vnic_type, ...used }
      const made = await server.admin.make('port', values)
      const at = `ports/${made['id']}`
      const renamed = answered(await server.admin.put(at, { port: { name: 'still there' } }), 200).port
      assert.equal(renamed.mac_address, made['mac_address'])
      const { port } = answered(await server.admin.put(at, { port: { device_id: '', device_owner: '' } }), 200)
      assert.equal(answered(await server.admin.get(at), 200).port.mac_address, port.mac_address)
      return port.mac_address !== made['mac_address']
    }
    assert.deepEqual([await freed('direct-physical'), await freed('direct')], [true, false])
  })
})

test('device profile, NUMA affinity and uplink state are kept', async () => {
  const made = await make({ device_profile: 'gpu', numa_affinity_policy: 'required', propagate_uplink_status: false })
  assert.deepEqual(
    [made['device_profile'], made['numa_affinity_policy'], made['propagate_uplink_status']],
    ['gpu', 'required', false],
  )
  const at = `ports/${made['id']}`
  const changed = await owner.put(at, { port: { numa_affinity_policy: 'legacy' } })
  assert.equal(answered(changed, 200).port.numa_affinity_policy, 'legacy')
  refused(await owner.put(at, { port: { device_profile: 'x' } }), 'HTTPBadRequest')
  refused(await owner.put(at, { port: { numa_affinity_policy: 'near' } }), 'HTTPBadRequest')
})
