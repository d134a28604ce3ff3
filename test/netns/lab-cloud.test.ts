/**
 * A whole cloud in the lab: the lab's own server and database, two hosts with agents, VMs with leases, and packets that
 * arrive or do not, while agents and server are killed and upgraded. Needs root and Open vSwitch.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Api, getPort, type PortFacts, waitForStatus } from '#lab/api.ts'
import { run, waitFor } from '#lab/exec.ts'
import { type Action, breakFlows } from '#lab/faults.ts'
import { bringDown, bringUp, labApi, readStatus } from '#lab/lifecycle.ts'
import { namespacePrefix } from '#lab/names.ts'
import { lossLines, runProbe, summary } from '#lab/probe-run.ts'
import { serverProcess } from '#lab/server.ts'
import { isAlive } from '#lab/processes.ts'
import { type Lab, listVms, readHost, type VmState } from '#lab/state.ts'
import { strikeTools } from '#lab/tools.ts'
import { knock, listenIn, ping, resolved, untilAnswered } from '#lab/tour/inside.ts'
import { addVm } from '#lab/vm-add.ts'
import { deletePortOf, unplugVm } from '#lab/vm.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/sbin/ovs-vswitchd') && existsSync('/usr/sbin/udhcpc')
const skip = able ? false : 'needs root, Open vSwitch and udhcpc'
const NAME = 'testcloud'
const quiet = (): void => undefined
const wish = { name: NAME, hosts: 2, datapath: 'netdev', server: 'own' } as const

let root = ''
let lab: Lab
let api: Api
const vms = new Map<string, VmState>()
const vm = (name: string): VmState => vms.get(name) as VmState
const ip = (name: string): string => vm(name).addresses[0]?.split('/')[0] ?? ''

const create = async (collection: string, kind: string, body: object): Promise<{ id: string }> =>
  (await api.call('POST', collection, { [kind]: body }))[kind] as { id: string }

const network = async (name: string): Promise<string> => {
  const { id } = await create('networks', 'network', { name })
  await create('subnets', 'subnet', { network_id: id, ip_version: 4, cidr: '10.0.0.0/24' })
  return id
}

const port = async (network_id: string, host: string, address: string, more = {}): Promise<PortFacts> => {
  const body = { network_id, 'binding:host_id': host, fixed_ips: [{ ip_address: address }], ...more }
  return (await create('ports', 'port', body)) as PortFacts
}

before(async () => {
  if (!able) return
  // Below /var/lib: the server's user must reach its data, the database's socket path must be short.
  root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dlab-'))
  await run(['chmod', '755', root])
  await bringDown(root, NAME)
  lab = await bringUp(root, wish, quiet)
  api = await labApi(lab)
})

after(async () => {
  if (!able) return
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('agents are alive in the API, for switching and for DHCP; up once more changes nothing', {
  skip,
  timeout: 60_000,
}, async () => {
  const { agents } = await api.call('GET', 'agents')
  assert.deepEqual((agents as { host: string; alive: boolean }[]).map(({ host, alive }) => [host, alive]).toSorted(), [
    ['h1', true],
    ['h1', true],
    ['h2', true],
    ['h2', true],
  ])
  const before = await readStatus(lab)
  lab = await bringUp(root, wish, quiet)
  assert.deepEqual(await readStatus(lab), before)
})

test('VMs get their leases, ports go from DOWN to ACTIVE', { skip, timeout: 90_000 }, async () => {
  const [blue, red] = [await network('blue'), await network('red')]
  const guarded = await create('security-groups', 'security_group', { name: 'guarded' })
  const rule = {
    security_group_id: guarded.id,
    direction: 'ingress',
    protocol: 'tcp',
    port_range_min: 8080,
    port_range_max: 8080,
  }
  await create('security-group-rules', 'security_group_rule', rule)
  const ports = {
    a: await port(blue, 'h1', '10.0.0.11'),
    b: await port(blue, 'h1', '10.0.0.12'),
    c: await port(blue, 'h2', '10.0.0.13'),
    w: await port(blue, 'h2', '10.0.0.14', { security_groups: [guarded.id] }),
    x: await port(red, 'h1', '10.0.0.21'),
    y: await port(red, 'h2', '10.0.0.13'),
  }
  for (const { status } of await Promise.all(Object.values(ports).map(({ id }) => getPort(api, id))))
    assert.equal(status, 'DOWN')
  const added = Object.entries(ports).map(async ([name, { id }]) => {
    vms.set(name, await addVm(lab, api, { name, port: id, host: null, dhcp: true }))
    assert.equal(await waitForStatus(api, id, 'ACTIVE', 5_000), 'ACTIVE', name)
  })
  await Promise.all(added)
  assert.deepEqual(['a', 'b', 'c', 'w', 'x', 'y'].map(ip), [
    '10.0.0.11',
    '10.0.0.12',
    '10.0.0.13',
    '10.0.0.14',
    '10.0.0.21',
    '10.0.0.13',
  ])
  const tag = namespacePrefix(NAME).replaceAll('.', '\\.')
  assert.match(await run(['ip', 'netns', 'list']), new RegExp(`^dhcp-${tag}h1-`, 'm'), "named after the lab's host")
})

test('one network is one wire, two networks are two, even with the same addresses', {
  skip,
  timeout: 60_000,
}, async () => {
  for (const to of ['b', 'c']) assert.equal((await ping(lab, vm('a'), ip(to), 5)).received, 5, `a to ${to}`)
  assert.equal((await ping(lab, vm('x'), ip('y'), 5)).received, 5)
  assert.equal(await resolved(lab, vm('a'), ip('c')), vm('c').mac)
  assert.equal(await resolved(lab, vm('x'), ip('y')), vm('y').mac)
  assert.equal((await ping(lab, vm('a'), ip('x'), 3)).received, 0)
})

test('a security group lets in what it says, and nothing else', { skip, timeout: 60_000 }, async () => {
  await using _listening = await listenIn(lab, vm('w'), [8080, 9090])
  assert.equal(await knock(lab, vm('a'), 'tcp', ip('w'), 8080), true)
  assert.equal(await knock(lab, vm('a'), 'tcp', ip('w'), 9090), false)
  assert.equal(await knock(lab, vm('a'), 'udp', ip('w'), 8080), false)
  assert.equal((await ping(lab, vm('w'), ip('a'), 2)).received, 0)
})

/** On one host and between hosts, both ways. */
const paths = [
  ['a', 'b'],
  ['b', 'a'],
  ['a', 'c'],
  ['c', 'a'],
].map(([from = '', to = '']) => ({ from, to }))

const lossless = async (actions: readonly Action[], seconds = 3): Promise<void> => {
  const chosen = ['a', 'b', 'c'].map(vm)
  const order = { vms: chosen, paths, seconds, actions, attempts: 4 }
  const { verdict, run: during } = await runProbe(lab, order, await strikeTools(lab), quiet)
  const seen = during ? [summary(during.flows), ...lossLines(during.flows)].join('\n') : 'no control was lossless'
  assert.equal(verdict, 'lossless', seen)
}

test('an agent stopped, killed and upgraded in place loses no packet', { skip, timeout: 120_000 }, async () => {
  await lossless([
    { on: 'agent', host: 'h1', what: 'TERM' },
    { on: 'agent', host: 'h2', what: 'KILL' },
    { on: 'agent', host: 'h1', what: 'upgrade' },
  ])
  const builds = await Promise.all(['h1', 'h2'].map(async (host) => (await readHost(lab.paths, host)).build))
  assert.notEqual(builds[0], builds[1])
  await lossless([{ on: 'agent', host: 'h1', what: 'downgrade' }])
})

test('a server killed loses no packet, and agents come back to the next', { skip, timeout: 90_000 }, async () => {
  await lossless([{ on: 'server', what: 'KILL' }])
  const since = Date.now()
  const back = await waitFor(
    async () => {
      const { agents } = await api.call('GET', 'agents')
      const rows = agents as { heartbeat_timestamp: string }[]
      return rows.every(({ heartbeat_timestamp: at }) => Date.parse(`${at.replace(' ', 'T')}Z`) > since)
    },
    { timeout: 20_000, every: 200 },
  )
  assert.ok(back, 'every agent has reported to the new server')
})

test('what is taken away behind the back of an agent comes back within 10 s', { skip, timeout: 60_000 }, async () => {
  await breakFlows(lab, 'h1')
  assert.ok((await untilAnswered(lab, vm('a'), ip('c'), 10_000)) !== null, 'flows')
  await deletePortOf(lab, vm('b'))
  assert.equal(await waitForStatus(api, vm('b').portId, 'DOWN', 10_000), 'DOWN', 'an unplugged port is DOWN')
})

test('a VM that goes leaves its port DOWN; down leaves nothing', { skip, timeout: 60_000 }, async () => {
  await unplugVm(lab, vm('c'))
  assert.equal(await waitForStatus(api, vm('c').portId, 'DOWN', 10_000), 'DOWN')
  assert.deepEqual(
    (await listVms(lab.paths)).map(({ name }) => name),
    ['a', 'b', 'w', 'x', 'y'],
  )
  const server = await serverProcess(lab.paths)
  assert.ok(isAlive(server))
  assert.equal(await bringDown(root, NAME), true)
  assert.ok(!isAlive(server))
  assert.doesNotMatch(await run(['ip', 'netns', 'list']), new RegExp(namespacePrefix(NAME).replaceAll('.', '\\.')))
  assert.equal(existsSync(lab.paths.dir), false)
})
