/**
 * A routed network in the lab: one network, a segment and a subnet in each of two racks, and between them a router that
 * is none of ours. Where a port is first bound decides its address; DHCP tells its guest the way to the other rack.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getPort } from '#lab/api.ts'
import { readVm } from '#lab/state.ts'
import { type LabRig, labRig, skip } from './lab-rig.ts'

type Rack = 1 | 2
const RACKS = [1, 2] as const
const cidrOf = (rack: Rack): string => `10.${rack}.0.0/24`
const gatewayOf = (rack: Rack): string => `10.${rack}.0.1`
/** h1 and h3 are in the first rack, h2 in the second. */
const GUESTS = [
  ['one', 'h1', 1],
  ['two', 'h2', 2],
  ['three', 'h3', 1],
] as const

let rig: LabRig
let networkId = ''
const ports = new Map<string, string>()

const routesOf = async (vm: string): Promise<string> => (await rig.inside(vm, 'ip', '-4', 'route')).stdout
/** The time to live of an answer: one less for each router on the way back. */
const ttlFrom = async (vm: string, address: string): Promise<number> =>
  Number(/ttl=(\d+)/.exec((await rig.inside(vm, 'ping', '-c', '1', '-W', '2', address)).stdout)?.[1] ?? 0)

before(async () => {
  if (skip) return
  rig = await labRig('testroute', '--hosts', '3', '--topology', 'racks')
  const segments = RACKS.map((rack) => ({
    'provider:network_type': 'flat',
    'provider:physical_network': `physnet-rack${rack}`,
  }))
  networkId = (await rig.create('network', { name: 'fabric', segments })).id
  const { segments: made } = await rig.api.call('GET', `segments?network_id=${networkId}`)
  for (const rack of RACKS) {
    const segment = (made as { id: string; physical_network: string }[]).find((one) =>
      one.physical_network.endsWith(String(rack)),
    )
    const subnet = { network_id: networkId, ip_version: 4, cidr: cidrOf(rack), segment_id: segment?.id }
    await rig.create('subnet', subnet)
    const set = ['ip', 'addr', 'add', `${gatewayOf(rack)}/24`, 'dev', `rack${rack}`]
    assert.equal((await rig.inside('router', ...set)).code, 0)
  }
})

after(async () => {
  if (!skip) await rig.close()
})

test('a port waits for its host, which decides its segment and its address', { skip, timeout: 90_000 }, async () => {
  for (const [name, host, rack] of GUESTS) {
    const waiting = await rig.create('port', { network_id: networkId, name })
    assert.deepEqual([waiting['fixed_ips'], waiting['ip_allocation']], [[], 'deferred'])
    ports.set(name, waiting.id)
    await rig.must('vm', 'add', name, '--port', waiting.id, '--host', host)
    const bound = await getPort(rig.api, waiting.id)
    const [address, ...more] = bound.fixed_ips.map(({ ip_address }) => ip_address)
    assert.match(address ?? '', new RegExp(`^10\\.${rack}\\.0\\.`))
    assert.deepEqual(more, [])
    assert.deepEqual((await readVm(rig.lab.paths, name))?.addresses, [`${address}/24`], 'and DHCP gives it')
  }
  const { network } = (await rig.api.call('GET', `networks/${networkId}`)) as { network: { l2_adjacency: boolean } }
  assert.equal(network.l2_adjacency, false)
})

test('DHCP tells each guest the way to the other rack, and its own gateway', { skip, timeout: 30_000 }, async () => {
  for (const [name, , rack] of GUESTS) {
    const other: Rack = rack === 1 ? 2 : 1
    const routes = await routesOf(name)
    assert.match(routes, new RegExp(`^${cidrOf(other).replaceAll('.', '\\.')} via ${gatewayOf(rack)} `, 'm'))
    assert.match(routes, new RegExp(`^default via ${gatewayOf(rack)} `, 'm'))
  }
})

test('guests of one rack meet directly, those of two through the router', { skip, timeout: 60_000 }, async () => {
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => rig.addressOf(name)))
  assert.equal(await ttlFrom('one', three ?? ''), 64)
  assert.equal(await ttlFrom('one', two ?? ''), 63)
  assert.equal(await ttlFrom('two', three ?? ''), 63)
  assert.equal(await ttlFrom('three', one ?? ''), 64)
  await rig.inside('router', 'ip', 'link', 'set', 'rack2', 'down')
  assert.ok(!(await rig.reaches('one', two ?? '')), 'nothing of ours joins the racks')
  assert.ok(await rig.reaches('one', three ?? ''))
  await rig.inside('router', 'ip', 'link', 'set', 'rack2', 'up')
  assert.ok(await rig.reaches('one', two ?? ''))
})

test('a guest moves within its rack, and not to the other, where its address means nothing', {
  skip,
  timeout: 60_000,
}, async () => {
  const refused = await rig.deuteron('vm', 'migrate', 'one', '--to', 'h2')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /409 Binding for port .* on host h2 could not be created/)
  assert.equal((await getPort(rig.api, ports.get('one') ?? ''))['binding:host_id'], 'h1')
  await rig.must('vm', 'migrate', 'one', '--to', 'h3')
  assert.ok(await rig.reaches('one', await rig.addressOf('two')))
  assert.ok(await rig.reaches('one', await rig.addressOf('three')))
})
