/** Incremental compilation equals compilation from scratch, and recompiles no more than it must. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NetworkObject, WireKey, World } from '#wire/objects.ts'
import { BASE, createDesired } from './desired.ts'
import { type Numbers, openNumbers } from './numbers.ts'
import { createRelations } from './relations.ts'
import { anyEdit, edit, keysOf, mutable, port, sgRule } from './worlds.testlib.ts'
import { emptyLocalView, type LocalView, localChanges } from './view.ts'

const slotOf = (f: { table: number; priority: number; match: string }): string => `${f.table} ${f.priority} ${f.match}`

const anyLocal = fc
  .record({
    ports: fc.dictionary(fc.constantFrom('p1', 'p2', 'p3', 'p4'), fc.integer({ min: 1, max: 9 })),
    dhcp: fc.dictionary(fc.constantFrom('n1', 'n2'), fc.integer({ min: 20, max: 22 })),
    tunnels: fc.dictionary(fc.constantFrom('vxlan'), fc.integer({ min: 30, max: 31 })),
    patches: fc.dictionary(fc.constantFrom('phys1', 'phys2'), fc.integer({ min: 40, max: 42 })),
  })
  .map(
    (it): LocalView => ({
      ports: new Map(Object.entries(it.ports)),
      dhcp: new Map(Object.entries(it.dhcp)),
      tunnels: new Map(Object.entries(it.tunnels)),
      patches: new Map(Object.entries(it.patches)),
    }),
  )

function fromScratch(world: World, local: LocalView, numbers: Numbers) {
  const relations = createRelations('h1')
  const facts = keysOf(world).flatMap((key) => relations.update(world, key))
  const desired = createDesired(slotOf, 1)
  desired.change({ world, local, relations, numbers, self: 'h1' }, [BASE, ...facts])
  return desired.flows
}

const sorted = (flows: ReadonlyMap<string, unknown>) => [...flows].sort(([a], [b]) => (a < b ? -1 : 1))

test('incremental equals recompute, after every batch of edits to the world and to the host', () => {
  const step = fc.oneof(fc.array(anyEdit, { minLength: 1, maxLength: 4 }), anyLocal)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const world = mutable()
      const numbers = openNumbers(null)
      const relations = createRelations('h1')
      const desired = createDesired(slotOf, 1)
      let local = emptyLocalView()
      desired.change({ world, local, relations, numbers, self: 'h1' }, [BASE])
      for (const it of steps) {
        const facts: string[] = []
        if (Array.isArray(it)) {
          for (const one of it) edit(world, one)
          for (const { key } of it) facts.push(...relations.update(world, key))
        } else {
          facts.push(...localChanges(local, it))
          local = it
        }
        desired.change({ world, local, relations, numbers, self: 'h1' }, facts)
        assert.deepEqual(sorted(desired.flows), sorted(fromScratch(world, local, numbers)))
      }
    }),
    { numRuns: 200 },
  )
})

const networkOne: NetworkObject = {
  id: 'n1',
  generation: 1,
  project_id: 'x',
  admin_state_up: true,
  mtu: 1450,
  subnets: [],
  dhcp: null,
  dns_domain: '',
  segments: [{ id: 's', network_type: 'vxlan', physical_network: null, segmentation_id: 7 }],
}

const opened = () => {
  const world = mutable()
  const numbers = openNumbers(null)
  const relations = createRelations('h1')
  const desired = createDesired(slotOf, 1)
  const local = {
    ...emptyLocalView(),
    dhcp: new Map<string, number>(),
    ports: new Map([
      ['p1', 5],
      ['p2', 6],
    ]),
    tunnels: new Map([['vxlan', 9]]),
  }
  const put = (key: WireKey, object: Parameters<typeof edit>[1]['object']) => {
    edit(world, { key, object })
    return desired.change({ world, local, relations, numbers, self: 'h1' }, relations.update(world, key)).slots
  }
  put('network/n1', networkOne)
  return { put, desired, local }
}

test('a port stays without flows until its groups are known, and loses them when one goes', () => {
  const { put, desired } = opened()
  put('port/p1', port('p1', { security_groups: ['g1'] }))
  assert.equal(desired.slotsOf('port/p1').length, 0)
  put('security_group/g1', { id: 'g1', generation: 1, stateful: true, rules: [] })
  assert.ok(desired.slotsOf('port/p1').length > 10)
  put('security_group/g1', null)
  assert.equal(desired.slotsOf('port/p1').length, 0)
})

test('who is served on the wire has flows while there is a server here, and all share the way back for everyone', () => {
  const { put, desired, local } = opened()
  const client = (id: string, n: number) => {
    const mac_address = `02:00:00:00:00:0${n}`
    return { id, network_id: 'n1', mac_address, fixed_ips: [], dns_name: '', extra_dhcp_opts: [], segment_ids: ['s'] }
  }
  put('dhcp_client/p8', client('p8', 8))
  assert.equal(desired.slotsOf('dhcp_client/p8').length, 0)
  local.dhcp.set('n1', 20)
  const dhcp = {
    port_id: 'd',
    mac_address: '02:00:00:00:00:dd',
    fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.2' }],
  }
  put('network/n1', { ...networkOne, dhcp })
  const own = desired.slotsOf('dhcp_client/p8')
  assert.ok(own.length > 0)
  put('dhcp_client/p9', client('p9', 9))
  put('dhcp_client/p8', null)
  assert.equal(own.filter((slot) => desired.flows.has(slot)).length, 1)
  put('network/n1', { ...networkOne, dhcp, admin_state_up: false })
  assert.equal(desired.slotsOf('dhcp_client/p9').length, 0)
})

test('a rule changes its own flow alone, a member one flow a direction, a second port three shared ones', () => {
  const { put, desired } = opened()
  const group = { id: 'g1', generation: 1, stateful: true, rules: [sgRule({ remote_group_id: 'g1' })] }
  put('security_group/g1', group)
  put('port/p1', port('p1', { security_groups: ['g1'] }))
  const ruled = put('security_group/g1', {
    ...group,
    rules: [...group.rules, sgRule({ protocol: 6, port_range_min: 22, port_range_max: 22 })],
  })
  assert.equal(ruled.size, 1)
  const member = put('group_member/g1:p9', { id: 'g1:p9', security_group_id: 'g1', ip_addresses: ['10.0.0.9'] })
  assert.equal(member.size, 2)
  // The same address brought by another port is the same flow, and stays while either brings it.
  assert.equal(put('group_member/g1:p8', { id: 'g1:p8', security_group_id: 'g1', ip_addresses: ['10.0.0.9'] }).size, 2)
  put('group_member/g1:p9', null)
  assert.ok([...member].every((slot) => desired.flows.has(slot)))
  put('group_member/g1:p8', null)
  assert.ok([...member].every((slot) => !desired.flows.has(slot)))
  const own = desired.slotsOf('port/p1').length
  const second = put(
    'port/p2',
    port('p2', {
      security_groups: ['g1'],
      mac_address: '02:00:00:00:00:02',
      fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.2' }],
    }),
  )
  assert.equal(second.size, own + 1, 'its own flows and one flood list')
})
