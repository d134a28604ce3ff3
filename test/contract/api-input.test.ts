/** Bad input: every way to get a request wrong is answered with Neutron's status, type and form, and stores nothing. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '#kernel/ids.ts'
import { refused, answered } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let member: Client
let network: Record<string, any>
let subnet: Record<string, any>

before(async () => {
  server = await testServer()
  member = server.as('p1')
  network = await member.make('network', { name: 'net' })
  subnet = await member.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const collections = ['networks', 'subnets', 'ports', 'security-groups', 'security-group-rules', 'agents']

describe('the request itself', () => {
  for (const payload of ['{', '', '[', 'nonsense', '{"network": {"name": "x"}', '\u0000', '"', '{"a":}']) {
    test(`a body that is not JSON: ${JSON.stringify(payload)}`, async () => {
      const reply = await member.send('POST', 'networks', payload)
      if (payload === '') refused(reply, 'HTTPBadRequest', 'Resource body required')
      else refused(reply, 'MalformedRequestBody', /^Malformed request body: .*JSON/)
    })
  }

  for (const body of [
    null,
    1,
    'text',
    true,
    [],
    [{}],
    {},
    { net: {} },
    { network: null },
    { network: [] },
    { network: 'x' },
  ]) {
    test(`a body that holds no network: ${JSON.stringify(body)}`, async () => {
      refused(await member.post('networks', body), 'HTTPBadRequest')
    })
  }
  for (const networks of [null, {}, 'x', [], [null], [[]], ['x'], [{}, 7]]) {
    test(`a bulk body that holds no networks: ${JSON.stringify(networks)}`, async () => {
      refused(await member.post('networks', { networks }), 'HTTPBadRequest')
    })
  }

  for (const type of [
    'text/plain',
    'application/xml',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
  ]) {
    test(`content type ${type}`, async () => {
      const reply = await member.send('POST', 'networks', '{"network":{}}', { 'content-type': type })
      refused(reply, 'MalformedRequestBody', /content type/)
    })
  }
  test('JSON with a character set is JSON', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    answered(await member.send('POST', 'networks', '{"network":{"name":"Zürich"}}', headers), 201)
  })

  test('a body longer than the limit is refused before it is read', async () => {
    const reply = await member.post('networks', { network: { description: 'x'.repeat(server.settings.maxBodySize) } })
    refused(reply, 'RequestBodyTooLarge', /1048576/)
  })

  for (const path of [
    '/nowhere',
    'nowhere',
    'networks/a/b/c',
    'networks//',
    'quota',
    'security__groups',
    'ports/x/y',
  ]) {
    test(`an unknown path: ${path}`, async () => {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE']) refused(await member.send(method, path), 'HTTPNotFound')
    })
  }

  test('a known path under another verb', async () => {
    for (const collection of collections) {
      for (const method of ['PUT', 'DELETE', 'PATCH'])
        refused(await member.send(method, collection), 'HTTPMethodNotAllowed', new RegExp(`method ${method} `))
      refused(await member.send('POST', `${collection}/${newId()}`), 'HTTPMethodNotAllowed')
      refused(await member.send('PATCH', `${collection}/${newId()}`, '{}'), 'HTTPMethodNotAllowed')
    }
    refused(await member.send('PUT', `security-group-rules/${newId()}`, '{}'), 'HTTPMethodNotAllowed')
    refused(await member.send('POST', 'agents', '{}'), 'HTTPMethodNotAllowed')
    refused(await member.send('POST', 'quotas', '{}'), 'HTTPMethodNotAllowed')
    refused(await member.send('POST', 'quotas/p1', '{}'), 'HTTPMethodNotAllowed')
    refused(await member.send('POST', 'extensions', '{}'), 'HTTPMethodNotAllowed')
    refused(await member.send('DELETE', 'extensions/agent'), 'HTTPMethodNotAllowed')
  })

  test('DELETE with a body', async () => {
    const own = await member.make('network', {})
    refused(await member.send('DELETE', `networks/${own['id']}`, '{"network":{}}'), 'HTTPBadRequest', /body/)
    answered(await member.get(`networks/${own['id']}`), 200)
    answered(await member.delete(`networks/${own['id']}`), 204)
  })

  test('every answer carries its request id', async () => {
    for (const path of ['networks', 'nowhere', `ports/${newId()}`]) {
      const { headers } = await member.get(path)
      assert.match(String(headers['x-openstack-request-id']), /^req-[0-9a-f-]{36}$/)
    }
  })
})

describe('ids', () => {
  const types = {
    networks: 'NetworkNotFound',
    subnets: 'SubnetNotFound',
    ports: 'PortNotFound',
    'security-groups': 'SecurityGroupNotFound',
    'security-group-rules': 'SecurityGroupRuleNotFound',
  } as const
  const singular = (collection: string): string => collection.replaceAll('-', '_').slice(0, -1)

  for (const [collection, type] of Object.entries(types)) {
    test(`unknown and malformed ids of ${collection}`, async () => {
      for (const id of [newId(), 'not-an-id', '%00', `${newId()}x`, '1;drop table ports', 'x'.repeat(300)]) {
        const at = `${collection}/${encodeURIComponent(id)}`
        refused(await member.get(at), type)
        refused(await member.delete(at), type)
        if (collection !== 'security-group-rules')
          refused(await member.put(at, { [singular(collection)]: { name: 'x' } }), type)
      }
    })
  }
  test('an agent that is not there', async () => {
    refused(await server.admin.get(`agents/${newId()}`), 'AgentNotFound')
  })
  test('an id in capitals is the same id', async () => {
    assert.equal(answered(await member.get(`networks/${network['id'].toUpperCase()}`), 200).network.id, network['id'])
  })
})

describe('attributes', () => {
  const bad = async (name: string, values: object, message: RegExp): Promise<void> => {
    const before = answered(await member.get(server.core.model.resource(name).path), 200)
    const path = server.core.model.resource(name).path
    refused(await member.post(path, { [name]: values }), 'HTTPBadRequest', message)
    assert.deepEqual(answered(await member.get(path), 200), before)
  }

  test('unknown names', async () => {
    await bad('network', { nonsense: 1 }, /^Unrecognized attribute\(s\) 'nonsense'$/)
    await bad('port', { network_id: network['id'], a: 1, b: 2 }, /^Unrecognized attribute\(s\) 'a, b'$/)
    await bad('port', { network_id: network['id'], 'network:shared': true }, /Unrecognized attribute/)
    await bad('network', { constructor: 1, toString: 1 }, /Unrecognized attribute/)
    const reply = await member.put(`networks/${network['id']}`, { network: { nonsense: 1 } })
    refused(reply, 'HTTPBadRequest', "Unrecognized attribute(s) 'nonsense'")
  })

  test('required names', async () => {
    await bad('subnet', { cidr: '10.1.0.0/24', ip_version: 4 }, /Required attribute 'network_id' not specified$/)
    await bad(
      'subnet',
      { network_id: network['id'], cidr: '10.1.0.0/24' },
      /Required attribute 'ip_version' not specified$/,
    )
    await bad('port', { name: 'x' }, /Required attribute 'network_id' not specified$/)
    await bad('security_group_rule', { direction: 'ingress' }, /Required attribute 'security_group_id' not specified$/)
  })

  test('names that nobody may set at creation', async () => {
    for (const values of [
      { id: newId() },
      { status: 'ACTIVE' },
      { revision_number: 3 },
      { created_at: '2026-01-01T00:00:00Z' },
      { subnets: [] },
    ])
      await bad('network', values, new RegExp(`^Attribute '${Object.keys(values)[0]}' not allowed in POST$`))
    await bad(
      'port',
      { network_id: network['id'], 'binding:vif_type': 'ovs' },
      /'binding:vif_type' not allowed in POST$/,
    )
    await bad(
      'port',
      { network_id: network['id'], data_plane_status: 'ACTIVE' },
      /'data_plane_status' not allowed in POST$/,
    )
  })

  test('names that cannot change', async () => {
    const attempts = [
      ['network', network['id'], { project_id: 'p2' }],
      ['network', network['id'], { tenant_id: 'p2' }],
      ['network', network['id'], { id: newId() }],
      ['subnet', subnet['id'], { cidr: '10.9.0.0/24' }],
      ['subnet', subnet['id'], { network_id: newId() }],
      ['subnet', subnet['id'], { ip_version: 6 }],
    ] as const
    for (const [name, id, values] of attempts) {
      const reply = await member.put(`${server.core.model.resource(name).path}/${id}`, { [name]: values })
      refused(reply, 'HTTPBadRequest', /^Cannot update read-only attribute /)
    }
  })

  test('values of the wrong type', async () => {
    await bad('network', { name: 1 }, /^Invalid input for name\. Reason: .* is not a valid string\.$/)
    await bad('network', { name: null }, /^Invalid input for name/)
    await bad('network', { name: { a: 1 } }, /^Invalid input for name/)
    await bad('network', { admin_state_up: 'perhaps' }, /cannot be converted to boolean\.$/)
    await bad('network', { mtu: 'big' }, /'big' is not an integer\.$/)
    await bad('network', { mtu: -1 }, /should be non-negative\.$/)
    await bad('subnet', { network_id: 7, cidr: '10.1.0.0/24', ip_version: 4 }, /is not a valid UUID\.$/)
    await bad('subnet', { network_id: network['id'], cidr: '10.1.0.0/24', ip_version: 5 }, /'5' is not in \[4, 6\]/)
    await bad(
      'subnet',
      { network_id: network['id'], cidr: '10.1.0.0/24', ip_version: 4, dns_nameservers: 'x' },
      /is not a list/,
    )
    await bad('port', { network_id: network['id'], fixed_ips: [{ ip: '1' }] }, /^Invalid input for fixed_ips/)
    await bad('port', { network_id: network['id'], fixed_ips: 'x' }, /^Invalid input for fixed_ips/)
    await bad('port', { network_id: network['id'], security_groups: ['x'] }, /'x' is not a valid UUID/)
    await bad('security_group', { stateful: 'maybe' }, /cannot be converted to boolean/)
    await bad(
      'security_group_rule',
      { security_group_id: newId(), direction: 'up' },
      /'up' is not in \['ingress', 'egress'\]/,
    )
  })

  test('values of another type that Neutron converts', async () => {
    const made = await member.make('network', { admin_state_up: 'False', mtu: '1400' })
    assert.deepEqual([made['admin_state_up'], made['mtu']], [false, 1400])
  })

  test('texts are at most 255 characters, however many bytes', async () => {
    const fits = 'ü'.repeat(255)
    assert.equal((await member.make('network', { name: fits, description: fits }))['name'], fits)
    await bad('network', { name: `${fits}x` }, /exceeds maximum length of 255\.$/)
    await bad('network', { description: 'x'.repeat(256) }, /exceeds maximum length of 255\.$/)
    await bad('port', { network_id: network['id'], device_id: 'x'.repeat(256) }, /exceeds maximum length of 255\.$/)
    await bad('network', { name: 'a\u0000b' }, /NUL/)
  })

  test('all issues are in the detail, the first in the message', async () => {
    const reply = await member.post('networks', { network: { name: 1, mtu: 'x', admin_state_up: 3 } })
    const detail = refused(reply, 'HTTPBadRequest', /^Invalid input for name/)
    assert.equal(detail['issues'].length, 3)
  })
})

describe('addresses', () => {
  const subnetWith = (values: object) =>
    member.post('subnets', { subnet: { network_id: network['id'], ip_version: 4, cidr: '10.1.0.0/24', ...values } })
  const portWith = (values: object) => member.post('ports', { port: { network_id: network['id'], ...values } })

  test('CIDRs', async () => {
    for (const cidr of [
      '10.0.0.0',
      '10.0.0/24',
      '10.0.0.0/33',
      'x',
      '',
      '10.0.0.0/-1',
      '10.0.0.0/24/1',
      '::/129',
      7,
      '010.0.0.0/24',
    ])
      refused(await subnetWith({ cidr }), 'HTTPBadRequest')
    refused(await subnetWith({ cidr: '2001:db8::/64' }), 'InvalidInput', /does not match the ip_version/)
    for (const cidr of [null, undefined])
      refused(await subnetWith({ cidr }), 'BadRequest', /must be specified in the absence of a cidr/)
    refused(await subnetWith({ cidr: '10.0.0.128/25' }), 'InvalidInput', /overlaps with another subnet/)
  })
  test('a CIDR with host bits is its network', async () => {
    const made = answered(await subnetWith({ cidr: '10.77.0.9/24' }), 201).subnet
    assert.equal(made.cidr, '10.77.0.0/24')
  })
  test('gateways', async () => {
    refused(await subnetWith({ gateway_ip: 'x' }), 'HTTPBadRequest', /is not a valid IP address/)
    refused(await subnetWith({ gateway_ip: '10.1.0.0' }), 'InvalidInput', /Gateway is not valid on subnet/)
    refused(await subnetWith({ gateway_ip: '10.1.0.255' }), 'InvalidInput', /Gateway is not valid on subnet/)
    refused(await subnetWith({ gateway_ip: '2001:db8::1' }), 'InvalidInput', /ip_version/)
    const inPool = { gateway_ip: '10.1.0.9', allocation_pools: [{ start: '10.1.0.5', end: '10.1.0.20' }] }
    refused(await subnetWith(inPool), 'GatewayConflictWithAllocationPools')
  })
  test('allocation pools', async () => {
    const pools = (...all: [string, string][]) =>
      subnetWith({ allocation_pools: all.map(([start, end]) => ({ start, end })) })
    refused(await pools(['10.1.0.9', '10.1.0.5']), 'InvalidAllocationPool')
    refused(await pools(['10.1.0.9', '10.1.1.5']), 'OutOfBoundsAllocationPool')
    refused(await pools(['10.1.0.5', '10.1.0.9'], ['10.1.0.9', '10.1.0.20']), 'OverlappingAllocationPools')
    refused(await subnetWith({ allocation_pools: [{ start: '10.1.0.5' }] }), 'HTTPBadRequest')
    refused(await subnetWith({ allocation_pools: [{ start: 'a', end: 'b' }] }), 'HTTPBadRequest')
  })
  test('name servers and routes', async () => {
    refused(await subnetWith({ dns_nameservers: ['x'] }), 'HTTPBadRequest')
    refused(await subnetWith({ dns_nameservers: ['9.9.9.9', '9.9.9.9'] }), 'HTTPBadRequest', /[Dd]uplicate/)
    const servers = [1, 2, 3, 4, 5, 6].map((n) => `9.9.9.${n}`)
    refused(await subnetWith({ dns_nameservers: servers }), 'DNSNameServersExhausted')
    refused(await subnetWith({ host_routes: [{ destination: 'x', nexthop: '10.1.0.1' }] }), 'HTTPBadRequest')
    refused(await subnetWith({ host_routes: [{ destination: '10.9.0.0/16' }] }), 'HTTPBadRequest')
    const routes = Array.from({ length: 21 }, (_, n) => ({ destination: `10.9.${n}.0/24`, nexthop: '10.1.0.1' }))
    refused(await subnetWith({ host_routes: routes }), 'HostRoutesExhausted')
  })
  test('MACs', async () => {
    for (const mac_address of ['x', 'fa:16:3e:00:00', 'fa:16:3e:00:00:0g', 'fa:16:3e:00:00:00:00', 7, ''])
      refused(await portWith({ mac_address }), 'HTTPBadRequest', /is not a valid MAC address/)
    const first = answered(await portWith({ mac_address: 'FA:16:3E:00:00:AA' }), 201).port
    assert.equal(first.mac_address, 'fa:16:3e:00:00:aa')
    refused(await portWith({ mac_address: 'fa:16:3e:00:00:aa' }), 'MacAddressInUse', /fa:16:3e:00:00:aa is in use/)
  })
  test('fixed IPs', async () => {
    const fixed = (...fixed_ips: object[]) => portWith({ fixed_ips })
    refused(await fixed({ ip_address: '10.0.0.256' }), 'HTTPBadRequest')
    refused(await fixed({ ip_address: '192.0.2.1' }), 'InvalidIpForNetwork')
    refused(await fixed({ subnet_id: subnet['id'], ip_address: '192.0.2.1' }), 'InvalidIpForSubnet')
    refused(await fixed({ subnet_id: subnet['id'], ip_address: '10.0.0.0' }), 'InvalidIpForSubnet')
    refused(await fixed({ subnet_id: subnet['id'], ip_address: '10.0.0.255' }), 'InvalidIpForSubnet')
    refused(await fixed({ subnet_id: newId() }), 'InvalidInput', /invalid subnet/)
    refused(await fixed({}), 'InvalidInput')
    answered(await fixed({ ip_address: '10.0.0.50' }), 201)
    refused(await fixed({ ip_address: '10.0.0.50' }), 'IpAddressAlreadyAllocated', /10\.0\.0\.50 already allocated/)
    refused(await fixed({ ip_address: '10.0.0.51' }, { ip_address: '10.0.0.51' }), 'HTTPBadRequest', /[Dd]uplicate/)
  })
  test('address pairs', async () => {
    const pairs = (...allowed_address_pairs: object[]) => portWith({ allowed_address_pairs })
    refused(await pairs({ ip_address: 'x' }), 'HTTPBadRequest')
    refused(await pairs({ mac_address: 'fa:16:3e:00:00:01' }), 'AllowedAddressPairsMissingIP')
    const same = { ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:01' }
    refused(await pairs(same, same), 'DuplicateAddressPairInRequest')
    refused(
      await pairs(...Array.from({ length: 11 }, (_, n) => ({ ip_address: `10.0.1.${n}` }))),
      'AllowedAddressPairExhausted',
    )
    const off = { port_security_enabled: false, allowed_address_pairs: [same] }
    refused(await portWith(off), 'AddressPairAndPortSecurityRequired')
  })
  test('an exhausted pool', async () => {
    const small = await member.make('network', {})
    await member.make('subnet', { network_id: small['id'], cidr: '10.5.0.0/30', ip_version: 4, enable_dhcp: false })
    await member.make('port', { network_id: small['id'] })
    const reply = await member.post('ports', { port: { network_id: small['id'] } })
    refused(reply, 'IpAddressGenerationFailure', `No more IP addresses available on network ${small['id']}.`)
  })
})

describe('text that PostgreSQL cannot keep', () => {
  test('is refused in bodies, matches nothing in filters, finds nothing in paths', async () => {
    for (const name of ['a\u0000b', '\ud800', 'x\udc00y']) {
      refused(await member.post('networks', { network: { name } }), 'HTTPBadRequest', /^Invalid input for name/)
      for (const profile of [{ a: name }, { [name]: 1 }, { a: [{ b: name }] }]) {
        const port = { network_id: network['id'], 'binding:profile': profile }
        refused(await server.admin.post('ports', { port }), 'HTTPBadRequest', /^Invalid input for binding:profile/)
      }
    }
    assert.deepEqual(answered(await member.get('networks?name=%00'), 200).networks, [])
    refused(await member.get('networks?cidr=%00'), 'HTTPBadRequest')
    refused(await member.get('networks?limit=1&marker=%00'), 'NetworkNotFound')
    refused(
      await member.get('agents?changed_since=2026-01-01T00:00:00Z'),
      'HTTPBadRequest',
      /invalid attribute for filtering/,
    )
    for (const reply of [
      await server.admin.get('quotas/%00'),
      await server.admin.put('quotas/%00', { quota: { port: 1 } }),
    ])
      assert.ok(reply.status < 500, reply.text)
    assert.ok((await member.get('watch?kind=%00')).status === 400)
  })
  test('a security group twice on one port is refused', async () => {
    const { id } = await member.make('security_group', {})
    const port = { network_id: network['id'], security_groups: [id, id] }
    refused(await member.post('ports', { port }), 'HTTPBadRequest', /Duplicate items in the list/)
  })
})
