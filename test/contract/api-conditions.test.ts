/** Writes under conditions: If-Match, Idempotency-Key, dry_run, all or nothing. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '#kernel/ids.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let member: Client
let projects = 0

before(async () => {
  server = await testServer()
  member = server.as('p1')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const newProject = (): Client => server.as(`project-${++projects}`)

describe('If-Match', () => {
  const held = (revision: unknown) => ({ 'if-match': `revision_number=${revision}` })

  test('the right revision is changed, another one is not', async () => {
    const { id } = await member.make('network', { name: 'a' })
    const changed = answered(await member.put(`networks/${id}`, { network: { name: 'b' } }, held(1)), 200).network
    assert.deepEqual([changed.name, changed.revision_number], ['b', 2])
    const late = await member.put(`networks/${id}`, { network: { name: 'c' } }, held(1))
    refused(late, 'RevisionNumberConstraintFailed', 'Constrained to 1, but current revision is 2')
    refused(await member.delete(`networks/${id}`, held(1)), 'RevisionNumberConstraintFailed')
    assert.equal(answered(await member.get(`networks/${id}`), 200).network.name, 'b')
    answered(await member.delete(`networks/${id}`, held(2)), 204)
  })
  test('of many who saw the same revision one succeeds', async () => {
    const { id } = await member.make('network', {})
    const tries = Array.from({ length: 12 }, (_, n) =>
      member.put(`networks/${id}`, { network: { name: `n${n}` } }, held(1)),
    )
    const statuses = (await Promise.all(tries)).map((one) => one.status).sort()
    assert.deepEqual(statuses, [200, ...Array<number>(11).fill(412)])
  })
  for (const value of [
    'x',
    'revision_number=',
    'revision_number=x',
    'revision_number=-1',
    '"1"',
    '*',
    'revision_number=1.5',
    '',
  ]) {
    test(`malformed: ${value}`, async () => {
      const { id } = await member.make('network', {})
      const reply = await member.put(`networks/${id}`, { network: { name: 'x' } }, { 'if-match': value })
      refused(reply, 'HTTPBadRequest', /If-Match/)
    })
  }
  test('a foreign object is not found, whatever the revision', async () => {
    const { id } = await member.make('network', {})
    refused(await server.as('p2').delete(`networks/${id}`, held(7)), 'NetworkNotFound')
  })
})

describe('revisions', () => {
  test('a write that changes nothing is no new revision', async () => {
    const { id } = await member.make('network', { name: 'same' })
    const again = answered(await member.put(`networks/${id}`, { network: { name: 'same' } }), 200).network
    assert.equal(again.revision_number, 1)
  })
  test('a subnet raises its network, a rule its group, a port nothing', async () => {
    const owner = newProject()
    const network = await owner.make('network', {})
    const revision = async (path: string): Promise<number> =>
      (Object.values(answered(await owner.get(path), 200))[0] as { revision_number: number }).revision_number
    const at = `networks/${network['id']}`
    const subnet = await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    const withSubnet = await revision(at)
    assert.equal(withSubnet, 2)
    await owner.make('port', { network_id: network['id'] })
    assert.equal(await revision(at), withSubnet)
    answered(await owner.put(`subnets/${subnet['id']}`, { subnet: { name: 'x' } }), 200)
    assert.equal(await revision(at), withSubnet + 1)
    const group = await owner.make('security_group', {})
    const before = await revision(`security-groups/${group['id']}`)
    await owner.make('security_group_rule', { security_group_id: group['id'], direction: 'ingress', protocol: 'tcp' })
    assert.equal(await revision(`security-groups/${group['id']}`), before + 1)
  })
})

describe('Idempotency-Key', () => {
  const key = (value: string) => ({ 'idempotency-key': value })
  const body = { network: { name: 'once' } }
  const count = async (client: Client): Promise<number> => answered(await client.get('networks'), 200).networks.length

  test('the same request again is the same answer, and no second object', async () => {
    const owner = newProject()
    const first = await owner.post('networks', body, key('k'))
    const second = await owner.post('networks', body, key('k'))
    answered(first, 201)
    assert.deepEqual([second.status, second.text], [201, first.text])
    assert.deepEqual(
      [first.headers['idempotency-replayed'], second.headers['idempotency-replayed']],
      [undefined, 'true'],
    )
    assert.equal(await count(owner), 1)
  })
  test('keys in another order are the same body', async () => {
    const owner = newProject()
    const send = (payload: string) => owner.send('POST', 'networks', payload, key('k'))
    const first = await send('{"network":{"name":"a","mtu":1400}}')
    assert.equal((await send('{ "network": {"mtu":1400, "name":"a"} }')).text, first.text)
  })
  test('another body under the same key is refused', async () => {
    const owner = newProject()
    answered(await owner.post('networks', body, key('k')), 201)
    refused(await owner.post('networks', { network: { name: 'other' } }, key('k')), 'IdempotencyKeyReused', /'k'/)
    refused(await owner.post('security-groups', { security_group: {} }, key('k')), 'IdempotencyKeyReused')
    assert.equal(await count(owner), 1)
  })
  test('keys are a project’s own', async () => {
    const [one, other] = [newProject(), newProject()]
    const [a, b] = [await one.post('networks', body, key('k')), await other.post('networks', body, key('k'))]
    assert.notEqual(answered(a, 201).network.id, answered(b, 201).network.id)
  })
  test('many at once with one key make one object', async () => {
    const owner = newProject()
    const replies = await Promise.all(Array.from({ length: 12 }, () => owner.post('networks', body, key('k'))))
    for (const reply of replies) answered(reply, 201)
    assert.equal(new Set(replies.map((one) => one.text)).size, 1)
    assert.equal(await count(owner), 1)
  })
  test('a request that failed keeps nothing: the key may be used again', async () => {
    const owner = newProject()
    refused(await owner.post('networks', { network: { mtu: 9999 } }, key('k')), 'InvalidInput')
    answered(await owner.post('networks', body, key('k')), 201)
  })
  test('the answer outlives its object', async () => {
    const owner = newProject()
    const first = await owner.post('networks', body, key('k'))
    answered(await owner.delete(`networks/${first.body.network.id}`), 204)
    assert.equal((await owner.post('networks', body, key('k'))).text, first.text)
    assert.equal(await count(owner), 0)
  })
  test('keys that are none', async () => {
    for (const value of ['', 'x'.repeat(256)])
      refused(await member.post('networks', body, key(value)), 'HTTPBadRequest', /Idempotency-Key/)
  })
  test('a bulk create is remembered whole', async () => {
    const owner = newProject()
    const bulk = { networks: [{ name: 'a' }, { name: 'b' }] }
    const first = await owner.post('networks', bulk, key('k'))
    assert.equal((await owner.post('networks', bulk, key('k'))).text, first.text)
    assert.equal(await count(owner), 2)
  })
})

describe('dry_run', () => {
  /** Everything stored, the log included. */
  const stored = async (): Promise<unknown> => {
    const tables = [
      'networks',
      'subnets',
      'ports',
      'security_groups',
      'security_group_rules',
      'ip_allocations',
      'free_ranges',
      'network_segments',
      'quota_usage',
      'idempotency_keys',
      'change',
    ]
    const texts = tables.map(
      (table) => `(select coalesce(md5(string_agg(x::text, ',' order by x::text)), '') from ${table} x) as ${table}`,
    )
    return (await server.database.query(`/* once */ select ${texts.join(', ')}`))[0]
  }
  const unchanged = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = await stored()
    const result = await work()
    assert.deepEqual(await stored(), before)
    return result
  }

  test('a create answers what would be made, address, groups and all, and makes nothing', async () => {
    const owner = newProject()
    const network = await owner.make('network', {})
    await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    const wish = { port: { network_id: network['id'], name: 'p' } }
    const plan = await unchanged(async () => answered(await owner.post('ports?dry_run=true', wish), 200))
    assert.match(plan.port.fixed_ips[0].ip_address, /^10\.0\.0\./)
    const kinds = plan.dry_run.changes.map(({ op, resource }: Record<string, string>) => `${op} ${resource}`).sort()
    assert.deepEqual(
      kinds.filter((one: string) => !/security_group/.test(one)),
      ['create port'],
    )
    assert.ok(kinds.includes('create security_group'), 'the default group would be made')
    assert.deepEqual(answered(await owner.get('ports?name=p'), 200).ports, [])
    answered(await owner.post('ports', wish), 201)
  })
  test('an update and a delete answer what would happen', async () => {
    const owner = newProject()
    const network = await owner.make('network', { name: 'a' })
    await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    const at = `networks/${network['id']}`
    const update = await unchanged(async () =>
      answered(await owner.put(`${at}?dry_run=True`, { network: { name: 'b' } }), 200),
    )
    assert.equal(update.network.name, 'b')
    const gone = await unchanged(async () => answered(await owner.delete(`${at}?dry_run=true`), 200))
    const kinds = gone.dry_run.changes.map(({ op, resource }: Record<string, string>) => `${op} ${resource}`)
    assert.deepEqual(kinds.filter((one: string) => one.startsWith('delete')).sort(), [
      'delete network',
      'delete port',
      'delete segment',
      'delete subnet',
    ])
    assert.equal(answered(await owner.get(at), 200).network.name, 'a')
  })
  test('it refuses what would be refused', async () => {
    const owner = newProject()
    const network = await owner.make('network', {})
    await owner.make('port', { network_id: network['id'] })
    await unchanged(async () => {
      refused(await owner.delete(`networks/${network['id']}?dry_run=true`), 'NetworkInUse')
      refused(await owner.post('networks?dry_run=true', { network: { mtu: 9999 } }), 'InvalidInput')
      refused(await owner.post('networks?dry_run=true', { network: { shared: true } }), 'PolicyNotAuthorized')
      refused(await owner.put(`networks/${network['id']}?dry_run=true`, { network: { x: 1 } }), 'HTTPBadRequest')
      const late = { 'if-match': 'revision_number=9' }
      refused(
        await owner.put(`networks/${network['id']}?dry_run=true`, { network: {} }, late),
        'RevisionNumberConstraintFailed',
      )
      refused(await owner.delete(`ports/${newId()}?dry_run=true`), 'PortNotFound')
    })
  })
  test('a full quota is named, and no quota is used', async () => {
    await using small = await testServer({ settings: { quotaNetwork: 1 } })
    const plan = () => small.admin.post('networks?dry_run=true', { network: {} })
    for (let n = 0; n < 3; n++) answered(await plan(), 200)
    await small.admin.make('network', {})
    refused(await plan(), 'OverQuota')
  })
  test('it does not use up an Idempotency-Key', async () => {
    const owner = newProject()
    const key = { 'idempotency-key': 'dry' }
    await unchanged(async () => answered(await owner.post('networks?dry_run=true', { network: {} }, key), 200))
    answered(await owner.post('networks', { network: {} }, key), 201)
  })
})

describe('all or nothing', () => {
  test('one bad object among many refuses them all', async () => {
    const owner = newProject()
    const network = await owner.make('network', {})
    await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
    const good = { network_id: network['id'] }
    const sets = [
      [good, { network_id: newId() }, 'NetworkNotFound'],
      [
        { ...good, fixed_ips: [{ ip_address: '10.0.0.9' }] },
        { ...good, fixed_ips: [{ ip_address: '10.0.0.9' }] },
        'IpAddressAlreadyAllocated',
      ],
      [good, { ...good, mac_address: 'x' }, 'HTTPBadRequest'],
      [good, { ...good, 'binding:host_id': 'h' }, 'PolicyNotAuthorized'],
    ] as const
    for (const [first, second, type] of sets) {
      refused(await owner.post('ports', { ports: [first, second] }), type)
      const left = answered(await owner.get('ports?device_owner='), 200).ports
      assert.deepEqual(left, [])
    }
    const made = answered(await owner.post('ports', { ports: [good, good, good] }), 201).ports
    assert.equal(new Set(made.map((one: any) => one.fixed_ips[0].ip_address)).size, 3)
  })
  test('objects of one bulk keep their order and see each other', async () => {
    const owner = newProject()
    const names = Array.from({ length: 20 }, (_, n) => ({ name: `n${n}` }))
    const made = answered(await owner.post('networks', { networks: names }), 201).networks
    assert.deepEqual(
      made.map((one: any) => one.name),
      names.map((one) => one.name),
    )
    const network = made[0].id
    const twice = ['10.0.0.0/24', '10.0.0.0/25'].map((cidr) => ({ network_id: network, cidr, ip_version: 4 }))
    refused(await owner.post('subnets', { subnets: twice }), 'InvalidInput', /overlaps/)
    const apart = ['10.0.0.0/24', '10.0.1.0/24'].map((cidr) => ({ network_id: network, cidr, ip_version: 4 }))
    assert.equal(answered(await owner.post('subnets', { subnets: apart }), 201).subnets.length, 2)
  })
  test('bulk updates do not exist', async () => {
    const { id } = await member.make('network', {})
    refused(await member.put(`networks/${id}`, { networks: [{ name: 'x' }] }), 'HTTPBadRequest')
  })
})
