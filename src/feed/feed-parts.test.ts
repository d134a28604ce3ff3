/** The feed's pure parts: what rows mean on the wire, what a report means for a port, who waits how long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from '#kernel/log.ts'
import type { Database } from '#store/pool.ts'
import type { Realization } from '#wire/realization.ts'
import {
  hostOf,
  memberObject,
  type NetworkRow,
  type PortRow,
  portObject,
  type RouterRow,
  routerObject,
  wireProtocol,
} from './derive.ts'
import { listen } from './listener.ts'
import { entryOf, portItemFor } from './port-entry.ts'
import { concernsDhcp, concernsRouter, createRealizations, readiness, verdict } from './realizations.ts'
import { Relation } from './relation.ts'
import { createSlots } from './slots.ts'
import { pauseAfter } from './stream.ts'
import { Topics } from './topics.ts'
import type { PortAt } from './types.ts'
import { createWants, wantsOf } from './wants.ts'

const row: PortRow = {
  id: 'p',
  network_id: 'n',
  generation: 4,
  mac_address: 'fa:16:3e:00:00:01',
  admin_state_up: true,
  status: 'DOWN',
  device_owner: 'compute:nova',
  fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.4' }],
  security_group_ids: ['b', 'a'],
  port_security_enabled: true,
  allowed_address_pairs: [{ ip_address: '10.0.0.4' }, { ip_address: '10.8.0.0/24', mac_address: 'fa:16:3e:00:00:09' }],
  dns_name: 'vm',
  extra_dhcp_opts: [],
  binding_device: null,
  binding_segment_ids: ['outer', 'inner'],
  expected_on: [],
  binding_host: 'h1',
  binding_vif_type: 'ovs',
  binding_vnic_type: 'normal',
}

test('a port is on its host unless its binding failed or it is the distributed DHCP port', () => {
  assert.equal(hostOf(row), 'h1')
  assert.equal(hostOf({ ...row, binding_host: '' }), null)
  assert.equal(hostOf({ ...row, binding_vif_type: 'binding_failed' }), null)
  assert.equal(hostOf({ ...row, binding_vif_type: 'unbound' }), null)
  assert.equal(hostOf({ ...row, device_owner: 'network:dhcp' }), null)
})

test("an address pair without a MAC means the port's own; members name each address once", () => {
  assert.deepEqual(portObject(row).allowed_address_pairs, [
    { ip_address: '10.0.0.4', mac_address: 'fa:16:3e:00:00:01' },
    { ip_address: '10.8.0.0/24', mac_address: 'fa:16:3e:00:00:09' },
  ])
  assert.deepEqual(memberObject(row, 'g'), {
    id: 'g:p',
    security_group_id: 'g',
    ip_addresses: ['10.0.0.4', '10.8.0.0/24'],
  })
})

test('each host has the port as its own binding says: kind, segments, device', () => {
  const device = { pci_slot: '0000:3b:02.1', source: null, vlan: '12', follows_uplink: false }
  const at = (host: string, vif_type: string) => ({
    host,
    vif_type,
    vnic_type: 'direct',
    segment_ids: [`${host}-seg`],
    device: vif_type === 'ovs' ? null : device,
  })
  const moving = { ...row, expected_on: [at('h2', 'hw_veb'), at('h3', 'ovs')] }
  const entry = entryOf(moving, undefined)
  const on = (host: string) => portItemFor(entry, host)?.object
  assert.deepEqual(on('h1')?.segment_ids, ['outer', 'inner'])
  assert.deepEqual([on('h1')?.vnic_type, on('h1')?.active], ['normal', true])
  assert.deepEqual([on('h2')?.vnic_type, on('h2')?.active], ['direct', false])
  assert.deepEqual(on('h2')?.device, { ...device, kind: 'vf', vlan: 12 })
  assert.deepEqual(on('h2')?.segment_ids, ['h2-seg'])
  assert.deepEqual([on('h3')?.segment_ids, on('h3')?.device], [['h3-seg'], null])
  assert.equal(on('h4'), undefined)
  assert.deepEqual(entry.neighbor?.object.segment_ids, ['outer', 'inner'])
  const again = entryOf({ ...moving, expected_on: [at('h2', 'hw_veb'), at('h3', 'hw_veb')] }, entry)
  assert.equal(portItemFor(again, 'h2'), portItemFor(entry, 'h2'), 'what did not change keeps its bytes')
  assert.notEqual(portItemFor(again, 'h3'), portItemFor(entry, 'h3'))
})

test('protocols by name and number; ICMP in IPv6 is ICMPv6', () => {
  assert.equal(wireProtocol(null, 'IPv4'), null)
  assert.equal(wireProtocol('ip', 'IPv4'), null)
  assert.equal(wireProtocol('tcp', 'IPv4'), 6)
  assert.equal(wireProtocol('17', 'IPv6'), 17)
  for (const icmp of ['icmp', '1', 'icmpv6', 'ipv6-icmp', '58']) assert.equal(wireProtocol(icmp, 'IPv6'), 58)
  assert.throws(() => wireProtocol('carrier-pigeon', 'IPv4'), /carrier-pigeon/)
})

test('a report moves a port only from its own host, for the known generation, and when it says something new', () => {
  const report = (state: Realization['state'], generation = 4): Realization => ({
    kind: 'port',
    id: 'p',
    generation,
    state,
    message: null,
    repaired: false,
    at: '2026-01-01T00:00:00Z',
  })
  const active = { ...row, status: 'ACTIVE' }
  assert.equal(verdict('h1', report('done'), row), 'up')
  assert.equal(verdict('h1', report('done'), active), null)
  assert.equal(verdict('h1', report('pending'), active), 'down')
  assert.equal(verdict('h1', report('error'), active), 'down')
  assert.equal(verdict('h1', report('pending'), { ...active, binding_vif_type: 'hostdev_physical' }), null)
  assert.equal(verdict('h1', report('pending'), row), null)
  assert.equal(verdict('h1', report('done', 3), row), null)
  assert.equal(verdict('h2', report('done'), row), null)
  assert.equal(verdict('h1', report('done'), null), null)
  assert.equal(verdict('h1', { ...report('done'), kind: 'network' }, row), null)
  const moving = {
    ...row,
    expected_on: [{ host: 'h2', vif_type: 'ovs', vnic_type: 'normal', segment_ids: ['other'], device: null }],
  }
  assert.equal(verdict('h2', report('done'), moving), null)
  assert.equal(readiness('h2', report('done'), moving), 'ready')
  assert.equal(readiness('h2', report('pending'), moving), 'unready')
  assert.equal(readiness('h2', report('done', 3), moving), null)
  assert.equal(readiness('h1', report('done'), moving), null)
  assert.equal(readiness('h2', report('done'), row), null)
})

const said = (state: Realization['state'], generation = 4): Realization => ({
  kind: 'router',
  id: 'r',
  generation,
  state,
  message: null,
  repaired: false,
  at: '2026-01-01T00:00:00Z',
})

test('a report of a router is weighed when it is of a host that has it, of what is known, and says something new', () => {
  const port = { network_id: 'n', mac_address: 'm', admin_state_up: true, fixed_ips: [] }
  const router: RouterRow = {
    id: 'r',
    generation: 4,
    project_id: 'p',
    name: '',
    admin_state_up: true,
    distributed: false,
    enable_snat: true,
    interfaces: [{ port_id: 'i', ...port }],
    gateway: { port_id: 'g', ...port },
    routes: [],
    hosts: ['h1'],
    statuses: ['DOWN', 'ACTIVE'],
  }
  const [up, down] = [
    { ...router, statuses: ['ACTIVE'] },
    { ...router, statuses: ['DOWN'] },
  ]
  const cases: readonly (readonly [RouterRow | null, Realization['state'], boolean])[] = [
    [router, 'done', true],
    [router, 'error', true],
    [up, 'done', false],
    [up, 'unsupported', true],
    [down, 'done', true],
    [down, 'unsupported', false],
    [{ ...down, admin_state_up: false }, 'done', false],
    [{ ...up, admin_state_up: false }, 'done', true],
    [{ ...router, statuses: [] }, 'done', false],
    [null, 'done', false],
  ]
  for (const [row, state, is] of cases)
    assert.equal(concernsRouter('h1', said(state), row), is, JSON.stringify([row, state]))
  assert.equal(concernsRouter('h2', said('done'), down), false)
  assert.equal(concernsRouter('h1', said('done', 3), down), false)
  assert.deepEqual(routerObject(router).gateway, { port_id: 'g', ...port, enable_snat: true })
  assert.ok(!('statuses' in routerObject(router)))
})

test('a report of a network is weighed when it has DHCP and what is said of it is new', () => {
  const network = { generation: 4, dhcp_status: 'DOWN' } as NetworkRow
  assert.equal(concernsDhcp(said('done'), network), true)
  assert.equal(concernsDhcp(said('error'), network), false)
  assert.equal(concernsDhcp(said('done', 3), network), false)
  assert.equal(concernsDhcp(said('done'), { ...network, dhcp_status: 'ACTIVE' }), false)
  assert.equal(concernsDhcp(said('error'), { ...network, dhcp_status: 'ACTIVE' }), true)
  assert.equal(concernsDhcp(said('done'), { ...network, dhcp_status: null }), false)
  assert.equal(concernsDhcp(said('done'), null), false)
})

test('a relation answers both ways what was put last', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.array(name))), (puts) => {
      const relation = new Relation()
      const want = new Map<string, ReadonlySet<string>>()
      for (const [left, rights] of puts) {
        const before = want.get(left) ?? new Set<string>()
        const after = new Set<string>(rights)
        const moved = ['a', 'b', 'c'].filter((one) => before.has(one) !== after.has(one))
        assert.deepEqual([...relation.put(left, rights)].toSorted(), moved.toSorted())
        want.set(left, after)
      }
      for (const one of ['a', 'b', 'c']) {
        assert.deepEqual(new Set(relation.rightsOf(one)), want.get(one) ?? new Set())
        const lefts = [...want].filter(([, rights]) => rights.has(one)).map(([left]) => left)
        assert.deepEqual([...relation.leftsOf(one)].toSorted(), lefts.toSorted())
      }
    }),
  )
})

test('pauses grow with what is sent and to how many, from 10 to 200 ms', () => {
  assert.equal(pauseAfter(0, 3), 10)
  assert.equal(pauseAfter(100, 3), 30)
  assert.equal(pauseAfter(5, 1000), 101)
  assert.equal(pauseAfter(100_000, 1), 200)
})

test('slots are given in order, and giving one back twice frees one', async () => {
  const slots = createSlots(1)
  const first = await slots.take()
  const order: number[] = []
  const second = slots.take().then((giveBack) => (order.push(2), giveBack))
  const third = slots.take().then((giveBack) => (order.push(3), giveBack))
  first()
  first()
  ;(await second)()
  ;(await third)()
  assert.deepEqual(order, [2, 3])
})

test('a change makes dirty what may differ on the wire', () => {
  const image = { network_id: 'n', 'binding:host_id': 'h1', security_groups: [], device_owner: 'network:dhcp' }
  const change = (kind: string, id: string, after: Record<string, unknown>) => ({ kind, id, before: null, after })
  const none = wantsOf([change('port', 'p', { ...image, device_owner: '' })], () => false)
  assert.equal(none.ports.size, 0)
  const wants = wantsOf(
    [
      change('port', 'p', image),
      change('subnet', 's', { network_id: 'm' }),
      change('security_group_rule', 'r', { security_group_id: 'g' }),
      change('agent', 'a', { host: 'h2' }),
      change('quota', 'q', {}),
    ],
    () => true,
  )
  assert.deepEqual([...wants.ports], ['p'])
  assert.deepEqual([...wants.networks], ['n', 'm'])
  assert.deepEqual([...wants.groups], ['g'])
  assert.deepEqual([...wants.chassis], ['h2'])
  assert.equal(
    wantsOf([change('port', 'p', {})], () => false).ports.size,
    1,
    'an image without facts concerns everyone',
  )
})

test('credentials do not travel in the clear to other machines', async () => {
  await assert.rejects(
    listen({ host: '0.0.0.0', port: 0 }, () => {}),
    /in the clear to 0\.0\.0\.0/,
  )
  const open = await listen({ host: '0.0.0.0', port: 0, plaintext: true }, () => {})
  assert.ok(open.port)
  await open.close()
})

test("what cannot be taken from one host is tried again, and holds up nobody else's ports", async () => {
  const taken: string[] = []
  let broken = true
  const realizations = createRealizations({
    database: { query: async () => (broken ? Promise.reject(new Error('no database')) : []) } as unknown as Database,
    effects: {
      portsRealized: async (ports: readonly PortAt[]) => {
        if (broken && ports.some(({ host }) => host === 'h1')) throw new Error('refused')
        taken.push(...ports.map(({ id }) => id))
      },
    } as unknown as Parameters<typeof createRealizations>[0]['effects'],
    rows: {
      port: (id) => ({ ...row, id, binding_host: id.slice(0, 2) }),
      network: () => null,
      router: () => null,
    },
    log: silentLogger,
  })
  for (const host of ['h1', 'h2'])
    realizations.record(host, [
      { kind: 'port', id: `${host}p`, generation: 4, state: 'done', message: null, repaired: false, at: '' },
    ])
  const until = async (what: string): Promise<void> => {
    for (const end = Date.now() + 5_000; !taken.includes(what); ) {
      assert.ok(Date.now() < end, `never: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  await until('h2p')
  broken = false
  await until('h1p')
  await realizations.close()
})

test('ports of many hosts become ACTIVE together, in batches that end', async () => {
  const batches: (readonly PortAt[])[] = []
  const realizations = createRealizations({
    database: { query: async () => [] } as unknown as Database,
    effects: {
      portsRealized: async (ports: readonly PortAt[]) => void batches.push(ports),
    } as unknown as Parameters<typeof createRealizations>[0]['effects'],
    rows: {
      port: (id) => ({ ...row, id, binding_host: id.slice(0, 4) }),
      network: () => null,
      router: () => null,
    },
    log: silentLogger,
  })
  const hosts = Array.from({ length: 60 }, (_, index) => `h${String(index).padStart(3, '0')}`)
  for (const host of hosts) {
    const ids = Array.from({ length: 10 }, (_, index) => `${host}p${index}`)
    realizations.record(
      host,
      ids.map((id) => ({ ...said('done'), kind: 'port', id })),
    )
  }
  await realizations.close()
  assert.deepEqual(
    batches.map((ports) => ports.length),
    [250, 250, 100],
  )
  assert.ok(batches.flat().every(({ id, host }) => id.startsWith(host)))
  assert.equal(new Set(batches.flat().map(({ id }) => id)).size, 600)
})

test('a port that left a network before the network was read is nobody there, though a group still has it', () => {
  const topics = new Topics()
  const nothing = { ports: new Map(), networks: new Map(), routers: new Map(), groups: new Map(), chassis: new Map() }
  const rule = { direction: 'ingress', ethertype: 'IPv4', protocol: null, remote_group_id: 'b' }
  const rules = [{ id: 'r', port_range_min: null, port_range_max: null, remote_ip_prefix: null, ...rule }] as const
  const load = (loaded: object): void => topics.install(topics.takeWants() ?? createWants(), { ...nothing, ...loaded })
  const seen = { ...row, id: 'near', network_id: 'm', security_group_ids: ['a'] }
  const gone = { ...row, id: 'gone', binding_host: 'h2', security_group_ids: ['b'] }
  topics.hold('h1')
  load({ ports: new Map([['near', seen]]) })
  load({ groups: new Map([['a', { id: 'a', generation: 1, stateful: true, rules }]]) })
  load({ ports: new Map([['gone', gone]]) })
  assert.ok(topics.lookup('h1', 'group_member/b:gone'))
  topics.want({ ...createWants(), ports: new Set(['p']) })
  load({ ports: new Map([['p', { ...row, security_group_ids: ['a'] }]]) })
  load({ ports: new Map([['p', { ...row, security_group_ids: ['a'] }]]) })
  assert.ok(topics.lookup('h1', 'port/p'))
  assert.equal(topics.lookup('h1', 'neighbor/gone'), null, 'its deletion will not be heard of in the network')
})
