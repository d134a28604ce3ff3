import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseOpenrc, type PortFacts, type SubnetFacts } from './api.ts'
import { belongsTo, hostNamespace, labNameIssue, namespacePrefix, vmNamespace } from './names.ts'
import { isAlive, refOf, startDetached, terminate } from './processes.ts'
import { readJson, writeJson } from './state.ts'
import { duration, styleFor, table, widthOf } from './text.ts'
import { parsePing } from './tour/inside.ts'
import { buildVariant, PATCHES } from './variant.ts'
import { planPlug } from './vm-add.ts'
import { plugArguments } from './vm.ts'

const labName = fc.stringMatching(/^[a-z][a-z0-9]{0,11}$/)

test("no lab's namespaces are mistaken for another's", () => {
  fc.assert(
    fc.property(labName, labName, fc.constantFrom('h1', 'underlay', 'vm-a'), (one, other, thing) => {
      assert.equal(labNameIssue(one), null)
      const mine = `${namespacePrefix(one)}${thing}`
      for (const namespace of [mine, `dhcp-${mine}-01234567`]) {
        assert.ok(belongsTo(one, namespace))
        assert.equal(belongsTo(other, namespace), one === other)
      }
    }),
  )
  assert.equal(hostNamespace('default', 'h1'), 'dl-h1')
  assert.equal(vmNamespace('blue', 'a'), 'dl.blue-vm-a')
  for (const bad of ['', 'Blue', 'a.b', 'a-b', '1a', 'thirteenchars']) assert.ok(labNameIssue(bad))
})

test('an openrc file is read as a shell would', () => {
  const text =
    '# for you\nexport OS_USERNAME=admin\nexport OS_PASSWORD="p=1 2"\nOS_AUTH_URL=\'http://x/v3\'\nunset OS_TOKEN\n'
  assert.deepEqual(parseOpenrc(text), { OS_USERNAME: 'admin', OS_PASSWORD: 'p=1 2', OS_AUTH_URL: 'http://x/v3' })
})

const port: PortFacts = {
  id: '11111111-2222-3333-4444-555555555555',
  network_id: 'n',
  mac_address: 'fa:16:3e:00:00:01',
  status: 'DOWN',
  device_id: '',
  'binding:host_id': 'h1',
  'binding:vif_type': 'ovs',
  fixed_ips: [
    { subnet_id: 'four', ip_address: '10.0.0.5' },
    { subnet_id: 'six', ip_address: 'fd00::5' },
  ],
}
const subnets: SubnetFacts[] = [
  { id: 'four', cidr: '10.0.0.0/24', ip_version: 4, enable_dhcp: true, gateway_ip: '10.0.0.1', ipv6_ra_mode: null },
  { id: 'six', cidr: 'fd00::/64', ip_version: 6, enable_dhcp: true, gateway_ip: 'fd00::1', ipv6_ra_mode: null },
]

test('a VM leaves IPv4 to its DHCP client unless told not to; IPv6 is set by hand', () => {
  const order = { name: 'a', host: 'h1', vmUuid: 'u', dhcp: true }
  const plug = planPlug(order, port, 1450, subnets)
  assert.deepEqual([plug.fixed, plug.gateway6, plug.wantsDhcp], [['fd00::5/64'], 'fd00::1', true])
  const byHand = planPlug({ ...order, dhcp: false }, port, 1450, subnets)
  assert.deepEqual([byHand.fixed, byHand.wantsDhcp], [['10.0.0.5/24', 'fd00::5/64'], false])
  const served = subnets.map((subnet) => ({ ...subnet, enable_dhcp: false }))
  assert.equal(planPlug(order, port, 1450, served).wantsDhcp, false)
})

test('a VM is plugged with the four marks Nova gives', () => {
  const { vm } = planPlug({ name: 'a', host: 'h1', vmUuid: 'u-1', dhcp: true }, port, 1450, subnets)
  assert.equal(vm.tap, 'tap11111111-22')
  const told = plugArguments(vm, 'netdev')
  for (const mark of [
    `iface-id=${port.id}`,
    'iface-status=active',
    'vm-uuid=u-1',
    `attached-mac="${port.mac_address}"`,
  ])
    assert.ok(told.includes(`external_ids:${mark}`), mark)
})

test('tables align, figures to the right, and carry no colour into a pipe', () => {
  assert.equal(
    table([
      ['NAME', 'LOST'],
      ['a', '0'],
      ['longer', '12'],
    ]),
    'NAME    LOST\na          0\nlonger    12',
  )
  const pipe = styleFor({}, { TERM: 'xterm' })
  assert.equal(pipe.bad('x'), 'x')
  const screen = styleFor({ isTTY: true }, { TERM: 'xterm' })
  assert.equal(widthOf(screen.bad('four')), 4)
  assert.notEqual(screen.bad('x'), 'x')
  assert.equal(styleFor({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '1' }).bad('x'), 'x')
  assert.deepEqual([0.42, 12.3, 1300].map(duration), ['0.4 ms', '12 ms', '1.3 s'])
})

test("ping's summary is read, with and without answers", () => {
  const good =
    '5 packets transmitted, 5 received, 0% packet loss, time 203ms\nrtt min/avg/max/mdev = 0.4/1.5/4.1/1.8 ms\n'
  assert.deepEqual(parsePing(good), { sent: 5, received: 5, mean: 1.5 })
  const none = '2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 204ms\n'
  assert.deepEqual(parsePing(none), { sent: 2, received: 0, mean: 0 })
  assert.deepEqual(parsePing(''), { sent: 0, received: 0, mean: 0 })
})

test('a process is known by pid and start time, and ended', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'lab-'))
  t.after(() => rm(dir, { recursive: true }))
  const ref = await startDetached(['sleep', '60'], { log: join(dir, 'log') })
  assert.ok(isAlive(ref))
  assert.ok(!isAlive({ ...ref, started: `${ref.started}1` }), 'another start time is another process')
  await terminate(ref)
  assert.ok(!isAlive(ref))
  assert.equal(refOf(2 ** 22 + 1), null)
  await assert.rejects(startDetached(['/nonexistent/program'], { log: join(dir, 'log') }), /ENOENT/)
})

test('state files are written whole; a broken one says what to do', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'lab-'))
  t.after(() => rm(dir, { recursive: true }))
  const path = join(dir, 'deep', 'a.json')
  assert.equal(await readJson(path), null)
  await Promise.all(Array.from({ length: 20 }, (_, n) => writeJson(path, { n, fill: 'x'.repeat(5000) })))
  assert.equal((await readJson<{ fill: string }>(path))?.fill.length, 5000)
  await writeJson(path, 1)
  await rm(path)
  const { writeFile } = await import('node:fs/promises')
  await writeFile(path, '{"half":')
  await assert.rejects(readJson(path), /lab down/)
})

test('the variant differs in pipeline version and in the wire versions it reads, and in nothing else', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'lab-'))
  t.after(() => rm(dir, { recursive: true }))
  await buildVariant(join(dir, 'v'))
  const root = new URL('../../', import.meta.url)
  for (const { file } of PATCHES) {
    const [ours, theirs] = await Promise.all([
      readFile(new URL(file, root), 'utf8'),
      readFile(join(dir, 'v', file), 'utf8'),
    ])
    const changed = ours.split('\n').filter((line, i) => line !== theirs.split('\n')[i])
    assert.equal(changed.length, 1, file)
  }
  const variant = (await import(join(dir, 'v/src/wire/versions.ts'))) as typeof import('#wire/versions.ts')
  assert.deepEqual(new Set(Object.values(variant.readableVersions()).flat()), new Set([1]))
})
