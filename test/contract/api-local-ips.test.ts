/** Local IPs, and the ports that answer to them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inside, type Item, portsOf } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client
let other: Client
let internal: Item

before(async () => {
  server = await testServer({ settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1 } })
  admin = server.admin
  owner = server.as('p1')
  other = server.as('p2')
  internal = await inside(owner, '10.0.0.0/24')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const local = (values: Item, by: Client = owner): Promise<Reply> => by.post('local_ips', { local_ip: values })
const made = async (values: Item = { network_id: internal['id'] }): Promise<Item> =>
  answered(await local(values), 201).local_ip
const portInside = (values: Item = {}): Promise<Item> => owner.make('port', { network_id: internal['id'], ...values })
const path = (one: Item, id = ''): string => `local_ips/${one['id']}/port_associations${id && `/${id}`}`
const associate = (one: Item, port: Item, values: Item = {}, by: Client = owner): Promise<Reply> =>
  by.post(path(one), { port_association: { fixed_port_id: port['id'], ...values } })
const several = (): Promise<Item> => {
  const subnet_id = internal['subnet'].id
  return portInside({ fixed_ips: [{ subnet_id }, { subnet_id }] })
}

describe('a local IP', () => {
  test('has a port of its own, which goes with it', async () => {
    const one = await made({ network_id: internal['id'], name: 'n', description: 'd', local_ip_address: '10.0.0.77' })
    assert.deepEqual(
      [one['name'], one['description'], one['local_ip_address'], one['ip_mode'], one['network_id'], one['project_id']],
      ['n', 'd', '10.0.0.77', 'translate', internal['id'], 'p1'],
    )
    const [port] = await portsOf(admin, one['id'])
    assert.deepEqual(
      [port?.['id'], port?.['device_owner'], port?.['status'], port?.['project_id']],
      [one['local_port_id'], 'network:local_ip', 'N/A', 'p1'],
    )
    refused(await owner.delete(`ports/${port?.['id']}`), 'ServicePortInUse', /still referenced by Local IPs/)
    const put = await owner.put(`local_ips/${one['id']}`, { local_ip: { name: 'm' } })
    assert.equal(answered(put, 200).local_ip.name, 'm')
    refused(await other.get(`local_ips/${one['id']}`), 'LocalIPNotFound')
    assert.deepEqual(answered(await owner.get('local_ips?local_ip_address=10.0.0.77'), 200).local_ips.length, 1)
    answered(await owner.delete(`local_ips/${one['id']}`), 204)
    assert.deepEqual(await portsOf(admin, one['id']), [])
  })

  test('or one that is there, which stays', async () => {
    const port = await portInside()
    const one = await made({ local_port_id: port['id'], ip_mode: 'passthrough' })
    assert.deepEqual(
      [one['local_ip_address'], one['network_id'], one['ip_mode']],
      [port['fixed_ips'][0].ip_address, internal['id'], 'passthrough'],
    )
    refused(await owner.delete(`ports/${port['id']}`), 'ServicePortInUse')
    answered(await owner.delete(`local_ips/${one['id']}`), 204)
    answered(await owner.delete(`ports/${port['id']}`), 204)
  })

  test('is of one address', async () => {
    const [none, many] = [await portInside({ fixed_ips: [] }), await several()]
    refused(await local({}), 'LocalIPPortOrNetworkRequired')
    refused(await local({ local_port_id: none['id'] }), 'LocalIPNoIP')
    refused(await local({ local_port_id: many['id'] }), 'LocalIPNoRequestedIP')
    const wrong = { local_port_id: many['id'], local_ip_address: '10.0.0.222' }
    refused(await local(wrong), 'LocalIPRequestedIPNotFound')
    const right = await made({ ...wrong, local_ip_address: many['fixed_ips'][1].ip_address })
    assert.equal(right['local_ip_address'], many['fixed_ips'][1].ip_address)
    refused(await local({ local_port_id: many['id'] }, other), 'BadRequest', /Port .* not found/)
    refused(await local({ network_id: internal['id'] }, other), 'NetworkNotFound')
    const six = await inside(owner, '2001:db8::/64')
    refused(await local({ network_id: six['id'] }), 'BadRequest', /does not contain any IPv4 subnet/)
    refused(await local({ network_id: internal['id'], local_ip_address: '10.1.0.1' }), 'InvalidIpForNetwork')
  })
})

describe('an association', () => {
  test('is named by its port', async () => {
    const [one, port] = [await made(), await portInside()]
    const bound = answered(await associate(one, port), 201).port_association
    assert.deepEqual(bound, {
      local_ip_id: one['id'],
      local_ip_address: one['local_ip_address'],
      fixed_port_id: port['id'],
      fixed_ip: port['fixed_ips'][0].ip_address,
      host: '',
    })
    answered(await admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': 'h1' } }), 200)
    const shown = answered(await owner.get(path(one, port['id'])), 200).port_association
    assert.deepEqual(shown, { ...bound, host: 'h1' })
    assert.deepEqual(answered(await owner.get(`${path(one)}?host=h1`), 200).port_associations, [shown])
    assert.deepEqual(answered(await owner.get(`${path(one)}?fixed_port_id=${one['id']}`), 200).port_associations, [])
    refused(await owner.delete(`local_ips/${one['id']}`), 'LocalIPInUse')
    refused(await other.get(path(one)), 'LocalIPNotFound')
    refused(await associate(one, port, {}, other), 'LocalIPNotFound')
    answered(await owner.delete(path(one, port['id'])), 204)
    refused(await owner.get(path(one, port['id'])), 'LocalIPAssociationNotFound')
    answered(await owner.delete(`local_ips/${one['id']}`), 204)
  })

  test('is with one address of a port, once', async () => {
    const [one, port, many] = [await made(), await portInside(), await several()]
    const same = await Promise.all([associate(one, port), associate(one, port), associate(one, port)])
    assert.deepEqual(same.map((reply) => reply.status).sort(), [201, 409, 409])
    refused(await associate(one, port), 'NeutronDbObjectDuplicateEntry')
    refused(await associate(one, many), 'LocalIPNoRequestedIP')
    refused(await associate(one, many, { fixed_ip: '10.0.0.222' }), 'LocalIPRequestedIPNotFound')
    const fixed_ip = many['fixed_ips'][0].ip_address
    assert.equal(answered(await associate(one, many, { fixed_ip }), 201).port_association.fixed_ip, fixed_ip)
    const unknown = await associate(one, { id: one['id'] })
    refused(unknown, 'BadRequest', /Port .* not found/)
  })

  test('is found page by page, each page behind the port before', async () => {
    const one = await made()
    const ports = await Promise.all([1, 2, 3, 4, 5].map(() => portInside()))
    for (const port of ports) answered(await associate(one, port), 201)
    const seen: string[] = []
    for (let next: string | undefined = `${path(one)}?limit=2&fields=fixed_port_id&sort_key=fixed_ip`; next; ) {
      const page = answered(await owner.get(next), 200)
      seen.push(...page.port_associations.map((each: Item) => each['fixed_port_id']))
      const link = page.port_associations_links.find(({ rel }: Item) => rel === 'next')
      next = link && new URL(link.href).pathname.replace('/v2.0/', '') + new URL(link.href).search
    }
    const ordered = answered(await owner.get(`${path(one)}?sort_key=fixed_ip`), 200).port_associations
    assert.deepEqual(
      seen,
      ordered.map((each: Item) => each['fixed_port_id']),
    )
    assert.equal(seen.length, 5)
    for (const marker of ['', 'x', one['id']])
      refused(await owner.get(`${path(one)}?limit=2&marker=${marker}`), 'LocalIPAssociationNotFound')
  })

  test('goes with its address', async () => {
    const [one, port, many] = [await made(), await portInside(), await several()]
    const [first, second] = many['fixed_ips']
    answered(await associate(one, port), 201)
    answered(await associate(one, many, { fixed_ip: first.ip_address }), 201)
    answered(await owner.put(`ports/${many['id']}`, { port: { fixed_ips: [first] } }), 200)
    answered(await owner.get(path(one, many['id'])), 200)
    answered(await owner.put(`ports/${many['id']}`, { port: { fixed_ips: [second] } }), 200)
    refused(await owner.get(path(one, many['id'])), 'LocalIPAssociationNotFound')
    answered(await owner.delete(`ports/${port['id']}`), 204)
    assert.deepEqual(answered(await owner.get(path(one)), 200).port_associations, [])
  })

  test('and the end of its local IP do not miss each other', async () => {
    for (let round = 0; round < 5; round++) {
      const [one, port] = [await made(), await portInside()]
      const [bound, gone] = await Promise.all([associate(one, port), owner.delete(`local_ips/${one['id']}`)])
      assert.ok(
        (bound.status === 201 && gone.status === 409) || (bound.status === 404 && gone.status === 204),
        `${bound.status} ${gone.status}`,
      )
    }
  })
})
