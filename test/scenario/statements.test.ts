/**
 * How many statements an operation sends, in how many writes to the socket, and how many different ones there are: none
 * of it grows with what is stored.
 */
import assert from 'node:assert/strict'
import type { Writable } from 'node:stream'
import { after, before, test, type TestContext } from 'node:test'
import type { PoolClient } from 'pg'
import { preparedCount } from '#store/pool.ts'
import { direct, type Direct } from '../lib/direct.ts'
import { testServer, type TestServer } from '../lib/server.ts'

let server: TestServer
let admin: Direct
let sent: string[] = []
let writes = 0
before(async () => {
  server = await testServer({
    settings: { quotaPort: -1, quotaNetwork: -1, quotaSubnet: -1 },
    onStatement: (text) => void sent.push(text),
  })
  server.database.pool.on('acquire', countWrites)
  admin = direct(server.core)
})
after(() => server?.close())

const counted = new WeakSet<PoolClient>()

/** What leaves a connection together is one `_writev`. */
function countWrites(client: PoolClient): void {
  if (counted.has(client)) return
  counted.add(client)
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Writable } }).connection
  for (const name of ['_write', '_writev'] as const) {
    const write = stream[name]?.bind(stream) as (...args: unknown[]) => void
    stream[name] = (...args: unknown[]): void => {
      writes++
      write(...args)
    }
  }
}

/** Statements without BEGIN and COMMIT, which travel with others. */
async function counting<T>(work: () => Promise<T>): Promise<{ value: T; count: number; writes: number }> {
  sent = []
  writes = 0
  const value = await work()
  return { value, count: sent.filter((text) => text !== 'begin' && text !== 'commit').length, writes }
}

/** The most an operation may send, in the most writes: what it sends now, so that more is a decision and not an accident. */
const MOST: Readonly<Record<string, readonly [statements: number, writes: number]>> = {
  // One looks for the QoS policy that is its project's default.
  'create network': [5, 3],
  'update network': [3, 2],
  // With the RBAC policy that says so.
  'share network with a subnet': [8, 5],
  // With what goes with it: its RBAC policy (3), its segment (4); and looks for DHCP and BGP bindings, floating IPs and
  // whether it was allocated automatically.
  'delete network': [18, 12],
  // With its DHCP port, that port's address, its pool, and what the network says of it. What was asked ahead may be
  // answered in two parts: then the second write is two.
  'create subnet': [10, 3],
  'update subnet': [6, 3],
  // With its DHCP port, and a look for the network's other subnets.
  'delete subnet': [16, 6],
  'create port': [7, 3],
  'create port with a given address': [7, 3],
  'create 100 ports': [8, 4],
  'update port': [3, 2],
  'create 100 ports on one host': [9, 4],
  // One reads all that the binding depends on.
  'bind port': [4, 2],
  // One looks for all that stands on it: floating IPs, forwardings, proxies, logs, …
  'delete port': [6, 2],
  'show port': [1, 1],
  'list ports': [1, 1],
}

test('statements per operation', async (t: TestContext) => {
  const table: [name: string, statements: number, writes: number][] = []
  const measure = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const { value, count, writes } = await counting(work)
    table.push([name, count, writes])
    return value
  }
  // What a connection has not prepared yet travels by itself; the first port of a project makes its default group.
  for (let round = 0; round < 2; round++) {
    const warm = await admin.make('network', {})
    const network_id = warm['id']
    const subnet = await admin.make('subnet', { network_id, cidr: '10.0.0.0/22', ip_version: 4 })
    const port = await admin.make('port', { network_id })
    await admin.update('port', port['id'], { name: 'p' })
    await admin.update('network', network_id, { name: 'n' })
    await admin.update('subnet', subnet['id'], { name: 's' })
    await admin.remove('port', port['id'])
    await admin.remove('subnet', subnet['id'])
    await admin.remove('network', network_id)
  }
  const network = await measure('create network', () => admin.make('network', {}))
  const network_id = network['id']
  await measure('update network', () => admin.update('network', network_id, { name: 'n' }))
  const subnet = await measure('create subnet', () =>
    admin.make('subnet', { network_id, cidr: '10.0.0.0/22', ip_version: 4 }),
  )
  await measure('update subnet', () => admin.update('subnet', subnet['id'], { name: 's' }))
  await measure('share network with a subnet', () => admin.update('network', network_id, { shared: true }))
  const port = await measure('create port', () => admin.make('port', { network_id }))
  const fixed = { network_id, fixed_ips: [{ subnet_id: subnet['id'], ip_address: '10.0.1.77' }] }
  await measure('create port with a given address', () => admin.make('port', fixed))
  await measure('update port', () => admin.update('port', port['id'], { name: 'p' }))
  await measure('bind port', () => admin.update('port', port['id'], { 'binding:host_id': 'h1' }))
  await measure('show port', () => admin.show('port', port['id']))
  await measure('list ports', () => server.admin.get('ports'))
  await measure('delete port', () => admin.remove('port', port['id']))
  const ports = await measure('create 100 ports', () =>
    admin.makeMany(
      'port',
      Array.from({ length: 100 }, () => ({ network_id })),
    ),
  )
  await measure('create 100 ports on one host', () =>
    admin.makeMany(
      'port',
      Array.from({ length: 100 }, () => ({ network_id, 'binding:host_id': 'h1' })),
    ),
  )
  const rest = (await server.admin.get(`ports?network_id=${network_id}&device_owner=`)).body.ports
  assert.ok(rest.length >= ports.length)
  for (const { id } of rest) await admin.remove('port', id)
  await measure('delete subnet', () => admin.remove('subnet', subnet['id']))
  await measure('delete network', () => admin.remove('network', network_id))
  for (const [name, ...counts] of table) t.diagnostic(`${name.padEnd(34)} ${counts.join(' in ').padStart(8)}`)
  const tooMany = table.filter(([name, ...counts]) => counts.some((count, index) => count > (MOST[name]?.[index] ?? 0)))
  assert.deepEqual(tooMany, [])
})

test('a list of 1 and of 500 sends one statement, whatever is asked of it and whoever asks', async () => {
  const { id: network_id } = await admin.make('network', { shared: true })
  await admin.makeMany('port', [{ network_id, name: 'only' }])
  const queries = [
    'ports',
    'ports?name=x',
    'ports?fields=id&fields=name',
    'ports?sort_key=name&sort_dir=desc',
    'ports?limit=100&sort_key=id',
    'networks',
    'security-groups',
    'security-group-rules',
    'subnets',
    'trunks',
    'routers',
    'floatingips',
  ]
  const counts = async (): Promise<number[]> => {
    const all: number[] = []
    for (const client of [server.admin, server.as('p1'), server.as('someone-else')]) {
      for (const query of queries) all.push((await counting(() => client.get(query))).count)
    }
    return all
  }
  // Who looks at groups for the first time finds a default one made.
  await counts()
  const few = await counts()
  for (let round = 0; round < 10; round++)
    await admin.makeMany(
      'port',
      Array.from({ length: 50 }, () => ({ network_id, name: 'more' })),
    )
  assert.equal((await server.admin.get('ports?fields=id')).body.ports.length > 500, true)
  assert.deepEqual(await counts(), few)
  // Lists of groups and rules look for the default group first.
  const expected = queries.map((query) => (query.startsWith('security-group') ? 2 : 1))
  assert.deepEqual(few, [...expected, ...expected, ...expected])
})

test('a page sends two statements, one of them for its marker, and costs what it shows wherever it begins', async () => {
  const { id: network_id } = await admin.make('network', {})
  for (let round = 0; round < 4; round++)
    await admin.makeMany(
      'port',
      Array.from({ length: 100 }, () => ({ network_id })),
    )
  await server.database.query('analyze ports')
  const path = `ports?network_id=${network_id}`
  const whole = await server.admin.get(path)
  const ids: string[] = whole.body.ports.map(({ id }: { id: string }) => id)
  assert.equal(Number(whole.headers['content-length']), Buffer.byteLength(whole.text))
  const page = (marker: number): string => `${path}&limit=20&sort_key=id&marker=${ids[marker]}`
  for (const marker of [9, 379]) {
    const { value, count } = await counting(() => server.admin.get(page(marker)))
    assert.deepEqual(
      value.body.ports.map(({ id }: { id: string }) => id),
      ids.slice(marker + 1, marker + 21),
    )
    assert.equal(count, 2)
  }
  // Where the rows of the last page begin is found in the index: nothing before them is read.
  const text = sent.findLast((one) => one.includes('limit')) ?? ''
  const params = [network_id, ids[379], 20]
  const filled = text.replaceAll(/\$(\d)/g, (_, n: string) => `'${params[Number(n) - 1]}'`)
  const plan = await server.database.query(`/* once */ explain (analyze, costs off, timing off) ${filled}`)
  const lines = plan.map((row) => String(row['QUERY PLAN']))
  assert.ok(
    lines.some((line) => /Index Scan using ports_of_network/.test(line)),
    lines.join('\n'),
  )
  assert.ok(!lines.some((line) => /Rows Removed by Filter/.test(line)), lines.join('\n'))
})

test('what clients ask for in new ways is not prepared for ever', async () => {
  const kinds = ['ports', 'networks', 'subnets', 'security-groups', 'security-group-rules']
  const ask = async (salt: number): Promise<void> => {
    const keys = ['name', 'status', 'device_id', 'mac_address', 'device_owner', 'admin_state_up']
    for (const kind of kinds) await server.admin.get(kind)
    const order = keys.map((_, index) => keys[(index * 5 + salt) % keys.length])
    const direction = (index: number): string => ((salt >> index) & 1 ? 'asc' : 'desc')
    await server.admin.get(
      `ports?${order.map((key, index) => `sort_key=${key}&sort_dir=${direction(index)}`).join('&')}`,
    )
    await server.admin.get(
      `ports?${keys
        .map((key) => `${key}=${key === 'mac_address' ? 'fa:16:3e:00:00:01' : 'true'}`)
        .slice(0, 1 + (salt % 5))
        .join('&')}`,
    )
    const names = [
      'id',
      'name',
      'network_id',
      'tenant_id',
      'mac_address',
      'admin_state_up',
      'status',
      'device_id',
      'device_owner',
      'fixed_ips',
      'security_groups',
      'port_security_enabled',
      'allowed_address_pairs',
      'binding:host_id',
      'binding:vnic_type',
      'binding:profile',
      'binding:vif_type',
      'binding:vif_details',
      'description',
      'created_at',
    ]
    await server.admin.get(
      `ports?${names
        .filter((_, index) => index !== salt % 20)
        .map((name) => `fields=${name}`)
        .join('&')}`,
    )
  }
  for (let salt = 0; salt < 8; salt++) await ask(salt)
  const settled = preparedCount()
  for (let salt = 8; salt < 30; salt++) await ask(salt)
  assert.equal(preparedCount(), settled)
  assert.ok(settled < 250, `${settled} statements are prepared`)
})

test('a router with a new gateway asks once which agents could have it', async () => {
  const outside = await admin.make('network', { 'router:external': true })
  await admin.make('subnet', { network_id: outside['id'], cidr: '203.0.113.0/24', ip_version: 4 })
  const asked = (): number => sent.filter((text) => text.includes('from router_candidates')).length
  const external_gateway_info = { network_id: outside['id'] }
  const router = await admin.make('router', {})
  await counting(() => admin.update('router', router['id'], { external_gateway_info }))
  assert.equal(asked(), 1)
  await counting(() => admin.make('router', { external_gateway_info }))
  assert.equal(asked(), 1)
})
