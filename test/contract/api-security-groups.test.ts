/** Security groups: the default one, what contradicts what in a rule, and what is in use. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ErrorType } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let owner: Client
let group: Item

before(async () => {
  server = await testServer({ settings: { quotaSecurityGroup: -1, quotaSecurityGroupRule: -1 } })
  owner = server.as('p1')
  group = await owner.make('security_group', { name: 'web' })
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const post = (values: object) =>
  owner.post('security-group-rules', {
    security_group_rule: { security_group_id: group['id'], direction: 'ingress', ...values },
  })

describe('the default group', () => {
  const shapeOf = (rule: Item) => {
    const { direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix, remote_group_id } = rule
    return { direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix, remote_group_id }
  }
  const any = { protocol: null, port_range_min: null, port_range_max: null, remote_ip_prefix: null }

  test('appears with a project’s first port, with Neutron’s four rules', async () => {
    const fresh = server.as('fresh')
    const network = await fresh.make('network', {})
    const port = await fresh.make('port', { network_id: network['id'] })
    const [made] = answered(await fresh.get('security-groups?name=default'), 200).security_groups
    assert.deepEqual(port['security_groups'], [made.id])
    assert.equal(made.description, 'Default security group')
    const expected = ['IPv4', 'IPv6'].flatMap((ethertype) => [
      { direction: 'egress', ethertype, ...any, remote_group_id: null },
      { direction: 'ingress', ethertype, ...any, remote_group_id: made.id },
    ])
    const order = (rules: object[]): string[] => rules.map((one) => JSON.stringify(one, Object.keys(one).sort())).sort()
    assert.deepEqual(order(made.security_group_rules.map(shapeOf)), order(expected))
  })
  test('appears with a project’s first group; every new group lets all out and nothing in', async () => {
    const fresh = server.as('fresh2')
    const made = await fresh.make('security_group', { name: 'mine' })
    assert.deepEqual(
      made['security_group_rules']
        .map((one: Item) => [one['direction'], one['ethertype'], one['remote_group_id']])
        .sort(),
      [
        ['egress', 'IPv4', null],
        ['egress', 'IPv6', null],
      ],
    )
    const names = answered(await fresh.get('security-groups'), 200).security_groups.map((one: Item) => one['name'])
    assert.deepEqual(names.sort(), ['default', 'mine'])
  })
  test('is one a project, however many ask for it at once', async () => {
    const fresh = server.as('fresh3')
    const network = await fresh.make('network', {})
    const ports = await Promise.all(Array.from({ length: 16 }, () => fresh.make('port', { network_id: network['id'] })))
    assert.equal(new Set(ports.map((one) => one['security_groups'][0])).size, 1)
  })
  test('cannot be made, renamed or removed', async () => {
    const [made] = answered(await owner.get('security-groups?name=default'), 200).security_groups
    refused(
      await owner.post('security-groups', { security_group: { name: 'default' } }),
      'SecurityGroupDefaultAlreadyExists',
    )
    refused(
      await owner.put(`security-groups/${made.id}`, { security_group: { name: 'x' } }),
      'SecurityGroupCannotUpdateDefault',
    )
    refused(await owner.delete(`security-groups/${made.id}`), 'SecurityGroupCannotRemoveDefault')
    answered(await owner.put(`security-groups/${made.id}`, { security_group: { description: 'x' } }), 200)
  })
})

describe('rules', () => {
  test('what was given is what is shown', async () => {
    const rule = answered(
      await post({ protocol: 'TCP', port_range_min: '80', port_range_max: 80, remote_ip_prefix: '10.1.2.3/24' }),
      201,
    ).security_group_rule
    assert.deepEqual(
      [
        rule.protocol,
        rule.port_range_min,
        rule.port_range_max,
        rule.ethertype,
        rule.normalized_cidr,
        rule.remote_group_id,
      ],
      ['tcp', 80, 80, 'IPv4', '10.1.2.0/24', null],
    )
    const inGroup = answered(await owner.get(`security-groups/${group['id']}`), 200).security_group.security_group_rules
    assert.deepEqual(
      inGroup.find((one: Item) => one['id'] === rule.id),
      rule,
    )
    answered(await owner.delete(`security-group-rules/${rule.id}`), 204)
  })

  const conflicts: [string, object, ErrorType][] = [
    ['two remotes', { remote_ip_prefix: '10.0.0.0/8', remote_group_id: 'own' }, 'SecurityGroupMultipleRemoteEntites'],
    ['an IPv6 prefix in an IPv4 rule', { remote_ip_prefix: '2001:db8::/32' }, 'SecurityGroupRuleParameterConflict'],
    [
      'an IPv4 prefix in an IPv6 rule',
      { remote_ip_prefix: '10.0.0.0/8', ethertype: 'IPv6' },
      'SecurityGroupRuleParameterConflict',
    ],
    ['ICMPv6 in an IPv4 rule', { protocol: 'ipv6-icmp' }, 'SecurityGroupEthertypeConflictWithProtocol'],
    ['ports without a protocol', { port_range_min: 1, port_range_max: 2 }, 'SecurityGroupProtocolRequiredWithPorts'],
    ['one port of a range', { protocol: 'tcp', port_range_min: 80 }, 'SecurityGroupInvalidPortRange'],
    ['a range upside down', { protocol: 'udp', port_range_min: 9, port_range_max: 8 }, 'SecurityGroupInvalidPortRange'],
    [
      'ports of a protocol without ports',
      { protocol: 'gre', port_range_min: 1, port_range_max: 2 },
      'SecurityGroupInvalidProtocolForPort',
    ],
    ['an ICMP code without a type', { protocol: 'icmp', port_range_max: 3 }, 'SecurityGroupMissingIcmpType'],
    ['an ICMP type too large', { protocol: 'icmp', port_range_min: 256 }, 'SecurityGroupInvalidIcmpValue'],
    [
      'an ICMP code too large',
      { protocol: 'icmp', port_range_min: 3, port_range_max: 256 },
      'SecurityGroupInvalidIcmpValue',
    ],
    [
      'a port too large',
      { protocol: 'tcp', port_range_min: 1, port_range_max: 65536 },
      'SecurityGroupInvalidPortValue',
    ],
    [
      'a port that is none',
      { protocol: 'tcp', port_range_min: 'x', port_range_max: 1 },
      'SecurityGroupInvalidPortValue',
    ],
    ['a protocol nobody knows', { protocol: 'carrier-pigeon' }, 'SecurityGroupRuleInvalidProtocol'],
    ['a protocol number too large', { protocol: 256 }, 'SecurityGroupRuleInvalidProtocol'],
    ['a prefix that is none', { remote_ip_prefix: 'x' }, 'InvalidCIDR'],
    ['an ethertype that is none', { ethertype: 'IPv5' }, 'HTTPBadRequest'],
    ['a remote group that is not there', { remote_group_id: newId() }, 'SecurityGroupNotFound'],
  ]
  for (const [what, values, type] of conflicts) {
    test(what, async () => {
      const remote =
        'remote_group_id' in values && values.remote_group_id === 'own' ? { remote_group_id: group['id'] } : {}
      refused(await post({ ...values, ...remote }), type)
    })
  }
  test('a group that is not there', async () => {
    refused(await post({ security_group_id: newId() }), 'SecurityGroupNotFound')
  })
  test('any protocol in its spellings', async () => {
    for (const [n, protocol] of [null, 'any', '', -1].entries()) {
      const rule = answered(await post({ protocol, remote_ip_prefix: `10.${n}.0.0/16` }), 201).security_group_rule
      assert.equal(rule.protocol, null)
    }
  })
  test('the same rule twice, whatever its protocol is called', async () => {
    const first = answered(
      await post({ protocol: 'udp', port_range_min: 53, port_range_max: 53 }),
      201,
    ).security_group_rule
    for (const protocol of ['udp', 'UDP', 17, '17']) {
      const again = await post({ protocol, port_range_min: 53, port_range_max: 53 })
      refused(again, 'SecurityGroupRuleExists', `Security group rule already exists. Rule id is ${first.id}.`)
    }
    answered(await post({ protocol: 'udp', port_range_min: 53, port_range_max: 53, direction: 'egress' }), 201)
    answered(await post({ protocol: 'udp', port_range_min: 53, port_range_max: 53, ethertype: 'ipv6' }), 201)
  })
  test('the same rule many times at once is there once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => post({ protocol: 'tcp', port_range_min: 7, port_range_max: 7 })),
    )
    assert.equal(replies.filter((one) => one.status === 201).length, 1)
    for (const reply of replies.filter((one) => one.status !== 201)) refused(reply, 'SecurityGroupRuleExists')
  })
})

describe('rules of one request', () => {
  const rule = (values: object): object => ({ security_group_id: group['id'], direction: 'egress', ...values })
  const bulk = (...rules: object[]) => owner.post('security-group-rules', { security_group_rules: rules })
  test('are made together, or not at all', async () => {
    const made = answered(await bulk(rule({ protocol: '200' }), rule({ protocol: '201' })), 201)
    assert.deepEqual(
      made.security_group_rules.map((one: Item) => one['protocol']),
      ['200', '201'],
    )
    refused(await bulk(rule({ protocol: '202' }), rule({ protocol: '200' })), 'SecurityGroupRuleExists')
    const left = answered(await owner.get(`security-group-rules?protocol=202&security_group_id=${group['id']}`), 200)
    assert.deepEqual(left.security_group_rules, [])
  })
  test('are of one group, one project, and each another', async () => {
    const other = await owner.make('security_group', {})
    refused(await bulk(rule({}), rule({ security_group_id: other['id'] })), 'SecurityGroupNotSingleGroupRules')
    const foreign = [rule({ protocol: '203' }), rule({ protocol: '204', project_id: 'p7' })]
    refused(
      await server.admin.post('security-group-rules', { security_group_rules: foreign }),
      'SecurityGroupRulesNotSingleTenant',
    )
    refused(await bulk(rule({ protocol: 'tcp' }), rule({ protocol: 6 })), 'DuplicateSecurityGroupRuleInPost')
  })
})

describe('the words of a rule', () => {
  test('are made one: every port, ICMP of IPv6', async () => {
    const all = answered(await post({ protocol: 'tcp', port_range_min: 1, port_range_max: 65535 }), 201)
    const { port_range_min, port_range_max } = all.security_group_rule
    assert.deepEqual([port_range_min, port_range_max], [null, null])
    refused(await post({ protocol: 'tcp' }), 'SecurityGroupRuleExists')
    refused(await post({ protocol: 'tcp', remote_ip_prefix: '0.0.0.0/0' }), 'SecurityGroupRuleExists')
    const icmp = answered(await post({ protocol: 'icmp', ethertype: 'IPv6' }), 201).security_group_rule
    assert.equal(icmp.protocol, 'ipv6-icmp')
    for (const protocol of ['icmpv6', 1, 58, 'ipv6-icmp'])
      refused(await post({ protocol, ethertype: 'IPv6' }), 'SecurityGroupRuleExists')
  })
  test('a port is 1 to 65535', async () => {
    for (const port of [0, -1, ''])
      refused(
        await post({ protocol: 'tcp', port_range_min: port, port_range_max: port }),
        'SecurityGroupInvalidPortValue',
      )
  })
  test('an id that is none is nobody’s', async () => {
    refused(await post({ remote_group_id: 'nonsense' }), 'SecurityGroupNotFound')
    refused(await post({ security_group_id: 'nonsense' }), 'SecurityGroupNotFound')
  })
})

describe('default rules', () => {
  const at = 'default-security-group-rules'
  test('new groups start with them, groups that exist stay', async () => {
    const wanted = { direction: 'ingress', protocol: 'tcp', port_range_min: 22, port_range_max: 22 }
    const made = answered(await server.admin.post(at, { default_security_group_rule: wanted }), 201)
    const template = made.default_security_group_rule
    assert.deepEqual([template.used_in_default_sg, template.used_in_non_default_sg], [false, true])
    const fresh = await owner.make('security_group', {})
    const ports = fresh['security_group_rules'].map((one: Item) => one['port_range_min'])
    assert.deepEqual(ports.sort(), [22, null, null])
    refused(
      await server.admin.post(at, { default_security_group_rule: { ...wanted, protocol: 6 } }),
      'DefaultSecurityGroupRuleExists',
    )
    answered(await server.admin.delete(`${at}/${template.id}`), 204)
    refused(await server.admin.get(`${at}/${template.id}`), 'DefaultSecurityGroupRuleNotFound')
    assert.equal((await owner.make('security_group', {}))['security_group_rules'].length, 2)
  })
  test('are the administrator’s', async () => {
    refused(await owner.post(at, { default_security_group_rule: { direction: 'ingress' } }), 'PolicyNotAuthorized')
  })
})

describe('shared and stateless', () => {
  test('to whom a group is shared uses it as it is', async () => {
    const shared = await owner.make('security_group', {})
    const policy = {
      object_type: 'security_group',
      object_id: shared['id'],
      action: 'access_as_shared',
      target_tenant: 'g9',
    }
    await owner.make('rbac_policy', policy)
    const guest = server.as('g9')
    assert.equal(answered(await guest.get(`security-groups/${shared['id']}`), 200).security_group.shared, true)
    assert.equal(answered(await owner.get(`security-groups/${shared['id']}`), 200).security_group.shared, false)
    const others = answered(await guest.get('security-groups?shared=true'), 200).security_groups
    assert.deepEqual(
      others.map((one: Item) => one['id']),
      [shared['id']],
    )
    const rule = { security_group_id: shared['id'], direction: 'ingress' }
    refused(await guest.post('security-group-rules', { security_group_rule: rule }), 'PolicyNotAuthorized')
    refused(
      await guest.put(`security-groups/${shared['id']}`, { security_group: { name: 'x' } }),
      'PolicyNotAuthorized',
    )
    const network = await guest.make('network', {})
    const port = await guest.make('port', { network_id: network['id'], security_groups: [shared['id']] })
    const found = answered(await guest.get(`ports?security_groups=${shared['id']}`), 200).ports
    assert.deepEqual(
      found.map((one: Item) => one['id']),
      [port['id']],
    )
  })
  test('a port’s groups are all stateful or all stateless, and stay so', async () => {
    const network = await owner.make('network', {})
    const stateless = await owner.make('security_group', { stateful: false })
    const mixed = { network_id: network['id'], security_groups: [group['id'], stateless['id']] }
    refused(await owner.post('ports', { port: mixed }), 'SecurityGroupConflict')
    const port = await owner.make('port', { ...mixed, security_groups: [stateless['id']] })
    const both = { port: { security_groups: mixed.security_groups } }
    refused(await owner.put(`ports/${port['id']}`, both), 'SecurityGroupConflict')
    const at = `security-groups/${stateless['id']}`
    refused(await owner.put(at, { security_group: { stateful: true } }), 'SecurityGroupInUse')
    answered(await owner.delete(`ports/${port['id']}`), 204)
    answered(await owner.put(at, { security_group: { stateful: true } }), 200)
  })
  test('an administrator removes a default group; it comes back when it is looked for', async () => {
    const project = server.as('d9')
    const [first] = answered(await project.get('security-groups'), 200).security_groups
    assert.equal(
      first.security_group_rules.every((one: Item) => one['belongs_to_default_sg'] === true),
      true,
    )
    answered(await server.admin.delete(`security-groups/${first.id}`), 204)
    const [second] = answered(await project.get('security-groups'), 200).security_groups
    assert.notEqual(second.id, first.id)
  })
})

describe('in use', () => {
  test('a group that ports are in stays', async () => {
    const network = await owner.make('network', {})
    const used = await owner.make('security_group', {})
    const port = await owner.make('port', { network_id: network['id'], security_groups: [used['id']] })
    refused(
      await owner.delete(`security-groups/${used['id']}`),
      'SecurityGroupInUse',
      `Security Group ${used['id']} in use.`,
    )
    answered(await owner.put(`ports/${port['id']}`, { port: { security_groups: [] } }), 200)
    answered(await owner.delete(`security-groups/${used['id']}`), 204)
  })
  test('a group that another group’s rules name can go, and the rules that named it with it', async () => {
    const named = await owner.make('security_group', { name: 'named' })
    const rule = answered(await post({ remote_group_id: named['id'] }), 201).security_group_rule
    answered(await owner.delete(`security-groups/${named['id']}`), 204)
    refused(await owner.get(`security-group-rules/${rule.id}`), 'SecurityGroupRuleNotFound')
  })
  test('a removed group takes its rules along, and their quota', async () => {
    const gone = await owner.make('security_group', {})
    const ids = gone['security_group_rules'].map((one: Item) => one['id'])
    answered(await owner.delete(`security-groups/${gone['id']}`), 204)
    for (const id of ids) refused(await owner.get(`security-group-rules/${id}`), 'SecurityGroupRuleNotFound')
  })
  test('null is the default group for a new port, and none for an old one', async () => {
    const { id: network_id } = await owner.make('network', {})
    const plain = await owner.make('port', { network_id })
    const port = await owner.make('port', { network_id, security_groups: null })
    assert.deepEqual(port['security_groups'], plain['security_groups'])
    assert.equal(port['security_groups'].length, 1)
    const changed = await owner.put(`ports/${port['id']}`, { port: { security_groups: null } })
    assert.deepEqual(answered(changed, 200).port.security_groups, [])
    const open = { network_id, port_security_enabled: false, security_groups: null }
    assert.deepEqual((await owner.make('port', open))['security_groups'], [])
  })
  test('port security and groups exclude each other', async () => {
    const network = await owner.make('network', {})
    const off = { network_id: network['id'], port_security_enabled: false }
    refused(
      await owner.post('ports', { port: { ...off, security_groups: [group['id']] } }),
      'PortSecurityAndIPRequiredForSecurityGroups',
    )
    const open = await owner.make('port', off)
    assert.deepEqual(open['security_groups'], [])
    const guarded = await owner.make('port', { network_id: network['id'] })
    refused(
      await owner.put(`ports/${guarded['id']}`, { port: { port_security_enabled: false } }),
      'PortSecurityPortHasSecurityGroup',
    )
    answered(
      await owner.put(`ports/${guarded['id']}`, { port: { port_security_enabled: false, security_groups: [] } }),
      200,
    )
  })
})
