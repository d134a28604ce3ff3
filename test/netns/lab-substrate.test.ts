/**
 * The lab's ground without server or agents: hosts and VMs as namespaces, traffic by flows written here, the probe,
 * repair of half-dead labs and their removal. Needs root and Open vSwitch.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inNamespace, run, tryRun } from '#lab/exec.ts'
import { hostNames } from '#lab/hosts.ts'
import { bringDown, bringUp, readStatus } from '#lab/lifecycle.ts'
import { hostNamespace, namespacePrefix, tapName, tunnelIp, vmNamespace } from '#lab/names.ts'
import { ovsProcesses, vsctl } from '#lab/ovs.ts'
import { isAlive, waitGone } from '#lab/processes.ts'
import { allPaths, probeVm, runProbe, summary } from '#lab/probe-run.ts'
import { openProbe } from '#lab/probe/session.ts'
import { isLossless } from '#lab/probe/tally.ts'
import { type Lab, listVms, writeVm } from '#lab/state.ts'
import { ping } from '#lab/tour/inside.ts'
import { plugVm, unpluggedVms, unplugVm } from '#lab/vm.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/sbin/ovs-vswitchd')
const skip = able ? false : 'needs root and Open vSwitch'
const NAME = 'testlab'
const quiet = (): void => undefined
const wish = { name: NAME, hosts: 2, datapath: 'netdev', server: 'none' } as const

let root = ''
let lab: Lab

const plug = async (name: string, host: string, index: number): Promise<void> => {
  const portId = `0000000${index}-0000-4000-8000-000000000000`
  const mac = `02:00:00:00:00:0${index}`
  const vm = { name, host, portId, networkId: 'n', mac, tap: tapName(portId), mtu: 1450, vmUuid: portId }
  const address = `10.0.0.${index}/24`
  await plugVm(lab, { vm, fixed: [address], gateway6: null })
  await writeVm(lab.paths, { ...vm, addresses: [address] })
}

/** A tunnel to the other host and a learning switch: enough to carry packets. */
const wire = async (host: string, peer: number): Promise<void> => {
  const options = `options:remote_ip=${tunnelIp(peer)} options:key=7`.split(' ')
  await vsctl(lab, host, [
    '--may-exist',
    'add-port',
    'br-int',
    'vx',
    '--',
    'set',
    'Interface',
    'vx',
    'type=vxlan',
    ...options,
  ])
}

before(async () => {
  if (!able) return
  root = await mkdtemp(join(tmpdir(), 'dlab-'))
  await bringDown(root, NAME)
  lab = await bringUp(root, wish, quiet)
  await plug('a', 'h1', 1)
  await plug('b', 'h1', 2)
  await plug('c', 'h2', 3)
  await wire('h1', 2)
  await wire('h2', 1)
})

after(async () => {
  if (!able) return
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

test('VMs reach each other on one host and across hosts, first packet included', { skip }, async () => {
  const vms = await listVms(lab.paths)
  const from = vms.find(({ name }) => name === 'a')
  assert.ok(from)
  for (const to of ['10.0.0.2', '10.0.0.3']) {
    const { sent, received } = await ping(lab, from, to, 5)
    assert.deepEqual([sent, received], [5, 5], to)
  }
})

test("the host's own kernel does not answer what belongs to the switch", { skip }, async () => {
  const counters = await run(inNamespace(hostNamespace(NAME, 'h2'), ['cat', '/proc/self/net/snmp']))
  const [names = '', values = ''] = counters.split('\n').filter((line) => line.startsWith('Udp:'))
  assert.equal(values.split(' ')[names.split(' ').indexOf('NoPorts')], '0', 'VXLAN packets reached the kernel')
})

test('a control window of the probe loses nothing; a deleted switch is seen', { skip, timeout: 60_000 }, async () => {
  const vms = await listVms(lab.paths)
  await using probe = await openProbe(
    vms.map((vm) => probeVm(lab, vm)),
    allPaths(vms),
  )
  const windows = []
  for (let i = 0; i < 3; i++) {
    windows.push(await probe.window(3))
    if (isLossless(windows.at(-1)?.flows ?? [])) break
  }
  const last = windows.at(-1)
  assert.ok(last && isLossless(last.flows), windows.map(({ flows }) => summary(flows)).join('\n'))
  assert.ok(
    last.flows.every(({ sent }) => sent >= 2900),
    'a thousand packets a second are sent',
  )

  const broken = await probe.window(2, async () => {
    await run(['ovs-ofctl', 'del-flows', `unix:${join(lab.paths.host('h1'), 'br-int.mgmt')}`])
    await new Promise((resolve) => setTimeout(resolve, 300))
    await run(['ovs-ofctl', 'add-flow', `unix:${join(lab.paths.host('h1'), 'br-int.mgmt')}`, 'actions=NORMAL'])
  })
  const lost = broken.flows.filter(({ from, to }) => from === 'a' && to === 'b').map((flow) => flow.lost)
  assert.ok((lost[0] ?? 0) > 200 && (lost[0] ?? 0) < 1500, `about 300 ms of packets are missing, not ${lost}`)
  assert.ok(!isLossless(broken.flows))
})

test('a probe with a harmful action is lossy, beside a lossless control', { skip, timeout: 60_000 }, async () => {
  const vms = await listVms(lab.paths)
  const order = {
    vms,
    paths: [{ from: 'a', to: 'c' }],
    seconds: 2,
    actions: [{ on: 'ovs', host: 'h2', what: 'restart' }] as const,
    attempts: 3,
  }
  const tools = { heardFrom: async () => true, otherBuild: async () => '', ownBuild: '' }
  const result = await runProbe(lab, order, tools, quiet)
  assert.equal(result.verdict, 'lossy')
  assert.ok((result.run?.flows[0]?.lost ?? 0) > 0)
  await run(['ovs-ofctl', 'add-flow', `unix:${join(lab.paths.host('h2'), 'br-int.mgmt')}`, 'actions=NORMAL'])
})

test('up mends a switch that was killed and a namespace that was deleted', { skip, timeout: 60_000 }, async () => {
  const { vswitchd } = ovsProcesses(lab.paths.host('h1'))
  assert.ok(isAlive(vswitchd))
  process.kill(vswitchd.pid, 'SIGKILL')
  assert.ok(await waitGone(vswitchd, 2_000))
  await run(['ip', 'netns', 'del', hostNamespace(NAME, 'h2')])
  const sick = await readStatus(lab)
  assert.equal(sick.hosts.find(({ host }) => host === 'h1')?.vswitchd, false)
  const said: string[] = []
  lab = await bringUp(root, wish, (line) => said.push(line))
  assert.ok((await readStatus(lab)).hosts.every((host) => host.ovsdb && host.vswitchd))
  const { code } = await tryRun(
    inNamespace(hostNamespace(NAME, 'h1'), ['ping', '-c', '3', '-i', '0.1', '-W', '1', tunnelIp(2)]),
  )
  assert.equal(code, 0, 'the underlay carries again')
  assert.deepEqual(await unpluggedVms(lab), ['c'])
  assert.ok(said.some((line) => line.includes('VM c lost its link')))
  const before = ovsProcesses(lab.paths.host('h1')).vswitchd
  lab = await bringUp(root, wish, quiet)
  assert.deepEqual(ovsProcesses(lab.paths.host('h1')).vswitchd, before, 'what stands is not touched')
})

test('fewer hosts or another datapath than the lab has are refused with what to do', { skip }, async () => {
  await assert.rejects(bringUp(root, { ...wish, hosts: 1 }, quiet), /has 2 hosts.*lab down/)
  await assert.rejects(bringUp(root, { ...wish, datapath: 'system' }, quiet), /netdev|no openvswitch module/)
})

test('a VM is gone without trace after del, also when half of it was gone before', { skip }, async () => {
  const vms = await listVms(lab.paths)
  await run(['ip', 'netns', 'del', vmNamespace(NAME, 'b')])
  for (const vm of vms) await unplugVm(lab, vm)
  assert.deepEqual(await listVms(lab.paths), [])
  assert.doesNotMatch(await vsctl(lab, 'h1', ['list-ports', 'br-int']), /tap/)
  assert.doesNotMatch(await run(['ip', 'netns', 'list']), /testlab-vm/)
})

test('down leaves nothing, and may be said twice', { skip }, async () => {
  const processes = hostNames(lab).flatMap((host) => Object.values(ovsProcesses(lab.paths.host(host))))
  assert.equal(await bringDown(root, NAME), true)
  assert.ok(processes.every((ref) => !isAlive(ref)))
  assert.doesNotMatch(await run(['ip', 'netns', 'list']), new RegExp(namespacePrefix(NAME).replaceAll('.', '\\.')))
  assert.deepEqual(await readdir(root).catch(() => []), [])
  assert.equal(await bringDown(root, NAME), false)
})
