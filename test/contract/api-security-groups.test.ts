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
    [
      'two remotes',
      { remote_ip_prefix: '10.0.0.0/8', remote_group_id: 'own' },
      'SecurityGroupMultipleRemoteEntites',
    ],
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
    ['a prefix that is none', { remote_ip_prefix: 'x' }, 'HTTPBadRequest'],
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
