/**
 * A live migration by the lab's own commands, over HTTP and between real processes: server, agents, switches. The calls
 * are Nova's, in its order; the old host is clean afterwards, and a target that does not make ready changes nothing.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Api, getPort } from '#lab/api.ts'
import { type Ran, run, tryRun, waitFor } from '#lab/exec.ts'
import { bringDown, labApi } from '#lab/lifecycle.ts'
import { hostNamespace, vmNamespace } from '#lab/names.ts'
import { type Lab, openLab, readVm } from '#lab/state.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/sbin/ovs-vswitchd') && existsSync('/usr/sbin/udhcpc')
const skip = able ? false : 'needs root, Open vSwitch and udhcpc'
const NAME = 'testmigr'
const DEUTERON = join(import.meta.dirname, '../../deuteron')

let root = ''
let lab: Lab
let api: Api
let portId = ''
let mac = ''

/** Runs `deuteron lab …` as an operator would. */
const deuteron = (...argv: string[]): Promise<Ran> =>
  tryRun([DEUTERON, 'lab', ...argv, '--name', NAME], {
    env: { ...process.env, DEUTERON_LAB_DIR: root },
    timeout: 120_000,
  })
const must = async (...argv: string[]): Promise<string> => {
  const { code, stdout, stderr } = await deuteron(...argv)
  assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`)
  return stdout
}
/** Without `--name` behind: what comes after `--` is the command's own. */
const inside = async (place: string, ...command: string[]): Promise<string> => {
  const ns = place.startsWith('h') ? hostNamespace(NAME, place) : vmNamespace(NAME, place)
  return run(['ip', 'netns', 'exec', ns, ...command])
}
const create = async (collection: string, kind: string, body: object): Promise<{ id: string }> =>
  (await api.call('POST', collection, { [kind]: body }))[kind] as { id: string }
const bindings = async (): Promise<string[]> => {
  const all = (await api.call('GET', `ports/${portId}/bindings`))['bindings'] as { host: string; status: string }[]
  return all.map(({ host, status }) => `${host} ${status}`)
}

before(async () => {
  if (!able) return
  root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dlab-'))
  await run(['chmod', '755', root])
  await bringDown(root, NAME)
  await must('up', '--hosts', '2')
  lab = (await openLab(root, NAME)) as Lab
  api = await labApi(lab)
  const { id: network_id } = await create('networks', 'network', { name: 'moving' })
  await create('subnets', 'subnet', { network_id, ip_version: 4, cidr: '10.0.0.0/24' })
  for (const [name, host] of [
    ['mover', 'h1'],
    ['peer', 'h2'],
  ] as const) {
    const port = { network_id, name, 'binding:host_id': host, device_owner: 'compute:nova', device_id: name }
    const made = await create('ports', 'port', port)
    await must('vm', 'add', name, '--port', made.id)
    if (name === 'mover') portId = made.id
  }
  mac = (await readVm(lab.paths, 'mover'))?.mac ?? ''
  assert.match(mac, /^fa:16:3e/)
})

after(async () => {
  if (!able) return
  await bringDown(root, NAME)
  await rm(root, { recursive: true, force: true })
})

const addressOf = async (vm: string): Promise<string> =>
  ((await readVm(lab.paths, vm))?.addresses[0] ?? '').split('/')[0] ?? ''
const flowsOf = async (host: string): Promise<string[]> => {
  const target = `unix:${join(lab.paths.host(host), 'br-int.mgmt')}`
  return (await run(['ovs-ofctl', '-O', 'OpenFlow15', 'dump-flows', target])).split('\n')
}

test('a VM moves under a ping; its old host keeps nothing of it', { skip, timeout: 90_000 }, async (t) => {
  const pinging = inside('peer', 'ping', '-q', '-i', '0.01', '-c', '500', '-W', '1', await addressOf('mover'))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.diagnostic((await must('vm', 'migrate', 'mover', '--to', 'h2')).trim())
  const [, received] = /500 packets transmitted, (\d+) received/.exec(await pinging) ?? []
  t.diagnostic(`${received} of 500 pings answered`)
  assert.ok(Number(received) >= 480, 'no more is lost than in 200 ms')
  const port = await getPort(api, portId)
  assert.deepEqual([port['binding:host_id'], port.status], ['h2', 'ACTIVE'])
  assert.deepEqual(await bindings(), ['h2 ACTIVE'])
  assert.equal((await readVm(lab.paths, 'mover'))?.host, 'h2')
  // It still serves DHCP there, so it knows where the network's ports are: one flow to find it, one answer for it.
  const left = async (): Promise<string[]> =>
    (await flowsOf('h1')).filter((line) => line.includes(mac) && !/table=(28|31),/.test(line))
  assert.ok(await waitFor(async () => (await left()).length === 0, { timeout: 5_000 }), (await left()).join('\n'))
  const ports = await run(['ovs-vsctl', `--db=unix:${lab.paths.ovsdb('h1')}`, 'list-ports', 'br-int'])
  assert.doesNotMatch(ports, /^tap/m)
  assert.doesNotMatch(await inside('h1', 'ip', '-br', 'link'), /^tap/m)
  const { realizations } = await api.call('GET', `realizations?host=h1&id=${portId}`)
  assert.deepEqual(realizations, [])
})

test('a target that does not make ready keeps nothing, and the VM goes on where it was', {
  skip,
  timeout: 90_000,
}, async () => {
  const { agent } = JSON.parse(await run(['cat', join(lab.paths.host('h1'), 'host.json')])) as {
    agent: { pid: number }
  }
  process.kill(agent.pid, 'SIGSTOP')
  try {
    const { code, stderr } = await deuteron('vm', 'migrate', 'mover', '--to', 'h1')
    assert.equal(code, 1)
    assert.match(stderr, /h1 did not make port .* ready within 10 s; it says nothing/)
  } finally {
    process.kill(agent.pid, 'SIGCONT')
  }
  assert.deepEqual(await bindings(), ['h2 ACTIVE'])
  assert.doesNotMatch(await inside('h1', 'ip', '-br', 'link'), /^tap/m)
  await inside('peer', 'ping', '-q', '-c', '2', '-i', '0.1', '-W', '1', await addressOf('mover'))
})

test('and back: with its agent well the same move is made', { skip, timeout: 90_000 }, async () => {
  await must('vm', 'migrate', 'mover', '--to', 'h1')
  assert.deepEqual(await bindings(), ['h1 ACTIVE'])
  await inside('peer', 'ping', '-q', '-c', '2', '-i', '0.1', '-W', '1', await addressOf('mover'))
  const { code, stderr } = await deuteron('vm', 'migrate', 'mover', '--to', 'h9')
  assert.deepEqual([code, stderr.trim()], [1, 'deuteron lab vm: there is no host h9; there are h1, h2'])
})
