/** Text → bytes → a real ovs-vswitchd → dump: keys and instructions must come back equal, and equal to ovs-ofctl's. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from '#kernel/log.ts'
import { ovsMissing, type PrivateOvs, startOvs } from '../../../test/lib/ovs.ts'
import { connectSwitch, type SwitchClient } from './client.ts'
import { OpenFlowError } from './errors.ts'
import { type Flow, formatFlow, type Group, instructionsOf, keyOfFlow } from './flow.ts'
import { keyOfGroup } from './messages.ts'
import type { FlowUpdate, MonitorUpdate } from './replies.ts'
import { createSwitchSession } from './session.ts'
import { matchTexts } from './samples.testlib.ts'

const skip = ovsMissing() ?? false
let ovs: PrivateOvs
let client: SwitchClient
const open = (): Promise<SwitchClient> => connectSwitch({ target: ovs.mgmt('ofbr'), log: silentLogger })
before(async () => {
  if (skip !== false) return
  ovs = await startOvs()
  await ovs.vsctl('add-br', 'ofbr', '--', 'set', 'bridge', 'ofbr', 'datapath_type=netdev', 'fail_mode=secure')
  client = await open()
})
after(async () => {
  client?.close()
  await ovs?.stop()
})

const flow = (match: string, actions: string, priority = 100): Flow => ({
  table: 3,
  priority,
  cookie: 0x1234n,
  match,
  actions,
})
const clear = (): Promise<void> => client.bundle([{ op: 'delete-where', table: null, cookie: 0n, mask: 0n }])
/** A file for `ovs-ofctl add-flows`. */
const writeFlows = (flows: readonly Flow[]): string => {
  const path = join(ovs.dir, 'flows.txt')
  writeFileSync(path, flows.map(formatFlow).join('\n'))
  return path
}
/** What ovs-ofctl prints of each flow, without what time changes. */
const printed = async (): Promise<string[]> =>
  (await ovs.ofctl('dump-flows', 'ofbr', '--no-stats', '--no-names', '--sort=priority'))
    .split('\n')
    .filter((line) => line.includes('actions='))
    .map((line) => line.trim())

const ACTIONS = [
  'drop',
  '',
  'output:5',
  'output:NXM_NX_REG0[0..15]',
  'output:reg7[]',
  'in_port',
  'local',
  'all',
  'flood',
  'normal',
  'controller',
  'goto_table:7',
  'resubmit(,4)',
  'resubmit(3,4)',
  'resubmit:4',
  'load:5->NXM_NX_REG0[3..9]',
  'load:0x7->reg1[]',
  'load:0->NXM_OF_IN_PORT[]',
  'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
  'move:arp_spa[]->arp_tpa[]',
  'set_field:1->reg3',
  'set_field:0x800/0xf00->reg1',
  'set_field:5->xreg1',
  'set_field:7->tun_id',
  'set_field:10.0.0.1->tun_dst',
  'set_field:02:00:00:00:00:01->eth_dst',
  'set_field:0x5->metadata',
  'set_field:9->pkt_mark',
  'mod_dl_src:02:00:00:00:00:02',
  'mod_dl_dst:02:00:00:00:00:03,output:1',
  'ct_clear,resubmit(,9)',
  'ct(table=7)',
  'ct(table=7,zone=5)',
  'ct(commit,zone=NXM_NX_REG1[0..15])',
  'ct(commit,force,zone=reg1[16..31],table=7,exec(set_field:1->ct_mark,set_field:0x1/0xff->ct_label))',
  'ct(commit,zone=1,exec(load:0x1->NXM_NX_CT_MARK[0]))',
  'push_vlan:0x8100,set_field:4106->vlan_vid,output:1',
  'group:9',
  'set_queue:2,output:1',
  'clone(set_field:1->reg3,output:1),output:2',
  'write_metadata:0x5/0xf,goto_table:8',
  'set_field:1->reg0,set_field:2->reg1,resubmit(,5),output:3',
]
const IP_ACTIONS = [
  'dec_ttl,output:1',
  'ct(table=7,zone=3,nat)',
  'ct(commit,table=7,zone=3,nat(src=10.0.0.1))',
  'ct(commit,zone=3,nat(src=10.0.0.1-10.0.0.9:5-9,random))',
  'ct(commit,zone=3,nat(dst=192.0.2.1:80))',
  'ct(commit,zone=3,nat(src=10.0.0.1-10.0.0.9,hash,persistent))',
  'set_field:10.0.0.9->nw_src,set_field:80->tcp_dst',
  'set_field:10.0.0.9->ip_dst',
]
const IP6_ACTIONS = [
  'ct(commit,zone=3,nat(src=fd00::1))',
  'ct(commit,zone=3,nat(dst=[fd00::1]-[fd00::9]:80))',
  'set_field:fd00::5->ipv6_dst',
]
const ND_ACTIONS = [
  'move:NXM_NX_ND_TARGET[]->NXM_NX_IPV6_SRC[],set_field:136->icmpv6_type,set_field:0xe0000000->nd_reserved,in_port',
  'set_field:2->nd_options_type',
]
const WITH_MATCH: readonly (readonly [match: string, actions: readonly string[]])[] = [
  ['arp', ACTIONS.filter((text) => !text.startsWith('ct(') && !text.startsWith('push_vlan'))],
  ['ip', ACTIONS.filter((text) => text.startsWith('ct('))],
  ['dl_vlan=5', ['pop_vlan,output:1', 'strip_vlan,output:1']],
  ['dl_type=0x800,vlan_tci=0', ['push_vlan:0x8100,set_field:4106->vlan_vid,output:1']],
  ['tcp', IP_ACTIONS],
  ['tcp6', IP6_ACTIONS],
  ['icmp6,icmp_type=135,icmp_code=0', ND_ACTIONS],
  ['conj_id=3', ['output:1']],
  ['tcp,tp_dst=80', ['conjunction(3,1/2)', 'conjunction(3,2/2),conjunction(70000,1/3)']],
]

test('every action comes back as sent and as ovs-ofctl would have sent it', { skip }, async () => {
  await clear()
  await client.bundle([{ op: 'set-group', group: { id: 9, type: 'all', buckets: [] } }])
  const cases = WITH_MATCH.flatMap(([match, list]) => list.map((actions) => ({ match, actions })))
  const flows = cases.map(({ match, actions }, i) => ({ ...flow(match, actions, 1000 + i), cookie: BigInt(i) }))
  await client.bundle(flows.map((one) => ({ op: 'add', flow: one })))
  const dumped = new Map((await client.dumpFlows()).map((one) => [one.key, one]))
  for (const one of flows) {
    const found = dumped.get(keyOfFlow(one))
    assert.ok(found, `not found again: ${formatFlow(one)}`)
    assert.equal(found.cookie, one.cookie)
    assert.equal(found.instructions, instructionsOf(one), formatFlow(one))
  }
  const ours = await printed()
  await clear()
  await ovs.ofctl('add-flows', 'ofbr', writeFlows(flows))
  const theirs = await printed()
  assert.equal(ours.length, flows.length)
  assert.deepEqual(ours, theirs)
})

test('every match comes back under its key, and prints as the one ovs-ofctl adds', { skip }, async () => {
  const samples = fc.sample(matchTexts, { numRuns: 1500, seed: 7 })
  const flows = samples.map((match, i) => ({ ...flow(match, 'drop', 1 + i), cookie: BigInt(i) }))
  await clear()
  await client.bundle(flows.map((one) => ({ op: 'add', flow: one })))
  const dumped = new Map((await client.dumpFlows()).map((one) => [one.cookie, one]))
  for (const one of flows) assert.equal(dumped.get(one.cookie)?.key, keyOfFlow(one), formatFlow(one))
  const ours = await printed()
  await clear()
  await ovs.ofctl('add-flows', 'ofbr', writeFlows(flows))
  assert.deepEqual(ours, await printed())
})

test('a refused change leaves everything as it was and is named', { skip }, async () => {
  await clear()
  await client.bundle([{ op: 'add', flow: flow('arp', 'output:1') }])
  const refused: [actions: string, reason: string][] = [
    ['group:4711', 'BAD_ACTION/BAD_OUT_GROUP'],
    ['dec_ttl', 'BAD_ACTION/MATCH_INCONSISTENT'],
    ['meter:99', 'METER_MOD_FAILED/INVALID_METER'],
  ]
  for (const [actions, reason] of refused) {
    const bad = flow('reg1=1', actions)
    const bundle = client.bundle([
      { op: 'delete-where', table: null, cookie: 0n, mask: 0n },
      { op: 'add', flow: flow('reg1=0', 'drop') },
      { op: 'add', flow: bad },
    ])
    await assert.rejects(bundle, (error) => {
      assert.ok(error instanceof OpenFlowError)
      assert.equal(error.reason, reason)
      assert.equal(error.what, `add ${formatFlow(bad)}`)
      return true
    })
    assert.deepEqual(
      (await client.dumpFlows()).map(({ key }) => key),
      [keyOfFlow(flow('arp', ''))],
    )
  }
})

test('modify keeps counters, delete is exact, delete-where goes by cookie', { skip }, async () => {
  await clear()
  const a = flow('reg1=1', 'drop')
  const b = { ...flow('reg1=1', 'drop', 50), cookie: 0xff000001n }
  await client.bundle([
    { op: 'add', flow: a },
    { op: 'add', flow: b },
  ])
  await client.bundle([{ op: 'modify', flow: { ...a, actions: 'output:1' } }])
  assert.equal(
    (await client.dumpFlows({ cookie: a.cookie, cookieMask: ~0n & 0xffffffffffffffffn }))[0]?.instructions,
    instructionsOf({ ...a, actions: 'output:1' }),
  )
  await client.bundle([{ op: 'delete', flow: { ...a, priority: 51 } }])
  assert.equal((await client.dumpFlows()).length, 2)
  await client.bundle([{ op: 'delete', flow: a }])
  assert.deepEqual(
    (await client.dumpFlows({ table: 3 })).map(({ key }) => key),
    [keyOfFlow(b)],
  )
  await client.bundle([{ op: 'delete-where', table: 3, cookie: 0xff000000n, mask: 0xff000000n }])
  assert.deepEqual(await client.dumpFlows(), [])
})

test('groups come back under their key; meters limit; ports are listed', { skip }, async () => {
  const groups: Group[] = [
    {
      id: 1,
      type: 'all',
      buckets: [
        { id: 0, actions: 'output:1' },
        { id: 1, actions: 'set_field:3->reg1,resubmit(,4)' },
      ],
    },
    { id: 2, type: 'indirect', buckets: [{ id: 0, actions: 'output:2' }] },
    {
      id: 3,
      type: 'select',
      hash: ['ip_src', 'ip_dst', 'ip_proto'],
      buckets: [
        { id: 5, weight: 10, actions: 'output:1' },
        { id: 6, watchPort: 3, actions: 'output:2' },
      ],
    },
    { id: 4, type: 'ff', buckets: [{ id: 1, watchPort: 1, actions: 'output:1' }] },
  ]
  await client.bundle(groups.map((group) => ({ op: 'set-group', group })))
  const dumped = new Map((await client.dumpGroups()).map(({ id, key }) => [id, key]))
  for (const group of groups) assert.equal(dumped.get(group.id), keyOfGroup(group), JSON.stringify(group))
  await client.bundle([1, 2, 3, 4].map((id) => ({ op: 'delete-group', id })))
  const meter = { id: 7, unit: 'kbps', rate: 1000, burst: 50 } as const
  await client.meter('add', meter)
  await assert.rejects(client.meter('add', meter), /METER_EXISTS/)
  await client.bundle([{ op: 'add', flow: flow('reg1=1', 'meter:7,output:1') }])
  assert.deepEqual(await client.dumpMeters(), [7])
  await client.meter('delete', meter)
  assert.deepEqual(await client.dumpMeters(), [])
  const local = (await client.ports()).find(({ name }) => name === 'ofbr')
  assert.equal(local?.number, 0xfffffffe)
})

test('a conntrack zone is emptied, its neighbour is not', { skip }, async () => {
  // Ethernet, IPv4 10.0.0.1 → 10.0.0.2 with its checksum, UDP 7 → 9 without one, no data.
  const frame = '02000000000202000000000108004500001c000000004011 66cf0a0000010a000002 0007000900080000'.replaceAll(
    ' ',
    '',
  )
  const commit = (zone: number): Promise<string> =>
    ovs.ofctl('packet-out', 'ofbr', `in_port=local,packet=${frame},actions=ct(commit,zone=${zone})`)
  const zones = async (): Promise<string[]> =>
    ((await ovs.appctl('dpctl/dump-conntrack')).match(/zone=\d+/g) ?? []).sort()
  await commit(65535)
  await commit(4712)
  assert.deepEqual(await zones(), ['zone=4712', 'zone=65535'])
  await client.flushZone(65535)
  assert.deepEqual(await zones(), ['zone=4712'])
  await client.flushZone(4712)
  assert.deepEqual(await zones(), [])
})

test('the monitor tells what others do and marks what we do', { skip }, async () => {
  await clear()
  const watching = await open()
  const updates: MonitorUpdate[] = []
  await watching.monitorFlows((some) => updates.push(...some))
  const mine = flow('reg2=1', 'output:1')
  await watching.bundle([{ op: 'add', flow: mine }])
  await watching.barrier()
  assert.deepEqual(
    updates.map(({ event }) => event),
    ['own'],
  )
  updates.length = 0
  await ovs.ofctl('add-flow', 'ofbr', 'table=3,priority=7,reg2=9,actions=output:2')
  await ovs.ofctl('mod-flows', 'ofbr', 'table=3,reg2=1,actions=drop')
  await ovs.ofctl('del-flows', 'ofbr', 'table=3,reg2=1')
  await watching.barrier()
  const full = updates as FlowUpdate[]
  assert.deepEqual(
    full.map(({ event }) => event),
    ['added', 'modified', 'removed'],
  )
  assert.equal(full[0]?.instructions, instructionsOf(flow('reg2=9', 'output:2')))
  assert.equal(full[1]?.key, keyOfFlow(mine))
  assert.equal(full[2]?.key, keyOfFlow(mine))
  watching.close()
})

test('10,000 flows go in with one bundle, and are read back', { skip }, async (context) => {
  await clear()
  const mac = (i: number): string =>
    `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`
  const flows = Array.from({ length: 10_000 }, (_, i) =>
    flow(`reg1=0x5,dl_dst=${mac(i)}`, 'set_field:7->reg2,resubmit(,9)'),
  )
  const start = performance.now()
  await client.bundle(flows.map((one) => ({ op: 'add', flow: one })))
  const added = performance.now()
  const keys = new Set((await client.dumpFlows()).map(({ key }) => key))
  const read = performance.now()
  assert.equal(keys.size, flows.length)
  assert.ok(flows.every((one) => keys.has(keyOfFlow(one))))
  context.diagnostic(`10,000 flows: bundle ${(added - start).toFixed(0)} ms, dump ${(read - added).toFixed(0)} ms`)
  assert.ok(added - start < 3_000, `${added - start} ms`)
  await clear()
})

test('a session tells down and up across a restart of the switch, and fails what was under way', { skip }, async () => {
  const downs: Error[] = []
  let ups = 0
  const options = { target: ovs.mgmt('ofbr'), log: silentLogger, retry: { firstMs: 20, maxMs: 100 } }
  const session = createSwitchSession(options)
  session.onUp(() => ups++)
  session.onDown((reason) => downs.push(reason))
  const until = async (what: string, check: () => boolean): Promise<void> => {
    for (const deadline = Date.now() + 8_000; !check(); ) {
      assert.ok(Date.now() < deadline, `never: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  await until('it connects', () => ups === 1)
  const first = session.client
  assert.ok(first)
  await first.barrier()
  await ovs.stopSwitch()
  await until('the loss is told', () => downs.length === 1)
  assert.equal(session.client, null)
  await assert.rejects(first.barrier(), /closed/)
  await ovs.startSwitch()
  await until('it is back', () => ups === 2)
  const second = session.client as SwitchClient | null
  await second?.bundle([{ op: 'add', flow: flow('reg1=1', 'drop') }])
  await session.close()
  await assert.rejects(
    connectSwitch({ target: ovs.mgmt('nobr'), log: silentLogger }),
    /cannot connect to unix:.*nobr\.mgmt/,
  )
})
