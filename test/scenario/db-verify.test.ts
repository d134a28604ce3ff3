/** `deuteron db verify`: says nothing of what is well, names what is spoiled, and puts it right. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { keptByModel } from '#cli/db-verify.ts'
import { inTransaction } from '#store/transaction.ts'
import { findProblems, holdStill } from '#store/verify.ts'
import { answered } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let owner: Client
const kept = keptByModel()

const problems = (repair = false): Promise<string[]> =>
  inTransaction(server.database, async (tx) => {
    if (repair) await holdStill(tx, kept)
    return { value: (await findProblems(tx, kept, repair)).map((one) => one.says) }
  })

before(async () => {
  server = await testServer({ settings: { quotaPort: -1 } })
  owner = server.as('p1')
  const network = await server.admin.make('network', { project_id: 'p1', shared: true, 'router:external': true })
  await owner.make('subnet', { network_id: network['id'], cidr: '10.0.0.0/24', ip_version: 4 })
  await owner.make('subnet', { network_id: network['id'], cidr: '2001:db8::/64', ip_version: 6 })
  const pool = await owner.make('subnetpool', { name: 'pool', prefixes: ['10.9.0.0/16'], default_prefixlen: 24 })
  const pooled = await owner.make('network', {})
  await owner.make('subnet', { network_id: pooled['id'], subnetpool_id: pool['id'], ip_version: 4 })
  const port = { network_id: network['id'] }
  answered(await owner.post('ports', { ports: Array.from({ length: 20 }, () => port) }), 201)
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

describe('what is well', () => {
  test('is not told, and stays so while others write', async () => {
    assert.deepEqual(await problems(), [])
    const network = await owner.make('network', {})
    await owner.make('subnet', { network_id: network['id'], cidr: '10.1.0.0/24', ip_version: 4 })
    const writer = async (): Promise<void> => {
      for (let n = 0; n < 8; n++) {
        const port = await owner.make('port', { network_id: network['id'] })
        if (n % 2 === 0) answered(await owner.delete(`ports/${port['id']}`), 204)
      }
    }
    const reader = async (): Promise<void> => {
      const client = await server.database.pool.connect()
      try {
        for (let n = 0; n < 6; n++) {
          await client.query('begin isolation level repeatable read read only')
          const tx = {
            query: async (text: string, params: readonly unknown[] = []) =>
              (await client.query(text, [...params])).rows as never,
          }
          assert.deepEqual(
            (await findProblems(tx, kept, false)).map((one) => one.says),
            [],
          )
          await client.query('commit')
        }
      } finally {
        client.release()
      }
    }
    await Promise.all([writer(), writer(), reader()])
    assert.deepEqual(await problems(true), [])
  })
})

/** What spoils the database, and what is said of it. */
const SPOILED: readonly [string, string, RegExp][] = [
  [
    'a counter too high',
    `update quota_usage set used = used + 3 where resource = 'port'`,
    /is counted to have \d+ × port/,
  ],
  ['a counter lost', `delete from quota_usage where resource = 'subnet'`, /0 × subnet and has/],
  [
    'a counter of what is not',
    `insert into quota_usage values ('ghost', 'router', 2) on conflict (project_id, resource) do update set used = 2`,
    /ghost.* 2 × router and has 0/,
  ],
  [
    'an address shown and not held',
    `delete from ip_allocations where ctid = (select ctid from ip_allocations where from_pool and family(ip_address) = 4 limit 1)`,
    /shows 10\.\S+ of subnet \S+ and does not hold it/,
  ],
  [
    'an address held and not shown',
    `insert into ip_allocations (subnet_id, ip_address, port_id, from_pool) select subnet_id, '10.0.0.250', port_id, false
      from ip_allocations where ip_address << '10.0.0.0/24' limit 1`,
    /holds \S+ of subnet \S+ and does not show it/,
  ],
  [
    'an address free and held',
    `insert into free_ranges (pool, first, last) select 'subnet:' || subnet_id, n, n from
     (select subnet_id, ip_address - '0.0.0.0' as n from ip_allocations where family(ip_address) = 4 limit 1) x`,
    /free is/,
  ],
  [
    'free addresses lost',
    `delete from free_ranges where ctid = (select ctid from free_ranges where pool like 'subnet:%' limit 1)`,
    /free is/,
  ],
  [
    'free addresses of no subnet',
    `insert into free_ranges (pool, first, last) values ('subnet:gone', 1, 2)`,
    /no subnet/,
  ],
  [
    'an address marked wrongly',
    `update ip_allocations set from_pool = not from_pool
     where ctid = (select ctid from ip_allocations limit 1)`,
    /is marked as not of its pools/,
  ],
  [
    'a segmentation id free and held',
    `insert into free_ranges (pool, first, last)
     select network_type, segmentation_id, segmentation_id from network_segments limit 1`,
    /^vxlan: free is/,
  ],
  [
    'segmentation ids lost',
    `delete from free_ranges where ctid = (select ctid from free_ranges where pool = 'vxlan' limit 1)`,
    /^vxlan: free is/,
  ],
  [
    'a block of a subnet pool lost',
    `delete from subnetpool_free_blocks where ctid = (select ctid from subnetpool_free_blocks limit 1)`,
    /^subnet pool \S+: of 65536 addresses \d+ are free and 256 are taken/,
  ],
  [
    'a block free and taken',
    `insert into subnetpool_free_blocks select subnetpool_id, cidr from subnets where subnetpool_id is not null limit 1`,
    /^subnet pool \S+: 10\.9\.\S+ is free, and a subnet has of it/,
  ],
  [
    'a link to a group lost',
    `delete from port_security_groups where ctid = (select ctid from port_security_groups limit 1)`,
    /linked to other/,
  ],
  [
    'a list without its policy',
    `update networks set shared_with = '{*,p9}' where shared_with = '{*}'`,
    /shared_with is \[\*, p9\], its policies say \[\*\]/,
  ],
  [
    'an outside nobody granted',
    `update networks set external_with = '{}'`,
    /external_with is \[\], its policies say \[\*\]/,
  ],
  [
    'a policy of what is gone',
    `insert into rbac_policies values (gen_random_uuid(), 'p1', 'network', gen_random_uuid(), 'access_as_shared', 'p2', 1)`,
    /which is not there/,
  ],
  ['a subnet apart from its network', `update subnets set shared_with = '{p7}'`, /shared with others than its network/],
]

describe('what is spoiled', () => {
  for (const [what, sql, said] of SPOILED) {
    test(what, async () => {
      await server.database.query(`/* once */ ${sql}`)
      const found = await problems()
      assert.ok(
        found.some((one) => said.test(one)),
        found.join('\n'),
      )
      assert.ok((await problems(true)).length > 0)
      assert.deepEqual(await problems(), [])
    })
  }
  test('all of it at once', async () => {
    for (const [, sql] of SPOILED) await server.database.query(`/* once */ ${sql}`)
    await problems(true)
    assert.deepEqual(await problems(), [])
  })
})

test('the command: exit code 1 while something differs', { timeout: 60_000 }, async () => {
  const root = join(import.meta.dirname, '../..')
  const run = (...options: string[]): Promise<{ readonly code: number; readonly out: string }> =>
    new Promise((resolve) => {
      const args = ['db', 'verify', '--database', server.databaseUrl, ...options]
      execFile('./deuteron', args, { cwd: root }, (error, out) => resolve({ code: Number(error?.code ?? 0), out }))
    })
  assert.match((await run()).out, /^all is well: /)
  await server.database.query(
    `/* once */ update quota_usage set used = 99 where project_id = 'p1' and resource = 'port'`,
  )
  const told = await run()
  assert.equal(told.code, 1)
  assert.match(told.out, /^project p1 is counted to have 99 × port and has \d+\n1 difference; /)
  const repaired = await run('--repair')
  assert.equal(repaired.code, 0)
  assert.match(repaired.out, /\n1 difference, 1 repaired\n$/)
  assert.equal((await run()).code, 0)
})
