/** Networks and ports with QoS policies: whose policy holds, what may not change under them, what schedulers are told. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let statements = 0
before(async () => {
  server = await testServer({ onStatement: () => void statements++ })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const make = (name: string, values: Record<string, unknown>) => server.admin.make(name, values)
const policyOf = (values: Record<string, unknown> = {}) => make('qos_policy', values)
const addRule = (policyId: string, type: string, values: Record<string, unknown>) =>
  server.admin.post(`qos/policies/${policyId}/${type}_rules`, { [`${type}_rule`]: values })
const added = async (policyId: string, type: string, values: Record<string, unknown>) =>
  answered(await addRule(policyId, type, values), 201)[`${type}_rule`]
let physical = 0
const flatNetwork = (values: Record<string, unknown> = {}) =>
  make('network', {
    'provider:network_type': 'flat',
    'provider:physical_network': `phys-net.${++physical}`,
    ...values,
  })

describe('a policy in use', () => {
  test('is not deleted, and says by whom', async () => {
    const { id } = await policyOf()
    const network = await make('network', { qos_policy_id: id })
    const port = await make('port', { network_id: network['id'], qos_policy_id: id })
    const gone = () => server.admin.delete(`qos/policies/${id}`)
    refused(await gone(), 'QosPolicyInUse', `QoS Policy ${id} is used by port ${port['id']}.`)
    answered(await server.admin.put(`ports/${port['id']}`, { port: { qos_policy_id: null } }), 200)
    refused(await gone(), 'QosPolicyInUse', `QoS Policy ${id} is used by network ${network['id']}.`)
    answered(await server.admin.put(`networks/${network['id']}`, { network: { qos_policy_id: null } }), 200)
    answered(await gone(), 204)
  })

  test('that goes while a network takes it leaves one of the two undone', async () => {
    for (let round = 0; round < 6; round++) {
      const { id } = await policyOf()
      const [made, gone] = await Promise.all([
        server.admin.post('networks', { network: { qos_policy_id: id } }),
        server.admin.delete(`qos/policies/${id}`),
      ])
      if (gone.status === 204) refused(made, 'QosPolicyNotFound')
      else {
        answered(made, 201)
        refused(gone, 'QosPolicyInUse', new RegExp(`network ${made.body.network.id}`))
      }
    }
  })

  test('keeps its guarantees while an instance counts on them', async () => {
    const { id } = await policyOf()
    const rule = await added(id, 'minimum_packet_rate', { min_kpps: 1 })
    const network = await make('network', { qos_policy_id: id })
    await make('port', { network_id: network['id'], device_owner: 'compute:nova' })
    const at = `qos/policies/${id}/minimum_packet_rate_rules/${rule.id}`
    refused(await server.admin.put(at, { minimum_packet_rate_rule: { min_kpps: 2 } }), 'NotImplementedError')
    refused(await server.admin.delete(at), 'NotImplementedError')
    await added(id, 'bandwidth_limit', { max_kbps: 2 })
  })

  test('has no rules on interfaces that nobody enforces them on', async () => {
    const [empty, ruled] = [await policyOf(), await policyOf()]
    await added(ruled['id'], 'dscp_marking', { dscp_mark: 8 })
    const network = await make('network', { qos_policy_id: empty['id'] })
    const values = { network_id: network['id'], 'binding:vnic_type': 'macvtap' }
    const port = await make('port', values)
    const message = `Rule dscp_marking is not supported by port ${port['id']}`
    refused(await addRule(empty['id'], 'dscp_marking', { dscp_mark: 8 }), 'QosRuleNotSupported', message)
    const moved = { network: { qos_policy_id: ruled['id'] } }
    refused(await server.admin.put(`networks/${network['id']}`, moved), 'QosRuleNotSupported', message)
    refused(
      await server.admin.post('ports', { port: { ...values, qos_policy_id: ruled['id'] } }),
      'QosRuleNotSupported',
    )
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
    answered(await server.admin.put(`networks/${network['id']}`, moved), 200)
  })

  test('goes together with DHCP, whichever comes first', async () => {
    const { id } = await policyOf()
    await added(id, 'bandwidth_limit', { max_kbps: 1000 })
    const subnetOn = (network_id: unknown) => make('subnet', { network_id, ip_version: 4, cidr: '10.0.0.0/24' })
    const first = await make('network', { qos_policy_id: id })
    await subnetOn(first['id'])
    const second = await make('network', {})
    await subnetOn(second['id'])
    answered(await server.admin.put(`networks/${second['id']}`, { network: { qos_policy_id: id } }), 200)
    for (const network of [first, second]) {
      const { ports } = answered(await server.admin.get(`ports?network_id=${network['id']}`), 200)
      assert.deepEqual(
        ports.map((one: Record<string, unknown>) => one['device_owner']),
        ['network:dhcp'],
      )
    }
    await added(id, 'dscp_marking', { dscp_mark: 26 })
  })

  test('guarantees no bandwidth where no physical network carries it', async () => {
    const { id } = await policyOf()
    const overlay = await make('network', {})
    const port = await make('port', { network_id: overlay['id'], qos_policy_id: id })
    refused(await addRule(id, 'minimum_bandwidth', { min_kbps: 1 }), 'QosRuleNotSupported', new RegExp(port['id']))
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
    await added(id, 'minimum_bandwidth', { min_kbps: 1 })
    const values = { network_id: overlay['id'], qos_policy_id: id }
    refused(await server.admin.post('ports', { port: values }), 'QosRuleNotSupported', /minimum_bandwidth/)
    refused(
      await server.admin.put(`networks/${overlay['id']}`, { network: { qos_policy_id: id } }),
      'QosRuleNotSupportedByNetwork',
    )
    refused(await server.admin.post('networks', { network: { qos_policy_id: id } }), 'QosRuleNotSupportedByNetwork')
    await flatNetwork({ qos_policy_id: id })
  })
})

describe('whose policy', () => {
  test('a project sees policies it may use, and takes away only those', async () => {
    const [own, foreign] = [await policyOf({ project_id: 'mine' }), await policyOf()]
    const mine = server.as('mine')
    const network = await mine.make('network', { qos_policy_id: own['id'] })
    assert.equal(network['qos_policy_id'], own['id'])
    const at = `networks/${network['id']}`
    const values = { network_id: network['id'], qos_policy_id: foreign['id'] }
    refused(await mine.put(at, { network: { qos_policy_id: foreign['id'] } }), 'QosPolicyNotFound')
    refused(await mine.post('ports', { port: values }), 'QosPolicyNotFound')
    const port = await make('port', { ...values, project_id: 'mine' })
    refused(
      await mine.put(`ports/${port['id']}`, { port: { qos_policy_id: null } }),
      'PolicyRemoveAuthorizationError',
      new RegExp(foreign['id']),
    )
    answered(await mine.put(`ports/${port['id']}`, { port: { name: 'x' } }), 200)
    answered(await mine.put(at, { network: { qos_policy_id: null } }), 200)
  })

  test("a project's default goes to new networks that name none", async () => {
    const standard = await policyOf({ project_id: 'preset', is_default: true })
    const other = await policyOf({ project_id: 'preset' })
    const owner = server.as('preset')
    assert.equal((await owner.make('network', {}))['qos_policy_id'], standard['id'])
    assert.equal((await owner.make('network', { qos_policy_id: other['id'] }))['qos_policy_id'], other['id'])
    assert.equal((await server.as('another').make('network', {}))['qos_policy_id'], null)
  })

  test("a port shows its own policy and its network's", async () => {
    const [first, second] = [await policyOf(), await policyOf()]
    const network = await make('network', { qos_policy_id: first['id'] })
    const port = await make('port', { network_id: network['id'], qos_policy_id: second['id'] })
    assert.equal(port['qos_policy_id'], second['id'])
    assert.equal(port['qos_network_policy_id'], first['id'])
    const found = answered(await server.admin.get(`ports?qos_policy_id=${second['id']}`), 200).ports
    assert.deepEqual(
      found.map((one: { id: string }) => one.id),
      [port['id']],
    )
  })
})

describe('outside', () => {
  const outside = async () => {
    const network = await make('network', { 'router:external': true })
    await make('subnet', { network_id: network['id'], ip_version: 4, cidr: '198.51.100.0/24' })
    return network['id']
  }

  test('floating IPs have policies of their own, and show that of their network', async () => {
    const [own, above] = [await policyOf({ project_id: 'mine' }), await policyOf()]
    const floating_network_id = await outside()
    answered(
      await server.admin.put(`networks/${floating_network_id}`, { network: { qos_policy_id: above['id'] } }),
      200,
    )
    const mine = server.as('mine')
    const made = await mine.make('floatingip', { floating_network_id, qos_policy_id: own['id'] })
    assert.equal(made['qos_policy_id'], own['id'])
    assert.equal(made['qos_network_policy_id'], above['id'])
    const at = `floatingips/${made['id']}`
    refused(await mine.put(at, { floatingip: { qos_policy_id: above['id'] } }), 'QosPolicyNotFound')
    refused(await server.admin.delete(`qos/policies/${own['id']}`), 'QosPolicyInUse', new RegExp(`fip ${made['id']}`))
    assert.equal(
      answered(await mine.put(at, { floatingip: { qos_policy_id: null } }), 200).floatingip.qos_policy_id,
      null,
    )
    answered(await server.admin.delete(`qos/policies/${own['id']}`), 204)
  })

  test('a shared policy stays shared while a floating IP of another project has it', async () => {
    const { id } = await policyOf({ shared: true })
    const mine = server.as('mine')
    const made = await mine.make('floatingip', { floating_network_id: await outside(), qos_policy_id: id })
    const unshare = () => server.admin.put(`qos/policies/${id}`, { policy: { shared: false } })
    refused(await unshare(), 'RbacPolicyInUse', /mine/)
    answered(await mine.delete(`floatingips/${made['id']}`), 204)
    answered(await unshare(), 200)
  })

  test('the policy of a gateway is told with the gateway, stays while it does, and goes with it', async () => {
    const { id } = await policyOf()
    const network_id = await outside()
    const router = await make('router', { external_gateway_info: { network_id, qos_policy_id: id } })
    assert.equal(router['external_gateway_info'].qos_policy_id, id)
    const at = `routers/${router['id']}`
    const change = async (external_gateway_info: unknown) =>
      answered(await server.admin.put(at, { router: { external_gateway_info } }), 200).router.external_gateway_info
    assert.equal((await change({ network_id, enable_snat: false })).qos_policy_id, id)
    refused(await server.admin.delete(`qos/policies/${id}`), 'QosPolicyInUse', new RegExp(`router ${router['id']}`))
    assert.equal('qos_policy_id' in (await change({ network_id, qos_policy_id: null })), false)
    assert.equal((await change({ network_id, qos_policy_id: id })).qos_policy_id, id)
    assert.equal(await change({}), null)
    answered(await server.admin.delete(`qos/policies/${id}`), 204)
    const wanted = { router: { external_gateway_info: { network_id, qos_policy_id: id } } }
    refused(await server.admin.put(at, wanted), 'QosPolicyNotFound')
  })
})

describe('what schedulers are told', () => {
  const uuid5 = (namespace: string, name: string): string => {
    const hash = createHash('sha1')
      .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
      .update(name)
      .digest()
    hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
    hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
    const hex = hash.toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
  }

  test('bandwidth and packet rates, a group each, with ids that follow from the rules', async () => {
    const { id } = await policyOf()
    const widths = [
      await added(id, 'minimum_bandwidth', { min_kbps: 10 }),
      await added(id, 'minimum_bandwidth', { min_kbps: 20, direction: 'ingress' }),
    ]
    const packets = await added(id, 'minimum_packet_rate', { min_kpps: 3, direction: 'any' })
    const network = await flatNetwork({ qos_policy_id: id })
    const port = await make('port', { network_id: network['id'], 'binding:vnic_type': 'direct' })
    const trait = String(network['provider:physical_network'])
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]/g, '_')
    const groups = [
      {
        id: uuid5(
          port['id'],
          widths
            .map((one) => one.id)
            .sort()
            .join(':'),
        ),
        required: [`CUSTOM_PHYSNET_${trait}`, 'CUSTOM_VNIC_TYPE_DIRECT'],
        resources: { NET_BW_EGR_KILOBIT_PER_SEC: 10, NET_BW_IGR_KILOBIT_PER_SEC: 20 },
      },
      {
        id: uuid5(port['id'], packets.id),
        required: ['CUSTOM_VNIC_TYPE_DIRECT'],
        resources: { NET_PACKET_RATE_KILOPACKET_PER_SEC: 3 },
      },
    ]
    const wanted = { request_groups: groups, same_subtree: groups.map((one) => one.id) }
    assert.deepEqual(port['resource_request'], wanted)
    const { ports } = answered(await server.admin.get(`ports?network_id=${network['id']}&fields=resource_request`), 200)
    assert.deepEqual(ports, [{ resource_request: wanted }])
  })

  test('nothing where nothing is guaranteed, and nothing to those who do not schedule', async () => {
    const { id } = await policyOf({ project_id: 'mine' })
    await added(id, 'minimum_packet_rate', { min_kpps: 3 })
    const network = await make('network', {})
    const plain = await make('port', { network_id: network['id'] })
    assert.equal(plain['resource_request'], null)
    const own = await server.as('mine').make('network', {})
    const port = await server.as('mine').make('port', { network_id: own['id'], qos_policy_id: id })
    assert.equal('resource_request' in port, false)
    const seen = answered(await server.admin.get(`ports/${port['id']}`), 200).port.resource_request
    assert.deepEqual(seen.request_groups[0].resources, { NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC: 3 })
  })

  test('in as many statements for many ports as for one', async () => {
    const { id } = await policyOf()
    await added(id, 'minimum_packet_rate', { min_kpps: 3 })
    const network = await make('network', { qos_policy_id: id })
    const count = async (): Promise<number> => {
      const before = statements
      answered(await server.admin.get(`ports?network_id=${network['id']}`), 200)
      return statements - before
    }
    await make('port', { network_id: network['id'] })
    await count()
    const one = await count()
    const bulk = Array.from({ length: 20 }, () => ({ network_id: network['id'] }))
    answered(await server.admin.post('ports', { ports: bulk }), 201)
    assert.equal(await count(), one)
  })
})
