/**
 * A live migration by the lab's own commands, over HTTP and between real processes: server, agents, switches. The calls
 * are Nova's, in its order; the old host is clean afterwards, and a target that does not make ready changes nothing.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { getPort } from '#lab/api.ts'
import { run, waitFor } from '#lab/exec.ts'
import { readHost, readVm } from '#lab/state.ts'
import { type LabRig, labRig, skip } from './lab-rig.ts'

let rig: LabRig
let portId = ''
let mac = ''

const bindings = async (): Promise<string[]> => {
  const { bindings: all } = await rig.api.call('GET', `ports/${portId}/bindings`)
  return (all as { host: string; status: string }[]).map(({ host, status }) => `${host} ${status}`)
}
const flowsOf = async (host: string): Promise<string[]> => {
  const target = `unix:${join(rig.lab.paths.host(host), 'br-int.mgmt')}`
  return (await run(['ovs-ofctl', '-O', 'OpenFlow15', 'dump-flows', target])).split('\n')
}
const tapsOf = async (host: string): Promise<string[]> =>
  (await rig.inside(host, 'ip', '-br', 'link')).stdout.split('\n').filter((line) => line.startsWith('tap'))

before(async () => {
  if (skip) return
  rig = await labRig('testmigr', '--hosts', '2')
  const { id: network_id } = await rig.create('network', { name: 'moving' })
  await rig.create('subnet', { network_id, ip_version: 4, cidr: '10.0.0.0/24' })
  for (const [name, host] of [
    ['mover', 'h1'],
    ['peer', 'h2'],
  ] as const) {
    const port = { network_id, name, 'binding:host_id': host, device_owner: 'compute:nova', device_id: name }
    const { id } = await rig.create('port', port)
    await rig.must('vm', 'add', name, '--port', id)
    if (name === 'mover') portId = id
  }
  mac = (await readVm(rig.lab.paths, 'mover'))?.mac ?? ''
  assert.match(mac, /^fa:16:3e/)
})

after(async () => {
  if (!skip) await rig.close()
})

test('a VM moves under a ping; its old host keeps nothing of it', { skip, timeout: 90_000 }, async (t) => {
  const address = await rig.addressOf('mover')
  const pinging = rig.inside('peer', 'ping', '-q', '-i', '0.01', '-c', '500', '-W', '1', address)
  await pause(1000)
  t.diagnostic((await rig.must('vm', 'migrate', 'mover', '--to', 'h2')).trim())
  const [, received] = /500 packets transmitted, (\d+) received/.exec((await pinging).stdout) ?? []
  t.diagnostic(`${received} of 500 pings answered`)
  assert.ok(Number(received) >= 480, 'no more is lost than in 200 ms')
  const port = await getPort(rig.api, portId)
  assert.deepEqual([port['binding:host_id'], port.status], ['h2', 'ACTIVE'])
  assert.deepEqual(await bindings(), ['h2 ACTIVE'])
  assert.equal((await readVm(rig.lab.paths, 'mover'))?.host, 'h2')
  // It still serves DHCP there, so it knows where the network's ports are: one flow to find it, one answer for it.
  const left = async (): Promise<string[]> =>
    (await flowsOf('h1')).filter((line) => line.includes(mac) && !/table=(28|31),/.test(line))
  assert.ok(await waitFor(async () => (await left()).length === 0, { timeout: 5_000 }), (await left()).join('\n'))
  const ports = await run(['ovs-vsctl', `--db=unix:${rig.lab.paths.ovsdb('h1')}`, 'list-ports', 'br-int'])
  assert.doesNotMatch(ports, /^tap/m)
  assert.deepEqual(await tapsOf('h1'), [])
  const { realizations } = await rig.api.call('GET', `realizations?host=h1&id=${portId}`)
  assert.deepEqual(realizations, [])
})

test('a target that does not make ready keeps nothing, and the VM goes on where it was', {
  skip,
  timeout: 90_000,
}, async () => {
  const { agent } = await readHost(rig.lab.paths, 'h1')
  assert.ok(agent)
  process.kill(agent.pid, 'SIGSTOP')
  try {
    const { code, stderr } = await rig.deuteron('vm', 'migrate', 'mover', '--to', 'h1')
    assert.equal(code, 1)
    assert.match(stderr, /h1 did not make port .* ready within 10 s; it says nothing/)
  } finally {
    process.kill(agent.pid, 'SIGCONT')
  }
  assert.deepEqual(await bindings(), ['h2 ACTIVE'])
  assert.deepEqual(await tapsOf('h1'), [])
  assert.ok(await rig.reaches('peer', await rig.addressOf('mover')))
})

test('and back: with its agent well the same move is made', { skip, timeout: 90_000 }, async () => {
  await rig.must('vm', 'migrate', 'mover', '--to', 'h1')
  assert.deepEqual(await bindings(), ['h1 ACTIVE'])
  assert.ok(await rig.reaches('peer', await rig.addressOf('mover')))
  const { code, stderr } = await rig.deuteron('vm', 'migrate', 'mover', '--to', 'h9')
  assert.deepEqual([code, stderr.trim()], [1, 'deuteron lab vm: there is no host h9; there are h1, h2'])
})
