/** Who sees and may what: owners, strangers, readers, administrators, shared networks, quotas. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { recordAgent } from '#core/hosts/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let owner: Client
let stranger: Client
let network: Item
let subnet: Item
let port: Item
let group: Item
let rule: Item

before(async () => {
  server = await testServer()
  owner = server.as('p1')
  stranger = server.as('p2')
  network = await owner.make('network', { name: 'mine' })
  subnet = await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
  port = await owner.make('port', { network_id: network['id'] })
  group = await owner.make('security_group', { name: 'g' })
  rule = await owner.make('security_group_rule', { security_group_id: group['id'], direction: 'ingress' })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const all = () =>
  [
    ['network', network, 'NetworkNotFound'],
    ['subnet', subnet, 'SubnetNotFound'],
    ['port', port, 'PortNotFound'],
    ['security_group', group, 'SecurityGroupNotFound'],
    ['security_group_rule', rule, 'SecurityGroupRuleNotFound'],
  ] as const
const pathOf = (name: string): string => server.core.model.resource(name).path

describe('a stranger', () => {
  test('finds nothing: 404 and never 403', async () => {
    for (const [name, object, type] of all()) {
      const at = `${pathOf(name)}/${object['id']}`
      refused(await stranger.get(at), type)
      refused(await stranger.delete(at), type)
      if (name !== 'security_group_rule') refused(await stranger.put(at, { [name]: { name: 'x' } }), type)
      const [listed] = Object.values(
        answered(await stranger.get(`${pathOf(name)}?id=${object['id']}`), 200),
      ) as Item[][]
      assert.deepEqual(listed, [])
    }
  })
  test('cannot build on what is not theirs', async () => {
    const on = { network_id: network['id'] }
    refused(
      await stranger.post('ports', { port: on }),
      'NetworkNotFound',
      `Network ${network['id']} could not be found.`,
    )
    refused(
      await stranger.post('subnets', { subnet: { ...on, cidr: '10.9.0.0/24', ip_version: 4 } }),
      'NetworkNotFound',
    )
    const own = await stranger.make('network', {})
    refused(
      await stranger.post('ports', { port: { network_id: own['id'], security_groups: [group['id']] } }),
      'SecurityGroupNotFound',
    )
    const mine = await stranger.make('security_group', {})
    const remote = { security_group_id: mine['id'], direction: 'ingress', remote_group_id: group['id'] }
    refused(await stranger.post('security-group-rules', { security_group_rule: remote }), 'SecurityGroupNotFound')
    const inside = { security_group_id: group['id'], direction: 'ingress' }
    refused(await stranger.post('security-group-rules', { security_group_rule: inside }), 'SecurityGroupNotFound')
  })
})

describe('a reader', () => {
  test('sees and changes nothing', async () => {
    const reader = server.as('p1', 'reader')
    const at = `networks/${network['id']}`
    answered(await reader.get(at), 200)
    const action = (name: string): string => `(rule:${name}) is disallowed by policy`
    refused(await reader.post('networks', { network: {} }), 'PolicyNotAuthorized', action('create_network'))
    refused(await reader.put(at, { network: { name: 'x' } }), 'PolicyNotAuthorized', action('update_network'))
    refused(await reader.delete(at), 'PolicyNotAuthorized', action('delete_network'))
  })
  test('may write where the former defaults hold too', async () => {
    await using lax = await testServer({ settings: { enforceNewDefaults: false } })
    await lax.as('p1', 'reader').make('network', {})
  })
})

describe('a member', () => {
  test('does not see what carries a network or where a port is bound', async () => {
    const hidden = ['provider:network_type', 'provider:physical_network', 'provider:segmentation_id']
    const binding = ['binding:host_id', 'binding:profile', 'binding:vif_type', 'binding:vif_details']
    const views = [
      [answered(await owner.get(`networks/${network['id']}`), 200).network, hidden],
      [answered(await owner.get(`networks?id=${network['id']}`), 200).networks[0], hidden],
      [answered(await owner.put(`networks/${network['id']}`, { network: {} }), 200).network, hidden],
      [network, hidden],
      [answered(await owner.get(`ports/${port['id']}`), 200).port, binding],
      [answered(await owner.get(`ports?id=${port['id']}`), 200).ports[0], binding],
      [port, binding],
    ] as const
    for (const [shown, names] of views) for (const name of names) assert.ok(!(name in shown), name)
    assert.equal(port['binding:vnic_type'], 'normal')
    const [full] = answered(await server.admin.get(`networks?id=${network['id']}`), 200).networks
    for (const name of hidden) assert.ok(name in full, name)
    const whole = answered(await server.admin.get(`ports/${port['id']}`), 200).port
    for (const name of binding) assert.ok(name in whole, name)
    const asked = answered(await owner.get(`networks/${network['id']}?fields=provider:segmentation_id&fields=id`), 200)
    assert.deepEqual(asked.network, { id: network['id'] })
  })
  test('may not set what only an administrator may', async () => {
    const forbidden = (reply: Item, action: string): unknown =>
      refused(reply as never, 'PolicyNotAuthorized', `(rule:${action}) is disallowed by policy`)
    const provider = { 'provider:network_type': 'vxlan', 'provider:segmentation_id': 77 }
    forbidden(await owner.post('networks', { network: provider }), 'create_network:provider:network_type')
    forbidden(await owner.post('networks', { network: { shared: true } }), 'create_network:shared')
    forbidden(await owner.put(`networks/${network['id']}`, { network: { shared: true } }), 'update_network:shared')
    const bound = { network_id: network['id'], 'binding:host_id': 'h1' }
    forbidden(await owner.post('ports', { port: bound }), 'create_port:binding:host_id')
    forbidden(
      await owner.put(`ports/${port['id']}`, { port: { 'binding:host_id': 'h1' } }),
      'update_port:binding:host_id',
    )
    forbidden(
      await owner.put(`ports/${port['id']}`, { port: { mac_address: 'fa:16:3e:00:00:01' } }),
      'update_port:mac_address',
    )
    forbidden(
      await owner.put(`ports/${port['id']}`, { port: { data_plane_status: 'DOWN' } }),
      'update_port:data_plane_status',
    )
  })
  test('cannot give objects to another project', async () => {
    for (const name of ['project_id', 'tenant_id'])
      refused(
        await owner.post('networks', { network: { [name]: 'p2' } }),
        'HTTPBadRequest',
        /other than the authenticated project/,
      )
    const same = await owner.make('network', { project_id: 'p1', tenant_id: 'p1' })
    assert.deepEqual([same['project_id'], same['tenant_id']], ['p1', 'p1'])
    refused(
      await owner.post('networks', { network: { project_id: 'p1', tenant_id: 'p2' } }),
      'HTTPBadRequest',
      /do not match/,
    )
  })
})

describe('an administrator', () => {
  test('acts for any project', async () => {
    const made = await server.admin.make('network', { tenant_id: 'p3', name: 'for p3' })
    assert.deepEqual([made['project_id'], made['tenant_id']], ['p3', 'p3'])
    assert.equal(answered(await server.as('p3').get(`networks/${made['id']}`), 200).network.name, 'for p3')
    answered(await server.admin.put(`networks/${network['id']}`, { network: { description: 'seen' } }), 200)
    const everything = answered(await server.admin.get('networks'), 200).networks
    assert.ok(new Set(everything.map((one: Item) => one['project_id'])).size > 1)
  })
  test('what is theirs to say: provider attributes', async () => {
    const vxlan = await server.admin.make('network', {
      'provider:network_type': 'vxlan',
      'provider:segmentation_id': 12345,
    })
    assert.deepEqual(
      [vxlan['provider:segmentation_id'], vxlan['provider:physical_network'], vxlan['mtu']],
      [12345, null, 1450],
    )
    const again = { 'provider:network_type': 'vxlan', 'provider:segmentation_id': 12345 }
    refused(await server.admin.post('networks', { network: again }), 'TunnelIdInUse', /tunnel ID 12345 is in use/)
    refused(await server.admin.post('networks', { network: { 'provider:segmentation_id': 5 } }), 'InvalidInput')
    refused(await server.admin.post('networks', { network: { 'provider:network_type': 'token-ring' } }), 'InvalidInput')
  })
  test('a freed segment can be taken again', async () => {
    const wish = { 'provider:network_type': 'vxlan', 'provider:segmentation_id': 54321 }
    const first = await server.admin.make('network', wish)
    answered(await server.admin.delete(`networks/${first['id']}`), 204)
    assert.equal((await server.admin.make('network', wish))['provider:segmentation_id'], 54321)
  })
})

describe('a shared network', () => {
  test('is seen and used by all, owned by one, and unshared only when nobody else is on it', async () => {
    const shared = await server.admin.make('network', { shared: true, project_id: 'p1' })
    const block = await owner.make('subnet', { network_id: shared['id'], cidr: '10.8.0.0/24', ip_version: 4 })
    assert.equal(answered(await stranger.get(`networks/${shared['id']}`), 200).network.shared, true)
    answered(await stranger.get(`subnets/${block['id']}`), 200)
    refused(await stranger.put(`networks/${shared['id']}`, { network: { name: 'x' } }), 'PolicyNotAuthorized')
    refused(await stranger.delete(`networks/${shared['id']}`), 'PolicyNotAuthorized')
    refused(await stranger.delete(`subnets/${block['id']}`), 'PolicyNotAuthorized')
    const guest = await stranger.make('port', { network_id: shared['id'], fixed_ips: [{ subnet_id: block['id'] }] })
    const exact = { network_id: shared['id'], fixed_ips: [{ ip_address: '10.8.0.77' }] }
    refused(await stranger.post('ports', { port: exact }), 'PolicyNotAuthorized')
    const at = `networks/${shared['id']}`
    refused(await server.admin.put(at, { network: { shared: false } }), 'InvalidSharedSetting')
    answered(await stranger.delete(`ports/${guest['id']}`), 204)
    answered(await server.admin.put(at, { network: { shared: false } }), 200)
    refused(await stranger.get(at), 'NetworkNotFound')
    refused(await stranger.get(`subnets/${block['id']}`), 'SubnetNotFound')
  })
})

describe('agents', () => {
  test('are for administrators, and end as they are told', async () => {
    const configurations = { tunneling_ip: '192.0.2.1', tunnel_types: ['vxlan'] }
    await recordAgent(server.core, { host: 'h1', configurations, started_at: '2026-01-01T00:00:00Z' })
    assert.deepEqual(answered(await owner.get('agents'), 200).agents, [])
    const [agent] = answered(await server.admin.get('agents?host=h1&alive=true'), 200).agents
    assert.match(agent.heartbeat_timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
    assert.deepEqual([agent.host, agent.alive, agent.configurations], ['h1', true, configurations])
    refused(await owner.get(`agents/${agent.id}`), 'AgentNotFound')
    refused(await owner.delete(`agents/${agent.id}`), 'AgentNotFound')
    const at = `agents/${agent.id}`
    const off = answered(await server.admin.put(at, { agent: { admin_state_up: false, description: 'd' } }), 200).agent
    assert.deepEqual([off.admin_state_up, off.description], [false, 'd'])
    refused(await server.admin.put(at, { agent: { host: 'h2' } }), 'HTTPBadRequest', /read-only attribute host/)
    const bound = await server.admin.make('port', { network_id: network['id'], 'binding:host_id': 'h1' })
    assert.equal(bound['binding:vif_type'], 'ovs')
    answered(await server.admin.delete(at), 204)
    refused(await server.admin.get(at), 'AgentNotFound')
  })
  test('a host without an agent cannot be bound to', async () => {
    const lost = await server.admin.make('port', { network_id: network['id'], 'binding:host_id': 'nowhere' })
    assert.deepEqual([lost['binding:vif_type'], lost['status']], ['binding_failed', 'DOWN'])
  })
})

describe('quotas', () => {
  test('defaults, limits of one project, usage, and back again', async () => {
    const admin = server.admin
    const defaults = answered(await admin.get('quotas/q1/default'), 200).quota
    assert.deepEqual([defaults.network, defaults.subnet, defaults.port, defaults.security_group], [100, 100, 500, 10])
    assert.deepEqual(answered(await admin.get('quotas/q1'), 200).quota, defaults)
    assert.equal(answered(await admin.put('quotas/q1', { quota: { network: 1, port: '7' } }), 200).quota.network, 1)
    await server.as('q1').make('network', {})
    const detail = refused(
      await server.as('q1').post('networks', { network: {} }),
      'OverQuota',
      "Quota exceeded for resources: ['network'].",
    )
    assert.deepEqual([detail['limit'], detail['used']], [1, 1])
    const details = answered(await admin.get('quotas/q1/details'), 200).quota
    assert.deepEqual(details.network, { limit: 1, used: 1, reserved: 0 })
    assert.deepEqual(details.port, { limit: 7, used: 0, reserved: 0 })
    const own = answered(await admin.get('quotas'), 200).quotas.find((one: Item) => one['project_id'] === 'q1')
    assert.deepEqual([own.network, own.port, own.subnet, own.tenant_id], [1, 7, 100, 'q1'])
    answered(await admin.delete('quotas/q1'), 204)
    assert.deepEqual(answered(await admin.get('quotas/q1'), 200).quota, defaults)
    await server.as('q1').make('network', {})
  })
  test('-1 is no limit, 0 is none at all', async () => {
    answered(await server.admin.put('quotas/q2', { quota: { network: 0 } }), 200)
    refused(await server.as('q2').post('networks', { network: {} }), 'OverQuota')
    answered(await server.admin.put('quotas/q2', { quota: { network: -1 } }), 200)
    await server.as('q2').make('network', {})
  })
  test('values and names that are none', async () => {
    for (const network of ['x', -2, 1.5, null, [], {}, 2 ** 31])
      refused(
        await server.admin.put('quotas/q3', { quota: { network } }),
        'HTTPBadRequest',
        /^Invalid input for network/,
      )
    refused(
      await server.admin.put('quotas/q3', { quota: { nonsense: 1 } }),
      'HTTPBadRequest',
      "Unrecognized attribute(s) 'nonsense'",
    )
    refused(await server.admin.put('quotas/q3', { quota: { constructor: 1 } }), 'HTTPBadRequest', /Unrecognized/)
    for (const body of [undefined, {}, { quota: 1 }, { quota: [] }, []])
      refused(await server.admin.put('quotas/q3', body), 'HTTPBadRequest')
  })
  test('a member reads the own project’s and nothing else', async () => {
    const me = server.as('q4')
    assert.deepEqual(answered(await me.get('quotas/tenant'), 200), { tenant: { tenant_id: 'q4' } })
    assert.deepEqual(answered(await me.get('quotas/project'), 200), { project: { project_id: 'q4' } })
    answered(await me.get('quotas/q4'), 200)
    answered(await me.get('quotas/q4/details'), 200)
    refused(await me.get('quotas/q5'), 'PolicyNotAuthorized')
    refused(await me.get('quotas'), 'PolicyNotAuthorized')
    refused(await me.put('quotas/q4', { quota: { network: 1000 } }), 'PolicyNotAuthorized')
    refused(await me.delete('quotas/q4'), 'PolicyNotAuthorized')
  })
  test('a full quota is named before a refusal by policy or a conflict', async () => {
    answered(await server.admin.put('quotas/q6', { quota: { network: 0 } }), 200)
    refused(await server.as('q6').post('networks', { network: { shared: true } }), 'OverQuota')
    refused(await server.as('q6').post('networks', { network: { nonsense: true } }), 'HTTPBadRequest')
  })
  test('a bulk that does not fit is refused whole', async () => {
    answered(await server.admin.put('quotas/q7', { quota: { network: 2 } }), 200)
    refused(await server.as('q7').post('networks', { networks: [{}, {}, {}] }), 'OverQuota')
    answered(await server.as('q7').post('networks', { networks: [{}, {}] }), 201)
  })
  test('200 at once at limit − 1: one is made', async () => {
    answered(await server.admin.put('quotas/q8', { quota: { network: 5 } }), 200)
    const eager = server.as('q8')
    answered(await eager.post('networks', { networks: [{}, {}, {}, {}] }), 201)
    const replies = await Promise.all(Array.from({ length: 200 }, () => eager.post('networks', { network: {} })))
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const reply of replies.filter((one) => one.status !== 201)) refused(reply, 'OverQuota')
  })
})

describe('who calls', () => {
  test('without a token there is nothing to see but versions and health', async () => {
    await using closed = await testServer({ identity: 'builtin' })
    for (const path of ['/', '/healthz', '/metrics', '/versions']) answered(await closed.admin.get(path), 200)
    for (const path of ['networks', 'nowhere', '/v2.0', 'extensions', 'openapi.json', 'docs']) {
      const reply = await closed.admin.get(path)
      assert.equal(reply.status, 401, path)
      assert.match(String(reply.headers['www-authenticate']), /^Keystone uri=/)
      assert.deepEqual(Object.keys(reply.body), ['error'])
      assert.equal((await closed.admin.get(path, { 'x-auth-token': 'nonsense' })).status, 401)
    }
    assert.equal((await closed.admin.send('POST', 'networks', '{')).status, 401)
  })
})
