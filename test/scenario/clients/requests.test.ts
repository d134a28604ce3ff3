/**
 * What Compute, the dashboard and Terraform send, body by body: clients that are not installed here, from what they are
 * known to ask. Numbers as strings, nulls for what is not set, filters and pages as they write them.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { hostReports } from '../../lib/agents.ts'
import { type Client, type Reply, type TestServer, testServer } from '../../lib/server.ts'

let server: TestServer
let admin: Client
let member: Client
let lan: Record<string, any>
let subnet: Record<string, any>
before(async () => {
  server = await testServer()
  admin = server.admin
  member = server.as('p1')
  await hostReports(server, 'v-host-1')
  await hostReports(server, 'v-host-2')
  lan = await member.make('network', { name: 'lan' })
  subnet = await member.make('subnet', { network_id: lan['id'], ip_version: 4, cidr: '10.0.0.0/24' })
})
after(() => server.close())

const answered = ({ status, body, text }: Reply, wanted: number): any => {
  assert.equal(status, wanted, text)
  return body
}
const ids = (rows: readonly Record<string, any>[]): unknown[] => rows.map(({ id }) => id).toSorted()

describe('Compute', () => {
  const instance = '6a2c6cbb-9d5c-4c0f-8a0b-7e0a6a4bb001'
  const unbound = { device_id: '', device_owner: '', 'binding:host_id': null, 'binding:profile': {} }

  test('finds out by name or alias what there is', async () => {
    const { extensions } = answered(await admin.get('extensions'), 200)
    const named = new Map(extensions.map(({ alias, name }: Record<string, string>) => [alias, name]))
    const wanted = {
      'multi-provider': 'Multi Provider Network',
      'external-net': 'Neutron external network',
      'port-resource-request': 'Port Resource Request',
      'port-resource-request-groups': 'Port Resource Request Groups',
      segment: 'Segment',
      'dns-integration': 'DNS Integration',
      'port-security': 'Port Security',
      'auto-allocated-topology': 'Auto Allocated Topology Services',
      'fip-port-details': 'Floating IP Port Details Extension',
      trunk: 'Trunk Extension',
      'trunk-details': 'Trunk port details',
      binding: 'Port Binding',
      'ip-substring-filtering': 'IP address substring filtering',
      'allowed-address-pairs': 'Allowed Address Pairs',
      qos: 'Quality of Service',
      'standard-attr-tag': /^Tag support for resources/,
    }
    for (const [alias, name] of Object.entries(wanted))
      if (name instanceof RegExp) assert.match(String(named.get(alias)), name)
      else assert.equal(named.get(alias), name)
  })

  test('looks for networks: of the project, shared, and each by id', async () => {
    const shared = await admin.make('network', { name: 'shared', shared: true })
    const outside = await admin.make('network', { name: 'outside', 'router:external': true })
    const own = answered(await member.get('networks?tenant_id=p1&shared=False&admin_state_up=True'), 200)
    assert.deepEqual(ids(own.networks), [lan['id']])
    const all = answered(await member.get('networks?shared=True'), 200)
    assert.deepEqual(ids(all.networks), [shared['id']])
    const named = answered(await member.get(`networks?id=${lan['id']}&id=${shared['id']}`), 200)
    assert.deepEqual(ids(named.networks), [lan['id'], shared['id']].toSorted())
    const external = answered(await member.get('networks?router%3Aexternal=True&fields=id'), 200)
    assert.deepEqual(external.networks, [{ id: outside['id'] }])
    const mtu = answered(
      await admin.get(`networks/${lan['id']}?fields=mtu&fields=provider%3Aphysical_network&fields=segments`),
      200,
    )
    assert.deepEqual(mtu.network, { mtu: 1450, 'provider:physical_network': null, segments: null })
  })

  test('asks for the quota of ports before it makes some', async () => {
    const { quota } = answered(await member.get('quotas/p1'), 200)
    assert.equal(quota.port, 500)
    const details = answered(await member.get('quotas/p1/details'), 200)
    assert.equal(details.quota.network.used, 1)
    const listed = answered(await member.get('ports?tenant_id=p1&fields=id'), 200)
    assert.deepEqual(Object.keys(listed.ports[0]), ['id'])
  })

  test('makes a port, binds it as administrator, and finds it by its device', async () => {
    const { port } = answered(
      await member.post('ports', {
        port: {
          device_id: instance,
          network_id: lan['id'],
          admin_state_up: true,
          tenant_id: 'p1',
          security_groups: [],
        },
      }),
      201,
    )
    const bound = {
      device_owner: 'compute:nova',
      'binding:host_id': 'v-host-1',
      'binding:profile': { allocation: null },
      dns_name: 'vm',
    }
    const { port: there } = answered(await admin.put(`ports/${port.id}`, { port: bound }), 200)
    assert.equal(there['binding:vif_type'], 'ovs')
    assert.equal(there.dns_name, 'vm')
    const found = answered(
      await admin.get(`ports?tenant_id=p1&device_id=${instance}&fields=id&fields=binding%3Ahost_id`),
      200,
    )
    assert.deepEqual(found.ports, [{ id: port.id, 'binding:host_id': 'v-host-1' }])
    const [fixed] = there.fixed_ips
    const where = `floatingips?fixed_ip_address=${fixed.ip_address}&port_id=${port.id}`
    assert.deepEqual(answered(await admin.get(where), 200), { floatingips: [] })
    const dhcp = `ports?network_id=${lan['id']}&device_owner=network%3Adhcp&fields=fixed_ips`
    assert.equal(answered(await admin.get(dhcp), 200).ports.length, 1)
    answered(await admin.put(`ports/${port.id}`, { port: { 'binding:host_id': 'v-host-2' } }), 200)
    const { port: away } = answered(await admin.put(`ports/${port.id}`, { port: unbound }), 200)
    assert.deepEqual(
      [away['binding:host_id'], away['binding:vif_type'], away['binding:profile'], away.device_id, away.status],
      ['', 'unbound', {}, '', 'DOWN'],
    )
    answered(await member.delete(`ports/${port.id}`), 204)
  })

  test('asks which security groups there are, shared ones too', async () => {
    const own = answered(await member.get('security-groups?tenant_id=p1&name=default'), 200)
    assert.equal(own.security_groups.length, 1)
    const fields = answered(await member.get('security-groups?fields=id&fields=name&tenant_id=p1'), 200)
    assert.deepEqual(Object.keys(fields.security_groups[0]).toSorted(), ['id', 'name'])
    assert.deepEqual(answered(await member.get('security-groups?shared=True'), 200), { security_groups: [] })
  })

  test('asks for the segments of a network, and ports whose address comes later', async () => {
    const { segments } = answered(await admin.get(`segments?network_id=${lan['id']}&fields=id`), 200)
    assert.equal(segments.length, 1)
    const { port } = answered(
      await member.post('ports', { port: { network_id: lan['id'], device_id: instance, fixed_ips: [] } }),
      201,
    )
    assert.equal(port.ip_allocation, 'none')
    const subnets = answered(await admin.get(`subnets?network_id=${lan['id']}&enable_dhcp=True`), 200)
    assert.deepEqual(ids(subnets.subnets), [subnet['id']])
  })
})

describe('Terraform and other programs in Go', () => {
  test('write what is not set as null, and numbers as they come', async () => {
    const { network } = answered(
      await member.post('networks', { network: { name: 'tf', admin_state_up: true, shared: false, tenant_id: 'p1' } }),
      201,
    )
    const body = {
      network_id: network.id,
      cidr: '10.7.0.0/24',
      ip_version: '4',
      gateway_ip: null,
      enable_dhcp: 'true',
      dns_nameservers: null,
      allocation_pools: [{ start: '10.7.0.5', end: '10.7.0.9' }],
      host_routes: null,
      service_types: null,
      subnetpool_id: null,
      segment_id: null,
    }
    const made = answered(await member.post('subnets', { subnet: body }), 201).subnet
    assert.deepEqual([made.gateway_ip, made.ip_version, made.enable_dhcp], [null, 4, true])
    const port = {
      network_id: network.id,
      admin_state_up: true,
      fixed_ips: [{ subnet_id: made.id }],
      mac_address: null,
      qos_policy_id: null,
      port_security_enabled: true,
      dns_name: '',
      allowed_address_pairs: [],
      extra_dhcp_opts: null,
    }
    const there = answered(await member.post('ports', { port }), 201).port
    assert.deepEqual([there.qos_policy_id, there.allowed_address_pairs, there.port_security_enabled], [null, [], true])
    const changed = { security_groups: [], qos_policy_id: null, name: 'tf' }
    assert.deepEqual(answered(await member.put(`ports/${there.id}`, { port: changed }), 200).port.security_groups, [])
  })

  test('make rules with ports as strings and protocols as numbers', async () => {
    const group = await member.make('security_group', { name: 'tf' })
    const rule = {
      security_group_id: group['id'],
      direction: 'ingress',
      ethertype: 'IPv4',
      protocol: 6,
      port_range_min: '22',
      port_range_max: 22,
      remote_ip_prefix: '',
      remote_group_id: null,
    }
    const { remote_ip_prefix: _, ...without } = rule
    const made = answered(await member.post('security-group-rules', { security_group_rule: without }), 201)
    assert.deepEqual([made.security_group_rule.protocol, made.security_group_rule.port_range_min], ['6', 22])
  })

  test('make routers, change routes, and take gateways away with an empty object', async () => {
    const outside = await admin.make('network', { name: 'wan', 'router:external': true })
    await admin.make('subnet', { network_id: outside['id'], ip_version: 4, cidr: '203.0.113.0/24' })
    const body = { name: 'tf', admin_state_up: true, external_gateway_info: { network_id: outside['id'] } }
    const { router } = answered(await member.post('routers', { router: body }), 201)
    assert.equal(router.external_gateway_info.network_id, outside['id'])
    const at = `routers/${router.id}`
    const attach = { subnet_id: subnet['id'], port_id: undefined }
    assert.equal(answered(await member.put(`${at}/add_router_interface`, attach), 200).subnet_id, subnet['id'])
    const routes = [{ destination: '10.200.0.0/16', nexthop: '10.0.0.200' }]
    assert.deepEqual(answered(await member.put(at, { router: { routes } }), 200).router.routes, routes)
    answered(await member.put(at, { router: { routes: [] } }), 200)
    answered(await member.put(`${at}/remove_router_interface`, attach), 200)
    const gone = answered(await member.put(at, { router: { external_gateway_info: {} } }), 200)
    assert.equal(gone.router.external_gateway_info, null)
    answered(await member.delete(at), 204)
  })

  test('replace tags, and page with limit and marker to the end', async () => {
    const made = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map((name) => member.make('network', { name: `page-${name}` })),
    )
    for (const { id } of made) answered(await member.put(`networks/${id}/tags`, { tags: ['paged', 'tf'] }), 200)
    const seen: unknown[] = []
    let next: string | undefined = '/v2.0/networks?limit=2&tags=paged%2Ctf&sort_key=name&sort_dir=desc'
    for (let pages = 0; next !== undefined; pages++) {
      assert.ok(pages < 6, 'pages without end')
      const page: any = answered(await member.get(next), 200)
      seen.push(...page.networks.map(({ name }: Record<string, unknown>) => name))
      const link = page.networks_links?.find(({ rel }: Record<string, string>) => rel === 'next')?.href
      next = link === undefined ? undefined : new URL(link).pathname + new URL(link).search
    }
    assert.deepEqual(seen, ['page-e', 'page-d', 'page-c', 'page-b', 'page-a'])
    const exact = answered(await member.get('networks?name=page-a&status=ACTIVE&admin_state_up=true'), 200)
    assert.deepEqual(ids(exact.networks), [made[0]?.['id']])
  })
})

describe('the dashboard', () => {
  test('lists what its pages show', async () => {
    for (const path of [
      'networks?tenant_id=p1&shared=False',
      'networks?router%3Aexternal=True',
      'ports?network_id=x&device_owner=network%3Arouter_interface',
      'routers?tenant_id=p1&search_opts=',
      'floatingips?tenant_id=p1',
      'floatingip_pools',
      'security-groups?tenant_id=p1',
      'subnetpools?is_default=True',
      'quotas/p1/details',
      'agents?agent_type=DHCP+agent',
      `network-ip-availabilities/${lan['id']}`,
      'rbac-policies',
      'trunks?tenant_id=p1',
      'availability_zones',
    ]) {
      const { status, text } = await admin.get(path)
      assert.equal(status, path.includes('search_opts') ? 400 : 200, `${path}: ${text}`)
    }
  })
})
