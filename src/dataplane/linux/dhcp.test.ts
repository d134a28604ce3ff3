/** Real dnsmasq, real clients (udhcpc, dhclient), a real switch; the agent is a process that can be killed. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import type { SubnetObject } from '#wire/objects.ts'
import { ovsMissing, type PrivateOvs, startOvs } from '../../../test/lib/ovs.ts'
import { type DhcpWant, dhcpDevice, type Lease } from './dhcp-want.ts'

const missing = ['dnsmasq', 'udhcpc', 'dhclient'].find((program) =>
  ['/usr/sbin', '/sbin', '/usr/bin', '/bin'].every((dir) => !existsSync(join(dir, program))),
)
const skip = ovsMissing() ?? (missing ? `needs ${missing} (apt install dnsmasq-base udhcpc isc-dhcp-client)` : false)

const NETWORK = '0d5c7a5e-1111-4222-8333-444455556666'
const DEVICE = dhcpDevice(NETWORK)
const TAG = `t${process.pid}`
const NAMESPACE = `dhcp-${TAG}-0d5c7a5e`
const vm = (n: number): string => `dvm${process.pid}-${n}`
const mac = (n: number): string => `fa:16:3e:00:00:0${n}`
const run = (...args: string[]): string =>
  execFileSync(args[0] ?? '', args.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 })
const inVm = (n: number, ...args: string[]): string => run('ip', 'netns', 'exec', vm(n), ...args)

let ovs: PrivateOvs
let dir = ''
const agents: ChildProcess[] = []

before(async () => {
  if (skip !== false) return
  dir = mkdtempSync(join(tmpdir(), 'dhcp-'))
  ovs = await startOvs()
  await ovs.vsctl('add-br', 'br-int', '--', 'set', 'bridge', 'br-int', 'datapath_type=netdev')
  for (const n of [1, 2, 3]) {
    run('ip', 'netns', 'add', vm(n))
    run('ip', 'link', 'add', 'eth0', 'netns', vm(n), 'type', 'veth', 'peer', 'name', `t${n}`, 'netns', ovs.netns)
    run('ip', '-n', vm(n), 'link', 'set', 'eth0', 'address', mac(n), 'up')
    run('ip', '-n', ovs.netns, 'link', 'set', `t${n}`, 'up')
    inVm(n, 'ethtool', '-K', 'eth0', 'tx', 'off')
    await ovs.vsctl('add-port', 'br-int', `t${n}`)
  }
  const hook =
    '#!/bin/sh\n[ "$1" = bound ] && echo "bound ip=$ip mtu=$mtu router=$router routes=$staticroutes dns=$dns host=$hostname domain=$domain lease=$lease"\nexit 0\n'
  writeFileSync(join(dir, 'hook'), hook, { mode: 0o755 })
})
after(async () => {
  for (const agent of agents) agent.kill('SIGKILL')
  if (skip !== false) return
  const pidFile = join(dir, 'state', 'dhcp', NETWORK, 'pid')
  end(pidFile)
  for (const name of [NAMESPACE, ...[1, 2, 3].map(vm)])
    if (existsSync(`/run/netns/${name}`)) run('ip', 'netns', 'del', name)
  await ovs.stop()
  rmSync(dir, { recursive: true, force: true })
})

interface Message {
  readonly outcome?: Record<string, string | null>
  readonly dirty?: string[]
  readonly remake?: string
}
interface Agent {
  /** The device the agent asks the switch to make again. */
  remake(): Promise<string>
  reconcile(wants: DhcpWant[], inSync?: boolean): Promise<string | null>
  dirty(): Promise<string[]>
  kill(): Promise<void>
}
function startAgent(): Agent {
  const script = join(import.meta.dirname, 'dhcp-agent.testlib.ts')
  const child = spawn('nsenter', [`--net=/run/netns/${ovs.netns}`, process.execPath, script, join(dir, 'state'), TAG], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  agents.push(child)
  const waiting: ((message: Message) => boolean)[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const at = waiting.findIndex((take) => take(JSON.parse(line)))
    if (at >= 0) waiting.splice(at, 1)
  })
  const next = <T>(pick: (message: Message) => T | undefined, ms: number): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the agent said nothing')), ms)
      waiting.push((message) => {
        const picked = pick(message)
        if (picked === undefined) return false
        clearTimeout(timer)
        resolve(picked)
        return true
      })
    })
  return {
    reconcile: async (wants, inSync = false) => {
      child.stdin.write(`${JSON.stringify({ wants, inSync })}\n`)
      return (await next(({ outcome }) => outcome, 15_000))[NETWORK] ?? null
    },
    dirty: () => next(({ dirty }) => dirty, 5_000),
    remake: () => next(({ remake }) => remake, 8_000),
    kill: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

const subnet: SubnetObject = {
  id: 'aaaaaaaa-0000-4000-8000-000000000001',
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.1',
  enable_dhcp: true,
  ipv6_ra_mode: null,
  ipv6_address_mode: null,
  dns_nameservers: ['192.0.2.53'],
  host_routes: [{ destination: '198.51.100.0/24', nexthop: '10.0.0.9' }],
}
const subnet6: SubnetObject = {
  ...subnet,
  id: 'aaaaaaaa-0000-4000-8000-000000000002',
  ip_version: 6,
  cidr: 'fd00:5::/64',
  gateway_ip: 'fd00:5::1',
  ipv6_ra_mode: 'dhcpv6-stateful',
  ipv6_address_mode: 'dhcpv6-stateful',
  dns_nameservers: ['fd00:5::53'],
  host_routes: [],
}
const lease = (n: number, ip: string, hostname = `host-${ip.replaceAll(/[.:]/g, '-')}`): Lease => ({
  mac: mac(n),
  ip,
  hostname,
  clientId: null,
})
const want = (...leases: Lease[]): DhcpWant => ({
  networkId: NETWORK,
  device: DEVICE,
  mac: 'fa:16:3e:dd:dd:dd',
  mtu: 1442,
  addresses: ['10.0.0.2/24', 'fd00:5::2/64'],
  subnets: [subnet, subnet6],
  domain: 'openstacklocal',
  leases,
  macs: [...new Set(leases.map((one) => one.mac))],
  options: [],
  leftOut: [],
})
const serverPid = (): number => Number(readFileSync(join(dir, 'state', 'dhcp', NETWORK, 'pid'), 'utf8'))
const alive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
/** What udhcpc is given; empty when nobody answers. */
const askUdhcpc = (n: number): string => {
  const args = [
    '-i',
    'eth0',
    '-n',
    '-q',
    '-f',
    '-t',
    '3',
    '-T',
    '1',
    '-O',
    'mtu',
    '-O',
    'staticroutes',
    '-s',
    join(dir, 'hook'),
  ]
  try {
    return inVm(n, 'udhcpc', ...args).trim()
  } catch {
    return ''
  }
}
/** Ends the process that a pid file names, once it does: a file still empty would name our own process group. */
const end = (pidFile: string): void => {
  const named = (): number => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0)
  for (let tries = 0; tries < 50 && named() <= 1; tries++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  const pid = named()
  if (pid > 1 && alive(pid)) process.kill(pid)
}
const askDhclient = (n: number, version: 4 | 6): string => {
  const file = join(dir, `dhclient-${n}-${version}`)
  const args = [`-${version}`, '-1', '-v', '-sf', '/bin/true', '-lf', file, '-pf', `${file}.pid`, 'eth0']
  try {
    inVm(n, 'dhclient', ...args)
  } finally {
    end(`${file}.pid`)
  }
  return readFileSync(file, 'utf8')
}

test('from a device on the switch to an address in a guest, and through every mishap', {
  skip,
  timeout: 90_000,
}, async (t) => {
  let agent = startAgent()
  const first = [lease(1, '10.0.0.61'), lease(2, '10.0.0.62', 'web'), lease(2, 'fd00:5::62', 'web')]
  let pid = 0

  await t.test('without the device it fails and tells when the device is there', async () => {
    assert.match((await agent.reconcile([want(...first)])) ?? '', new RegExp(`has not made interface ${DEVICE} yet`))
    const told = agent.dirty()
    await ovs.vsctl('add-port', 'br-int', DEVICE, '--', 'set', 'interface', DEVICE, 'type=internal')
    assert.deepEqual(await told, [NETWORK])
    assert.equal(await agent.reconcile([want(...first)]), null)
    pid = serverPid()
    assert.ok(alive(pid))
  })

  await t.test('udhcpc and dhclient get what the subnet says', () => {
    const bound = askUdhcpc(1)
    assert.match(bound, /bound ip=10\.0\.0\.61 mtu=1442 router=10\.0\.0\.1 /)
    assert.match(bound, /routes=198\.51\.100\.0\/24 10\.0\.0\.9 0\.0\.0\.0\/0 10\.0\.0\.1 /)
    assert.match(bound, /dns=192\.0\.2\.53 host=host-10-0-0-61 domain=openstacklocal lease=86400/)
    const leases = askDhclient(2, 4)
    assert.match(leases, /fixed-address 10\.0\.0\.62;/)
    assert.match(leases, /option host-name "web";/)
    assert.match(leases, /option interface-mtu 1442;/)
    assert.equal(askUdhcpc(3), '', 'a MAC without a port gets nothing')
  })

  await t.test('dhclient -6 gets its address and name server', async () => {
    while (/tentative/.test(inVm(2, 'ip', 'address', 'show', 'dev', 'eth0')))
      await new Promise((resolve) => setTimeout(resolve, 100))
    const leases = askDhclient(2, 6)
    assert.match(leases, /iaaddr fd00:5::62 /)
    assert.match(leases, /dhcp6\.name-servers fd00:5::53;/)
  })

  await t.test('a new agent adopts the server; a new lease only makes it read again', async () => {
    await agent.kill()
    assert.ok(alive(pid), 'the server outlives the agent')
    agent = startAgent()
    assert.equal(await agent.reconcile([want(...first)]), null)
    assert.equal(serverPid(), pid)
    assert.equal(await agent.reconcile([want(...first, lease(3, '10.0.0.63'))]), null)
    assert.equal(serverPid(), pid)
    assert.match(askUdhcpc(3), /ip=10\.0\.0\.63 /)
  })

  await t.test('an address that goes to another port is given out at once', async () => {
    assert.equal(await agent.reconcile([want(lease(2, '10.0.0.61'))]), null)
    assert.match(askUdhcpc(2), /ip=10\.0\.0\.61 /)
    assert.equal(serverPid(), pid)
  })

  await t.test('two ports that swap their addresses get the right ones', async () => {
    assert.equal(await agent.reconcile([want(lease(1, '10.0.0.62'), lease(2, '10.0.0.61'))]), null)
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.62 /)
    assert.equal(await agent.reconcile([want(lease(2, '10.0.0.62'), lease(1, '10.0.0.61'))]), null)
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
    assert.match(askUdhcpc(2), /ip=10\.0\.0\.62 /)
    assert.equal(await agent.reconcile([want(...first)]), null)
    pid = serverPid()
  })

  await t.test('a killed server is noticed and started again', async () => {
    const told = agent.dirty()
    process.kill(pid, 'SIGKILL')
    assert.deepEqual(await told, [NETWORK])
    assert.equal(await agent.reconcile([want(...first)]), null)
    assert.notEqual(serverPid(), pid)
    pid = serverPid()
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
  })

  await t.test('a namespace that lost its name gets it back under the running server', async () => {
    const told = agent.dirty()
    run('ip', 'netns', 'del', NAMESPACE)
    assert.deepEqual(await told, [NETWORK])
    assert.equal(await agent.reconcile([want(...first)]), null)
    assert.equal(serverPid(), pid)
    assert.ok(existsSync(`/run/netns/${NAMESPACE}`))
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
  })

  await t.test('addresses somebody removed come back', async () => {
    const told = agent.dirty()
    run('ip', '-n', NAMESPACE, 'address', 'flush', 'dev', DEVICE, 'scope', 'global')
    assert.deepEqual(await told, [NETWORK])
    assert.equal(await agent.reconcile([want(...first)]), null)
    assert.equal(serverPid(), pid)
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
  })

  await t.test('a restart of the switch makes the device anew: it is moved in again', async () => {
    const told = agent.dirty()
    await ovs.stopSwitch()
    await ovs.startSwitch()
    assert.deepEqual(await told, [NETWORK])
    for (let turn = 0; (await agent.reconcile([want(...first)])) !== null; turn++) {
      assert.ok(turn < 20, 'the device never came back')
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    assert.equal(serverPid(), pid)
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
  })

  await t.test('a device that died with its namespace and server is asked for again', async () => {
    const told = agent.dirty()
    process.kill(pid, 'SIGKILL')
    run('ip', 'netns', 'del', NAMESPACE)
    await told
    const asked = agent.remake()
    assert.match((await agent.reconcile([want(...first)])) ?? '', /has not made interface/)
    assert.equal(await asked, DEVICE)
    const back = agent.dirty()
    await ovs.vsctl('del-port', 'br-int', DEVICE)
    await ovs.vsctl('add-port', 'br-int', DEVICE, '--', 'set', 'interface', DEVICE, 'type=internal')
    await back
    assert.equal(await agent.reconcile([want(...first)]), null)
    pid = serverPid()
    assert.match(askUdhcpc(1), /ip=10\.0\.0\.61 /)
  })

  await t.test('nothing is swept before in sync; then all of it goes and the device comes home', async () => {
    await agent.reconcile([])
    assert.ok(alive(pid))
    await agent.reconcile([], true)
    assert.ok(!alive(pid))
    assert.ok(!existsSync(`/run/netns/${NAMESPACE}`))
    assert.deepEqual(readdirSync(join(dir, 'state', 'dhcp')), [])
    assert.match(run('ip', '-n', ovs.netns, 'link', 'show', 'dev', DEVICE), new RegExp(DEVICE))
  })
})
