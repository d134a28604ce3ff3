/** The one order of a write: who is refused, what a dry run leaves behind, and what a condition on the revision is worth. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { direct, type Direct, outcomes } from '../../test/lib/direct.ts'
import { testServer, type TestServer } from '../../test/lib/server.ts'
import { verify } from '../../test/lib/verify.ts'
import { readWhole } from '../../test/lib/verify-log.ts'

let server: TestServer
let admin: Direct
before(async () => {
  server = await testServer()
  admin = direct(server.core)
})
after(() => server?.close())

const dump = async (): Promise<unknown> =>
  server.database.query(
    `/* once */ select (select json_agg(x order by x::text) from (select networks, subnets from networks left join subnets on network_id = networks.id) x) as objects,
      (select json_agg(p order by p.id) from ports p) as ports, (select json_agg(q order by q::text) from quota_usage q) as quota,
      (select count(*) from change) as changes, (select sum(last - first + 1) from free_ranges) as free`,
  )

test('what is created, shown and logged is the same object', async () => {
  const { id: network_id } = await admin.make('network', { name: 'n' })
  await admin.make('subnet', { network_id, cidr: '10.0.0.0/24', ip_version: 4 })
  const port = await admin.make('port', { network_id })
  assert.deepEqual(await admin.show('port', port['id']), port)
  const renamed = await admin.update('port', port['id'], { name: 'x' })
  assert.deepEqual(renamed, {
    ...port,
    name: 'x',
    revision_number: port['revision_number'] + 1,
    updated_at: renamed['updated_at'],
  })
  const logged = (await readWhole(server.database)).filter((row) => row.id === port['id']).at(-1)
  for (const [name, value] of Object.entries(renamed))
    if (name !== 'tenant_id') assert.deepEqual(logged?.after?.[name], value, name)
})

test('a write that fails while COMMIT is under way is refused for its own reason, and nothing of it stays', async () => {
  const { id: network_id } = await admin.make('network', {})
  const subnet = await admin.make('subnet', { network_id, cidr: '10.4.0.0/24', ip_version: 4 })
  const [one, other] = [await admin.make('port', { network_id }), await admin.make('port', { network_id })]
  const stored = await dump()
  // Nothing is counted with the first: no statement stands between the write and COMMIT.
  for (const attempt of [
    admin.update('port', other['id'], { mac_address: one['mac_address'] }),
    admin.make('port', { network_id, mac_address: one['mac_address'] }),
  ])
    assert.deepEqual((await outcomes([attempt])).errors, { MacAddressInUse: 1 })
  const named = { fixed_ips: [{ subnet_id: subnet['id'], ip_address: one['fixed_ips'][0].ip_address }] }
  const taken = await outcomes([admin.make('port', { network_id, ...named })])
  assert.deepEqual(taken.errors, { IpAddressAlreadyAllocated: 1 })
  assert.deepEqual(await dump(), stored)
  assert.deepEqual(await verify(server.core), [])
})

test('a dry run answers what would happen, and nothing happens', async () => {
  const { id: network_id } = await admin.make('network', {})
  const subnet = await admin.make('subnet', { network_id, cidr: '10.1.0.0/24', ip_version: 4 })
  const port = await admin.make('port', { network_id })
  const stored = await dump()
  const created = await server.admin.post('ports?dry_run=true', { port: { network_id } })
  assert.equal(created.status, 200)
  assert.ok(
    created.body.dry_run.changes.some(
      (one: { op: string; resource: string }) => one.op === 'create' && one.resource === 'port',
    ),
  )
  const renamed = await server.admin.put(`subnets/${subnet['id']}?dry_run=true`, { subnet: { name: 'x' } })
  assert.equal(renamed.body.subnet.name, 'x')
  await server.admin.delete(`ports/${port['id']}?dry_run=true`)
  assert.equal((await server.admin.delete(`networks/${network_id}?dry_run=true`)).status, 409)
  assert.deepEqual(await dump(), stored)
  await admin.remove('port', port['id'])
  const removed = await server.admin.delete(`networks/${network_id}?dry_run=true`)
  const kinds = removed.body.dry_run.changes.map((one: { op: string; resource: string }) => `${one.op} ${one.resource}`)
  assert.ok(
    ['delete port', 'delete subnet', 'delete network'].every((one) => kinds.includes(one)),
    String(kinds),
  )
})

test('of many changes that name one revision, one is made', async () => {
  const { id, revision_number } = await admin.make('network', {})
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      server.admin.put(
        `networks/${id}`,
        { network: { name: `n${index}` } },
        { 'if-match': `revision_number=${revision_number}` },
      ),
    ),
  )
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  assert.equal(replies.filter(({ status }) => status === 412).length, 19)
  assert.equal((await admin.show('network', id))['revision_number'], revision_number + 1)
})

test('every change of one object counts, however many come at once', async () => {
  const { id, revision_number } = await admin.make('network', {})
  await Promise.all(Array.from({ length: 30 }, (_, index) => admin.update('network', id, { name: `n${index}` })))
  assert.equal((await admin.show('network', id))['revision_number'], revision_number + 30)
})

test('a network goes while ports come: it is gone with all of them, or stays with each that was answered', async () => {
  for (let round = 0; round < 3; round++) {
    const { id: network_id } = await admin.make('network', {})
    await admin.make('subnet', { network_id, cidr: '10.2.0.0/24', ip_version: 4 })
    const [gone, made] = await Promise.all([
      outcomes([admin.remove('network', network_id)]),
      outcomes(Array.from({ length: 4 }, () => admin.make('port', { network_id }))),
    ])
    assert.ok(
      Object.keys(gone.errors).every((one) => one === 'NetworkInUse'),
      JSON.stringify(gone.errors),
    )
    assert.ok(
      Object.keys(made.errors).every((one) => one === 'NetworkNotFound'),
      JSON.stringify(made.errors),
    )
    assert.ok(gone.values.length === 0 || made.values.length === 0)
    assert.deepEqual(await verify(server.core), [])
  }
})

test('a subnet is added while its network is shared: it is shared as well', async () => {
  for (let round = 0; round < 6; round++) {
    const { id: network_id } = await admin.make('network', {})
    await Promise.all([
      admin.update('network', network_id, { shared: true }),
      ...[1, 2, 3].map((octet) => admin.make('subnet', { network_id, cidr: `10.3.${octet}.0/24`, ip_version: 4 })),
    ])
    const seen = await server.as('stranger').get(`subnets?network_id=${network_id}`)
    assert.equal(seen.body.subnets.length, 3)
  }
})
