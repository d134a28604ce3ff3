/** `deuteron db verify`: says nothing of what is well, names what is spoiled, and puts it right. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { keptByModel } from '#cli/db-verify.ts'
import { rebindOnRequest } from '#core/binding/retry.ts'
import type { BindingChange } from '#core/contracts.ts'
import { silentLogger } from '#kernel/log.ts'
import { startFollowers } from '#outbox/follow.ts'
import { inTransaction } from '#store/transaction.ts'
import { findProblems, holdStill } from '#store/verify.ts'
import { hostReports } from '../lib/agents.ts'
import { easyDriver, networkWith, portOn, reasonsOf } from '../lib/binding.ts'
import { until } from '../lib/cloud.ts'
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
    `insert into quota_usage values ('ghost', 'router', 2) on conflict (project_id, resource, part) do update set used = 2`,
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
  [
    'a segment that nobody stands on',
    `insert into network_segments (id, network_id, network_type, physical_network, segmentation_id, segment_index, is_dynamic)
      select gen_random_uuid(), id, 'gre', null, 77, 9, true from networks limit 1`,
    /was made for bindings, and none stands on it/,
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

interface Logged {
  readonly kind: string
  readonly op: string
  readonly id: string
  readonly actor: string
  readonly request_id: string
  readonly before: Record<string, unknown>
  readonly after: Record<string, unknown> | null
}

describe('objects that are put right', () => {
  const mark = async (): Promise<string> =>
    String(
      (await server.database.query('/* once */ select coalesce(max(seq), 0)::text as seq from change'))[0]?.['seq'],
    )
  const since = (seq: string): Promise<Logged[]> =>
    server.database.query<Logged & Record<string, unknown>>(
      '/* once */ select kind, op, id, actor, request_id, before, after from change where seq > $1::bigint order by seq',
      [seq],
    )

  test('a binding that waits where its port is goes, and those who read the change log hear of both', async () => {
    await hostReports(server, 'h1')
    await hostReports(server, 'h2')
    const network = await owner.make('network', {})
    const port = await server.admin.make('port', {
      network_id: network['id'],
      device_owner: 'compute:nova',
      device_id: 'a server',
      'binding:host_id': 'h1',
    })
    answered(await server.admin.post(`ports/${port['id']}/bindings`, { binding: { host: 'h2' } }), 201)
    await server.database.query("update port_bindings set host = 'h1' where port_id = $1", [port['id']])
    const before = answered(await server.admin.get(`ports/${port['id']}`), 200).port
    const told: BindingChange[] = []
    const follow = async (change: BindingChange): Promise<void> => void told.push(change)
    const driver = { ...easyDriver('hears'), follow }
    const options = { database: server.database, drivers: [driver], hint: () => sleep(20), log: silentLogger }
    const followers = startFollowers(options)
    while ((await server.database.query("select 1 from outbox_readers where name = 'driver hears'")).length === 0)
      await sleep(10)
    const seq = await mark()
    assert.match((await problems(true)).join('\n'), /is bound to h1, and a binding to that host waits as well/)
    const rows = await since(seq)
    assert.deepEqual(
      rows.map(({ kind, op, actor, request_id }) => [kind, op, actor, request_id]),
      [
        ['port_binding', 'delete', 'deuteron', 'db verify'],
        ['port', 'update', 'deuteron', 'db verify'],
      ],
    )
    const [gone, revised] = rows
    assert.deepEqual([gone?.before['host'], gone?.after, revised?.id], ['h1', null, port['id']])
    assert.deepEqual(
      [revised?.before['binding:inactive_hosts'], revised?.after?.['binding:inactive_hosts']],
      [['h1'], []],
    )
    const seen = answered(await server.admin.get(`ports/${port['id']}`), 200).port
    assert.equal(seen.revision_number, before.revision_number + 1)
    assert.equal(revised?.after?.['revision_number'], seen.revision_number)
    for (let waited = 0; told.length < 2 && waited < 5000; waited += 20) await sleep(20)
    await followers.close()
    assert.deepEqual(
      told.map(({ kind, op }) => `${kind} ${op}`),
      ['port_binding delete', 'port update'],
    )
  })

  test('bindings whose segment is gone: the port fails with the reason and is bound anew, what waits is unbound', async () => {
    for (const host of ['h1', 'h2']) await hostReports(server, host)
    const network = await networkWith(server)
    const { id } = await portOn(server, network, 'h1', { device_owner: 'compute:nova', device_id: 'a server' })
    answered(await server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h2' } }), 201)
    const gone = randomUUID()
    const lost = (levels: string): string => `${levels} = jsonb_set(${levels}, '{0,segment_id}', to_jsonb($2::text))`
    await server.database.query(`update ports set ${lost('binding_levels')} where id = $1`, [id, gone])
    await server.database.query(`update port_bindings set ${lost('levels')} where port_id = $1`, [id, gone])
    const said = [
      `a binding of port ${id} to h2 waits on segment ${gone}, which is not there`,
      `port ${id} is bound to h1 on segment ${gone}, which is not there`,
    ]
    assert.deepEqual((await problems()).toSorted(), said)
    const seq = await mark()
    assert.deepEqual((await problems(true)).toSorted(), said)
    assert.deepEqual(await problems(), [])
    const rows = await since(seq)
    assert.deepEqual(rows.map(({ kind, op }) => `${kind} ${op}`).toSorted(), [
      'port update',
      'port update',
      'port_binding update',
    ])
    const waiting = rows.find(({ kind }) => kind === 'port_binding')
    assert.deepEqual([waiting?.after?.['vif_type'], waiting?.after?.['levels']], ['unbound', []])
    const port = answered(await server.admin.get(`ports/${id}`), 200).port
    assert.deepEqual([port['binding:vif_type'], port.status], ['binding_failed', 'DOWN'])
    const { last } = answered(await server.admin.get(`ports/${id}/binding-explanation`), 200).binding_explanation
    assert.deepEqual(reasonsOf(last.attempts), ['0 openvswitch: segment_gone'])
    const bound = async (): Promise<boolean> => {
      await rebindOnRequest(server.core, silentLogger)
      return answered(await server.admin.get(`ports/${id}`), 200).port['binding:vif_type'] === 'ovs'
    }
    await until('it is bound anew', bound, 5000)
    answered(await server.admin.put(`ports/${id}/bindings/h2/activate`), 200)
    assert.deepEqual(await problems(), [])
  })

  test('lists, policies and segments too are written as any client’s write', async () => {
    const spoil = [
      'a list without its policy',
      'a policy of what is gone',
      'a segment that nobody stands on',
      'a subnet apart from its network',
    ]
    for (const [what, sql] of SPOILED) if (spoil.includes(what)) await server.database.query(`/* once */ ${sql}`)
    const seq = await mark()
    await problems(true)
    const kinds = new Set((await since(seq)).map(({ kind, op }) => `${kind} ${op}`))
    for (const one of ['network update', 'subnet update', 'rbac_policy delete', 'segment delete'])
      assert.ok(kinds.has(one), [...kinds].join())
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
    `/* once */ insert into quota_usage values ('p1', 'port', 99) on conflict (project_id, resource, part)
      do update set used = quota_usage.used + 99`,
  )
  const told = await run()
  assert.equal(told.code, 1)
  assert.match(told.out, /^project p1 is counted to have \d+ × port and has \d+\n1 difference; /)
  const repaired = await run('--repair')
  assert.equal(repaired.code, 0)
  assert.match(repaired.out, /\n1 difference, 1 repaired\n$/)
  assert.equal((await run()).code, 0)
})
