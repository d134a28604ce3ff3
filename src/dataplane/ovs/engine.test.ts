/** The engine against a switch in memory: what it writes, when it removes, how it reports and repairs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { type Flow, instructionsOf, keyOfFlow } from '#protocol/openflow/flow.ts'
import type { WireKey, WireObject } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import type { Announcement } from './announce.ts'
import { OWNER, packCookie } from './cookie.ts'
import type { Slot } from './desired.ts'
import { Engine } from './engine.ts'
import { openNumbers } from './numbers.ts'
import type { FlowPlan, SeenFlow } from './plan.ts'
import { edit, keysOf, mutable, port, sgRule } from './worlds.testlib.ts'
import type { LocalView } from './view.ts'

const config = {
  integrationBridge: 'br-int',
  datapathType: 'netdev',
  tunnelingIp: '172.31.0.1',
  tunnelTypes: ['vxlan'],
  bridgeMappings: {},
} as const

/** A bridge, a database and DHCP servers in memory. */
function memory() {
  const table = new Map<Slot, Flow>()
  const plans: FlowPlan[] = []
  const refuse = new Set<number>()
  const reports: Realization[] = []
  let dhcpProblem: string | null = null
  let databaseProblem: string | null = null
  let reachable = true
  let flushable = true
  const emptied: number[] = []
  const announced: Announcement[] = []
  let readBacks = 0
  const local = {
    ports: new Map([
      ['p1', 5],
      ['p2', 6],
    ]),
    dhcp: new Map(),
    tunnels: new Map([['vxlan', 9]]),
    patches: new Map([['phys1', 12]]),
  }
  const create = (): Engine =>
    new Engine({
      host: 'h1',
      config,
      pipelineVersion: 1,
      numbers,
      realized: (more) => void reports.push(...more),
      log: silentLogger,
      flows: {
        slotOf: keyOfFlow,
        instructionsOf,
        ready: () => (reachable ? Promise.resolve() : Promise.reject(new Error('bridge is not reachable'))),
        readBack: async () => {
          readBacks++
          const seen = ([slot, flow]: [Slot, Flow]): [Slot, SeenFlow] => [
            slot,
            { ...flow, instructions: instructionsOf(flow) },
          ]
          return new Map([...table].map(seen))
        },
        carryOut: async (plan) => {
          plans.push(plan)
          const refused = new Map<Slot, string>()
          for (const [slot, flow] of plan.add) {
            if (refuse.has(flow.table)) refused.set(slot, 'BAD_ACTION')
            else table.set(slot, flow)
          }
          for (const slot of plan.remove.keys()) table.delete(slot)
          return refused
        },
        forgetConnections: async (zones) => {
          if (!flushable) throw new Error('the bridge went away')
          emptied.push(...zones)
        },
        announce: async (frames) => void announced.push(...frames),
        onUp: () => undefined,
        onForeign: () => undefined,
        close: async () => undefined,
      },
      switch: {
        local: (): LocalView => structuredClone(local),
        ensure: async () => {
          if (databaseProblem !== null) throw new Error(databaseProblem)
          return { touched: [], conflicts: [] }
        },
        renew: async () => undefined,
        onChange: () => () => undefined,
        close: async () => undefined,
      },
      dhcp: {
        reconcile: async () => undefined,
        problemOf: () => dhcpProblem,
        remarkOf: () => null,
        onDirty: () => undefined,
        close: async () => undefined,
      },
    })
  const numbers = openNumbers(null)
  return {
    table,
    plans,
    refuse,
    reports,
    local,
    numbers,
    emptied,
    announced,
    create,
    set dhcp(problem: string | null) {
      dhcpProblem = problem
    },
    set database(problem: string | null) {
      databaseProblem = problem
    },
    set flushable(yes: boolean) {
      flushable = yes
    },
    set reachable(yes: boolean) {
      reachable = yes
    },
    get readBacks() {
      return readBacks
    },
  }
}

const network = {
  id: 'n1',
  generation: 3,
  project_id: 'x',
  admin_state_up: true,
  mtu: 1450,
  subnets: [],
  dhcp: null,
  dns_domain: '',
  segments: [{ id: 's', network_type: 'vxlan' as const, physical_network: null, segmentation_id: 7 }],
}
const group = { id: 'g1', generation: 4, stateful: true, rules: [sgRule({ protocol: 6 })] }
const p1 = port('p1', { generation: 5, security_groups: ['g1'] })

function scene() {
  const host = memory()
  const world = mutable()
  const put = (key: WireKey, object: WireObject | null): WireKey => {
    edit(world, { key, object })
    return key
  }
  put('network/n1', network)
  put('security_group/g1', group)
  put('port/p1', p1)
  return { host, world, put, engine: host.create() }
}

const states = (reports: readonly Realization[]) =>
  Object.fromEntries(reports.map((it) => [`${it.kind}/${it.id}`, `${it.generation} ${it.state}`]))

test('a world becomes flows and reports; again it is neither written nor read', async () => {
  const { host, world, engine } = scene()
  const reports = await engine.reconcile(world, keysOf(world), true)
  assert.deepEqual(states(reports), { 'network/n1': '3 done', 'security_group/g1': '4 done', 'port/p1': '5 done' })
  await engine.reconcile(world, keysOf(world), true)
  assert.deepEqual([host.plans.length, host.readBacks], [1, 1])
})

test('a port that was expected and came is announced once, where physical switches carry its network', async () => {
  for (const [type, frames] of [
    ['vlan', 2],
    ['vxlan', 0],
  ] as const) {
    const { host, world, put, engine } = scene()
    const segment = { id: 's', network_type: type, physical_network: 'phys1', segmentation_id: 7 }
    put('network/n1', { ...network, segments: [segment] })
    const fixed_ips = [{ subnet_id: 's4', ip_address: '10.0.0.1' }]
    put('port/p1', { ...p1, fixed_ips, active: false })
    await engine.reconcile(world, keysOf(world), true)
    assert.equal(host.announced.length, 0)
    for (const generation of [6, 7])
      await engine.reconcile(world, [put('port/p1', { ...p1, fixed_ips, generation })], true)
    assert.equal(host.announced.length, frames, type)
  }
})

test('another host is greeted once it is heard of, and again on a new connection to the bridge', async () => {
  const { host, world, put, engine } = scene()
  host.local.tunnels.clear()
  await engine.reconcile(world, [put('chassis/h2', { id: 'h2', tunnel_ip: '172.31.0.2' }), ...keysOf(world)], true)
  assert.equal(host.announced.length, 0, 'there is no tunnel yet')
  host.local.tunnels.set('vxlan', 9)
  engine.databaseChanged()
  for (let i = 0; i < 2; i++) await engine.reconcile(world, ['chassis/h2'], true)
  assert.match(host.announced.map(({ actions }) => actions).join(), /^[^,]*->tun_id,[^,]*172.31.0.2->tun_dst,output:9$/)
  engine.reconnected()
  await engine.idle()
  assert.equal(host.announced.length, 2)
})

test('another engine on the same host adopts every flow', async () => {
  const { host, world, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  await host.create().reconcile(world, keysOf(world), true)
  assert.equal(host.plans.length, 1)
})

test('the first batch may name a part of the world: the rest is not taken for unwanted', async () => {
  const { host, world, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  await host.create().reconcile(world, ['network/n1'], true)
  assert.equal(host.plans.length, 1)
})

test('nothing is removed before sync; at sync all of it is', async () => {
  const { host, world, put, engine } = scene()
  const stale: Flow = {
    table: 60,
    priority: 10,
    match: 'reg2=0x77',
    actions: 'output:77',
    cookie: packCookie({ owner: OWNER, version: 1, object: 99, content: 1 }),
  }
  const foreign: Flow = { ...stale, match: 'reg2=0x78', cookie: 0x1234n }
  for (const flow of [stale, foreign]) host.table.set(keyOfFlow(flow), flow)
  await engine.reconcile(world, keysOf(world), false)
  const all = host.table.size
  await engine.reconcile(world, [put('port/p1', null)], false)
  assert.equal(host.table.size, all, 'the port went, its flows stay')
  await engine.reconcile(world, [], true)
  assert.ok(!host.table.has(keyOfFlow(stale)))
  assert.ok(host.table.has(keyOfFlow(foreign)))
  assert.ok(![...host.table.values()].some((flow) => flow.match.startsWith('in_port=5')))
})

test('what waits for another object is reported when that comes, though nobody asked for it', async () => {
  const { world, put, engine } = scene()
  put('security_group/g1', null)
  const first = await engine.reconcile(world, keysOf(world), true)
  assert.equal(first.find((it) => it.kind === 'port')?.state, 'pending')
  const second = await engine.reconcile(world, [put('security_group/g1', group)], true)
  assert.equal(states(second)['port/p1'], '5 done')
})

test('a refused flow fails its object alone, and is tried again', async () => {
  const { host, world, engine } = scene()
  host.refuse.add(45)
  const reports = await engine.reconcile(world, keysOf(world), true)
  assert.deepEqual(states(reports), { 'network/n1': '3 done', 'security_group/g1': '4 error', 'port/p1': '5 error' })
  assert.match(reports.find((it) => it.kind === 'security_group')?.message ?? '', /refuses a flow: BAD_ACTION/)
  host.refuse.clear()
  assert.deepEqual(states(await engine.reconcile(world, ['port/p1'], true)), { 'port/p1': '5 done' })
})

test('an object that cannot be written as flows stays closed and does not stop the others', async () => {
  const { world, put, engine } = scene()
  put('port/p2', port('p2', { mac_address: 'no MAC at all' }))
  const reports = await engine.reconcile(world, keysOf(world), true)
  assert.equal(states(reports)['port/p1'], '5 done')
  assert.equal(states(reports)['port/p2'], '1 error')
})

test('what a failed job learned is not lost: the next one compiles it', async () => {
  const { host, world, put, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  host.database = 'the database is away'
  const key = put('network/n1', { ...network, admin_state_up: false })
  await assert.rejects(engine.reconcile(world, [key], true), /is away/)
  host.database = null
  await engine.reconcile(world, [key], true)
  assert.ok(![...host.table.values()].some((flow) => flow.match.startsWith('in_port=5')))
})

test('a port whose group came with a batch that failed is reported by the next', async () => {
  const { host, world, put, engine } = scene()
  put('security_group/g1', null)
  await engine.reconcile(world, keysOf(world), true)
  host.reachable = false
  await assert.rejects(engine.reconcile(world, [put('security_group/g1', group)], true))
  host.reachable = true
  assert.equal(states(await engine.reconcile(world, ['security_group/g1'], true))['port/p1'], '5 done')
  assert.ok([...host.table.values()].some((flow) => flow.match.startsWith('in_port=5')))
})

test('changes of the database before the first world do not stop later ones from being seen', async () => {
  const { host, world, engine } = scene()
  engine.databaseChanged()
  await engine.idle()
  await engine.reconcile(world, keysOf(world), true)
  host.local.ports.delete('p1')
  engine.databaseChanged()
  await engine.idle()
  assert.equal(host.reports.at(-1)?.state, 'pending')
})

test('a look that failed does not stop the next one', async () => {
  const { host, world, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  host.database = 'the database is away'
  engine.databaseChanged()
  await engine.idle()
  host.database = null
  host.local.ports.delete('p1')
  engine.databaseChanged()
  await engine.idle()
  assert.equal(host.reports.at(-1)?.state, 'pending')
})

test('foreign hands: a deleted flow, changed actions under the same cookie, and what no event told', async () => {
  const { host, world, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  const intact = new Map(host.table)
  const [slot, flow] = [...host.table].find(([, it]) => it.table === 60 && it.priority > 0) ?? []
  assert.ok(slot && flow)
  host.table.delete(slot)
  engine.flowsChanged(new Map([[slot, null]]))
  await engine.idle()
  assert.deepEqual(host.table, intact)
  assert.ok(host.reports.every((it) => it.repaired && it.id === 'p1'))
  assert.equal(host.reports.length, 1)
  host.table.set(slot, { ...flow, actions: 'drop' })
  engine.flowsChanged(new Map([[slot, { ...flow, instructions: '' }]]))
  await engine.idle()
  assert.deepEqual(host.table, intact)
  host.table.set(slot, { ...flow, actions: 'output:99' })
  await engine.readBack()
  assert.deepEqual(host.table, intact)
  assert.equal(host.reports.length, 3)
})

test('a switch out of reach fails the batch; when it is back everything is put in again', async () => {
  const { host, world, put, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  host.reachable = false
  await assert.rejects(
    engine.reconcile(world, [put('port/p2', port('p2', { mac_address: '02:00:00:00:00:02' }))], true),
    /not reachable/,
  )
  host.reachable = true
  host.table.clear()
  engine.reconnected()
  await engine.idle()
  assert.ok([...host.table.values()].some((flow) => flow.match.startsWith('in_port=6')))
  assert.ok(host.reports.some((it) => it.repaired && it.kind === 'port' && it.id === 'p1'))
})

test('a plug and an unplug are reported without being asked for', async () => {
  const { host, world, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  host.local.ports.delete('p1')
  engine.databaseChanged()
  await engine.idle()
  assert.equal(host.reports.at(-1)?.state, 'pending')
  assert.ok(![...host.table.values()].some((flow) => flow.match.startsWith('in_port=5')))
  host.local.ports.set('p1', 8)
  engine.databaseChanged()
  await engine.idle()
  assert.equal(host.reports.at(-1)?.state, 'done')
  assert.ok([...host.table.values()].some((flow) => flow.match.startsWith('in_port=8')))
})

test('a port is not done before the DHCP server of its network answers', async () => {
  const { host, world, engine } = scene()
  host.dhcp = 'dnsmasq does not start'
  const reports = await engine.reconcile(world, keysOf(world), true)
  assert.deepEqual(states(reports), { 'network/n1': '3 error', 'security_group/g1': '4 done', 'port/p1': '5 pending' })
  host.dhcp = null
  engine.dhcpChanged(['n1'])
  await engine.idle()
  assert.equal(states(host.reports)['port/p1'], '5 done')
})

test('the number of a port that is gone is free only when its conntrack zone is empty', async () => {
  const { host, world, put, engine } = scene()
  await engine.reconcile(world, keysOf(world), true)
  const zone = host.numbers.of('port', 'p1')
  const held = (): boolean => host.numbers.stale('port', () => false).has('p1')
  await engine.readBack()
  assert.ok(held() && host.emptied.length === 0, 'a port that is there keeps its connections')
  await engine.reconcile(world, [put('port/p1', null)], true)
  host.flushable = false
  await engine.readBack()
  assert.ok(held())
  host.flushable = true
  await engine.readBack()
  assert.ok(!held())
  assert.deepEqual(host.emptied, [zone])
})

test('a port that waited for DHCP is reported when the server answers, whatever made us look', async () => {
  const { host, world, engine } = scene()
  host.dhcp = 'the switch has not made its interface yet'
  assert.equal(states(await engine.reconcile(world, keysOf(world), true))['port/p1'], '5 pending')
  host.dhcp = null
  engine.dhcpChanged(['another network'])
  await engine.idle()
  assert.deepEqual(states(host.reports), { 'network/n1': '3 done', 'port/p1': '5 done' })
})
