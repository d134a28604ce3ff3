/** Questions about bindings: why a port is bound as it is, or not; where it could be. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { explainCommand } from '#cli/explain.ts'
import { createOutput } from '#cli/output.ts'
import type { Builtin } from '#identity/builtin.ts'
import { createApi } from '#lab/api.ts'
import { documented, remedyOf } from '#extensions/binding/remedies.ts'
import { silence } from '../lib/agents.ts'
import { dynamicSegments, hostOn, networkWith, portOn, reasonsOf, type Seen, torOver } from '../lib/binding.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const texts: string[] = []
let server: TestServer
before(async () => {
  server = await testServer({
    settings: { networkVlanRanges: [{ physical_network: 'rack1', range: { first: 100, last: 109 } }] },
    onStatement: (text) => void texts.push(text),
  })
  await hostOn(server, 'plain', [])
  await hostOn(server, 'below', ['rack1'], false)
  await hostOn(server, 'elsewhere', ['rack9'], false)
  await hostOn(server, 'dead', [])
  await silence(server, 'dead')
  await torOver(server, 'tor1', 'rack1', ['below'])
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const explain = async (id: unknown): Promise<Seen> =>
  answered(await server.admin.get(`ports/${id}/binding-explanation`), 200).binding_explanation
const simulate = async (values: object): Promise<Seen[]> =>
  answered(await server.admin.post('binding-simulations', { binding_simulation: values }), 200).binding_simulation.hosts

describe('why', () => {
  test('a port that is bound says by whom, level by level; asking changes nothing', async () => {
    const network = await networkWith(server)
    const port = await portOn(server, network, 'below')
    const answer = await explain(port['id'])
    assert.deepEqual(
      [answer['host'], answer['vnic_type'], answer['vif_type'], answer['status'], answer['last'].result],
      ['below', 'normal', 'ovs', 'DOWN', 'bound'],
    )
    assert.deepEqual(
      answer['levels'].map(({ level, driver, segment }: Seen) => [
        level,
        driver,
        segment.network_type,
        segment.physical_network,
      ]),
      [
        [0, 'vtep', 'vxlan', null],
        [1, 'openvswitch', 'vlan', 'rack1'],
      ],
    )
    assert.deepEqual(reasonsOf(answer['last'].attempts), ['0 vtep: continued', '1 openvswitch: bound'])
    // What was written of it since is no binding.
    answered(await server.admin.put(`ports/${port['id']}`, { port: { name: 'renamed' } }), 200)
    const bound = await server.database.query<Seen>(
      'select to_char(at at time zone \'utc\', \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') as at from change where id = $1 and generation = 1',
      [port['id']],
    )
    const { last } = await explain(port['id'])
    assert.deepEqual([last.at, last.host, last.result], [bound[0]?.['at'], port['binding:host_id'], 'bound'])
    assert.equal(answer['fresh'].result, 'bound')
    assert.deepEqual(answer['fresh'].levels, answer['levels'])
    const agent = answer['agents'].find((one: Seen) => one['agent_type'] === 'Open vSwitch agent')
    assert.deepEqual([agent.alive, agent.bridge_mappings], [true, { rack1: 'br-rack1' }])
    assert.ok(agent.heartbeat_age_seconds >= 0 && agent.heartbeat_age_seconds < 60)
    const { port: after } = answered(await server.admin.get(`ports/${port['id']}`), 200)
    assert.equal(after.revision_number, port['revision_number'] + 1)
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
  })

  test('a port that is not says why it was refused then, and what would be said now', async () => {
    const network = await networkWith(server)
    const port = await portOn(server, network, 'dead')
    const { last, fresh, levels } = await explain(port['id'])
    assert.deepEqual([last.result, levels, fresh.result], ['failed', [], 'failed'])
    const [first] = last.attempts
    assert.deepEqual(
      [first.level, first.driver, first.reason, first.segment.network_type],
      [0, 'openvswitch', 'agent_dead', 'vxlan'],
    )
    assert.ok(first.facts.heartbeat_age_seconds >= 86_000)
    assert.match(first.remedy, /Start the Open vSwitch agent on dead again/)
    assert.ok(last.attempts.every((one: Seen) => typeof one['remedy'] === 'string' && one['remedy'].endsWith('.')))
    await hostOn(server, 'dead', [])
    const now = await explain(port['id'])
    assert.deepEqual([now['last'].result, now['last'].at, now['fresh'].result], ['failed', last.at, 'bound'])
    await silence(server, 'dead')
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
  })

  test('a port that is bound nowhere, and one that stands on many hosts', async () => {
    const network = await networkWith(server)
    const none = await explain((await portOn(server, network, ''))['id'])
    assert.deepEqual([none['last'], none['fresh']], [{ at: null, host: '', result: 'unbound', attempts: [] }, null])
    const dhcp = await portOn(server, network, '', { device_owner: 'network:dhcp' })
    await server.database.query(
      `insert into realizations (host, kind, id, generation, state, repaired, at)
        values ('plain', 'network', $1, 1000, 'done', false, now()), ('below', 'network', $1, 0, 'done', false, now())`,
      [network['id']],
    )
    const { hosts, vif_type, last } = await explain(dhcp['id'])
    assert.deepEqual([vif_type, last.result], ['distributed', 'distributed'])
    assert.deepEqual(
      hosts.map(({ host, status, generation }: Seen) => [host, status, generation]),
      [
        ['below', 'BUILD', 0],
        ['plain', 'ACTIVE', 1000],
      ],
    )
    assert.ok(hosts[0].reported_at)
  })

  test('is for administrators', async () => {
    const network = await networkWith(server, { shared: true })
    const member = server.as('tenant')
    const { port } = answered(await member.post('ports', { port: { network_id: network['id'] } }), 201)
    refused(await member.get(`ports/${port.id}/binding-explanation`), 'PolicyNotAuthorized')
    refused(
      await member.post('binding-simulations', { binding_simulation: { port_id: port.id } }),
      'PolicyNotAuthorized',
    )
    refused(await server.admin.get(`ports/${randomUUID()}/binding-explanation`), 'PortNotFound')
  })

  test('every reason that the contract documents has a remedy, a sentence for any facts', () => {
    const contract = readFileSync(new URL('../../src/core/contracts.ts', import.meta.url), 'utf8')
    const union = /export type RefusalReason =([^\n]*\n(?:  \|.*\n)+)/.exec(contract)?.[1] ?? ''
    const reasons = [...union.matchAll(/'(\w+)'/g)].map(([, name]) => name as string)
    assert.ok(reasons.length > 10)
    assert.deepEqual([...documented].sort(), reasons.toSorted())
    const segment = { id: null, network_type: 'vlan', physical_network: 'p', segmentation_id: null }
    for (const reason of [...reasons, 'of_its_own']) {
      const attempt = { level: 0, driver: 'd', segment, result: 'refused', reason, facts: {} } as const
      assert.match(remedyOf(attempt, 'h') ?? '', /^\S.*\.$/)
      assert.equal(remedyOf({ ...attempt, remedy: 'Mine.' }, 'h'), 'Mine.')
    }
  })
})

describe('on the command line', () => {
  test('a tree of answers, with what to do; the exit code says it too', async () => {
    await using own = await testServer({ identity: 'builtin' })
    const login = {
      OS_AUTH_URL: `${own.url}/identity/v3`,
      OS_USERNAME: 'admin',
      OS_PASSWORD: (own.identity as Builtin).adminPassword() ?? '',
      OS_PROJECT_NAME: 'admin',
    }
    const text: string[] = []
    const out = { ...createOutput({}, false), line: (line = '') => void text.push(line) }
    const run = (...args: string[]): Promise<number> => {
      text.length = 0
      return Promise.resolve(explainCommand.run(['binding', ...args], { env: login, root: '/', out }))
    }
    const api = createApi(login)
    const { network } = (await api.call('POST', 'networks', { network: {} })) as { network: Seen }
    await hostOn(own, 'h1', [])
    await api.call('POST', 'ports', { port: { network_id: network['id'], name: 'web', 'binding:host_id': 'h9' } })
    assert.equal(await run('web'), 1)
    assert.match(text[0] ?? '', /^port web \(normal\) on h9: binding_failed, DOWN$/)
    assert.ok(
      text.some((line) => /^ {2}✗ level 0 {2}openvswitch on vxlan \d+: agent_absent$/.test(line)),
      text.join('\n'),
    )
    assert.ok(text.some((line) => /→ Start the Open vSwitch agent on h9/.test(line)))
    assert.ok(text.includes('Trying now would end the same way.'))
    assert.match(text.at(-1) ?? '', /^First of all: Start the Open vSwitch agent on h9, or correct/)
    assert.equal(await run('web', '--format', 'json'), 1)
    assert.equal(JSON.parse(text.join('\n')).binding_explanation.vif_type, 'binding_failed')
    await assert.rejects(run('web', '--format', 'yaml'), /There is no format yaml/)
    assert.equal(await run('web', '--host', 'h1', '--host', 'h2'), 0)
    assert.equal(text[0], 'port web can be bound on 1 of 2 hosts')
    assert.ok(text.includes('h1: ovs, choice 1') && text.includes('h2: binding_failed'))
    assert.equal(await run('web', '--host', 'h2', '--json'), 1)
    assert.equal(JSON.parse(text.join('\n')).binding_simulation.hosts[0].bindable, false)
    await assert.rejects(run('nobody'), /There is no port nobody\./)
    await assert.rejects(
      Promise.resolve(explainCommand.run([], { env: login, root: '/', out })),
      /What shall be explained/,
    )
  })
})

describe('what hosts have', () => {
  test('a port that nobody binds is an error there', async () => {
    const network = await networkWith(server)
    const port = await portOn(server, network, 'nowhere')
    const { realizations } = answered(await server.admin.get(`realizations?id=${port['id']}`), 200)
    assert.deepEqual(
      realizations.map(({ host, kind, state, generation }: Seen) => [host, kind, state, generation]),
      [['nowhere', 'port', 'error', port['revision_number']]],
    )
    assert.match(realizations[0].message, /^binding failed: openvswitch says agent_absent, /)
    answered(await server.admin.delete(`ports/${port['id']}`), 204)
    assert.deepEqual(answered(await server.admin.get(`realizations?id=${port['id']}`), 200).realizations, [])
  })
})

describe('where', () => {
  test('every host with an agent is answered for, the best first, and nothing is written', async () => {
    const network = await networkWith(server)
    const changes = async (): Promise<unknown> =>
      (await server.database.query('select count(*) as n from change'))[0]?.['n']
    const before = await changes()
    const hosts = await simulate({ port: { network_id: network['id'] } })
    assert.deepEqual(
      hosts.map(({ host, bindable, rank, vif_type }) => [host, bindable, rank, vif_type]),
      [
        ['plain', true, 1, 'ovs'],
        ['below', true, 2, 'ovs'],
        ['dead', false, null, 'binding_failed'],
        ['elsewhere', false, null, 'binding_failed'],
      ],
    )
    // The VLAN is still to be made.
    assert.deepEqual(hosts[1]?.['levels'][1]?.segment, {
      id: null,
      network_type: 'vlan',
      physical_network: 'rack1',
      segmentation_id: null,
    })
    assert.ok(hosts[2]?.['attempts'][0]?.remedy)
    assert.deepEqual(await dynamicSegments(server, network), [])
    assert.equal(await changes(), before)
  })

  test('the number of statements does not follow the number of hosts', async () => {
    const network = await networkWith(server)
    const count = async (hosts: readonly string[]): Promise<number> => {
      texts.length = 0
      await simulate({ port: { network_id: network['id'] }, hosts })
      return texts.length
    }
    const some = await count(['below'])
    assert.equal(
      await count(['below', 'plain', 'dead', ...Array.from({ length: 500 }, (_, index) => `x${index}`)]),
      some,
    )
  })

  test('what is asked must make sense', async () => {
    const network = await networkWith(server)
    const ask = (values: object) => server.admin.post('binding-simulations', { binding_simulation: values })
    refused(await ask({}), 'HTTPBadRequest')
    refused(await ask({ port_id: randomUUID(), port: { network_id: network['id'] } }), 'HTTPBadRequest')
    refused(await ask({ port_id: randomUUID() }), 'PortNotFound')
    refused(await ask({ port: { network_id: randomUUID() } }), 'NetworkNotFound')
    refused(await ask({ port: { 'binding:vnic_type': 'normal' } }), 'HTTPBadRequest')
    refused(await ask({ port: { network_id: network['id'], 'binding:vnic_type': 'odd' } }), 'HTTPBadRequest')
    refused(
      await ask({ port: { network_id: network['id'], fixed_ips: [{ subnet_id: randomUUID() }] } }),
      'SubnetNotFound',
    )
    refused(await server.admin.post('binding-simulations', {}), 'HTTPBadRequest')
    refused(await ask({ port: { network_id: network['id'] }, hosts: 'h1' }), 'HTTPBadRequest')
  })
})
