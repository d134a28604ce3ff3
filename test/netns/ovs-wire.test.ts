/**
 * DHCP on the wire, from the API to leases: two hosts on one physical network, a function of a card and machines beside
 * them that no switch carries. One host answers these, each host its own ports, and when one dies the other takes over.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Ask, askAny, startAgent, startServer, until } from '../lib/cloud.ts'
import { ovsMissing, type PrivateOvs, startOvs } from '../lib/ovs.ts'
import { testDatabase } from '../lib/postgres.ts'
import { pause, sh } from './ovs-lab.ts'

const clients = ['/usr/sbin/udhcpc', '/usr/sbin/dhclient', '/usr/bin/tcpdump'].filter((path) => !existsSync(path))
const skip = ovsMissing() ?? (clients.length > 0 ? `needs ${clients.join(', ')}` : false)
const PREFIX = `ow${process.pid}`
const HUB = `${PREFIX}hub`
const VLAN = 120
/** Seconds. */
const DOWN_TIME = 6
const SLOT = '0000:fb:02.1'

interface Port {
  readonly id: string
  readonly mac_address: string
  readonly fixed_ips: readonly { readonly ip_address: string }[]
}
interface Host {
  readonly name: string
  readonly ns: string
  readonly ovs: PrivateOvs
  readonly state: string
  readonly launch: () => ChildProcess
  agent: ChildProcess
}

describe('DHCP on the wire', { skip, timeout: 180_000 }, () => {
  const stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-wire-'))
  const hosts = new Map<string, Host>()
  let ask: Ask
  let network: string
  let links = 0
  /** The physical network: a switch that knows VLANs. */
  let wire: PrivateOvs

  /** The host's own stack must not answer frames that the switch takes from the same device. */
  const guard = (ns: string, device: string): Promise<string> =>
    sh(`ip netns exec ${ns} nft add table netdev guard
      ip netns exec ${ns} nft add chain netdev guard ${device} \
        '{ type filter hook ingress device ${device} priority -500; policy drop; }'`)

  /** A cable to the physical network; `tag`: its end there is in this VLAN alone, as a card's function is. */
  const cable = async (ns: string, device: string, tag?: number): Promise<void> => {
    const end = `c${++links}`
    await sh(`ip link add ${device} netns ${ns} type veth peer name ${end} netns ${HUB}
      ip -n ${HUB} link set ${end} up; ip -n ${ns} link set ${device} up
      ip netns exec ${ns} ethtool -K ${device} tx off >/dev/null`)
    await guard(HUB, end)
    await wire.vsctl('add-port', 'phys', end, ...(tag === undefined ? [] : [`tag=${tag}`]))
  }
  const namespace = async (ns: string): Promise<void> => {
    await sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`)
    stack.defer(() => void sh(`ip netns del ${ns}`).catch(() => undefined))
  }
  const enrolled = async (host: string): Promise<string> => {
    const { secret } = (await ask('POST', 'agents/enrolments', { enrolment: { host } })).body.enrolment
    const file = join(folder, `${host}.credential`)
    writeFileSync(file, secret, { mode: 0o600 })
    return file
  }

  /** A host with a switch and a real agent, on the physical network. */
  const startHost = async (name: string): Promise<void> => {
    const [ns, state] = [`${PREFIX}${name}`, join(folder, name)]
    await namespace(ns)
    const ovs = await startOvs({ netns: ns })
    stack.defer(() => ovs.stop())
    await cable(ns, 'eth1')
    await guard(ns, 'eth1')
    await ovs.vsctl('add-br', 'br-ex', '--', 'set', 'bridge', 'br-ex', 'datapath_type=netdev')
    await ovs.vsctl('add-port', 'br-ex', 'eth1')
    mkdirSync(state)
    const flags = [
      `--host=${name}`,
      `--host-tag=${ns}`,
      `--server=ws+unix:${folder}/feed:/agent`,
      `--credential-file=${await enrolled(name)}`,
      `--ovsdb=${ovs.dbSock}`,
      `--state=${state}`,
      '--bridge-mappings=physnet2:br-ex',
      '--datapath-type=netdev',
      '--heartbeat-interval=2',
    ]
    const script = new URL('../../bin/agent.ts', import.meta.url).pathname
    const argv = [`--net=/run/netns/${ns}`, process.execPath, '--disable-warning=ExperimentalWarning', script, ...flags]
    const stdio = ['ignore', 'ignore', process.env['TEST_LOG'] ? 'inherit' : 'ignore'] as const
    const launch = (): ChildProcess => spawn('nsenter', argv, { stdio: [...stdio] })
    const host = { name, ns, ovs, state, launch, agent: launch() }
    hosts.set(name, host)
    stack.defer(() => stopHost(host))
  }

  /** All that it is dies: the agent, its switch, its servers. */
  const stopHost = async ({ agent, ovs, state, ns }: Host): Promise<void> => {
    agent.kill('SIGKILL')
    await ovs.stopSwitch()
    const pidFile = join(state, 'dhcp', network, 'pid')
    if (existsSync(pidFile)) await sh(`kill -9 ${readFileSync(pidFile, 'utf8').trim()} || true`)
    await sh(`for n in $(ip netns list | cut -d' ' -f1 | grep '^dhcp-${ns}-'); do ip netns del $n; done`)
  }

  const createPort = async (more: object): Promise<Port> =>
    (await ask('POST', 'ports', { port: { network_id: network, ...more } })).body.port
  const addressOf = ({ fixed_ips }: Port): string => fixed_ips[0]?.ip_address ?? ''
  /** Of hosts with a switch, while no port of the network is on one. */
  const serving = async (): Promise<string> => {
    const { agents } = (await ask('GET', `networks/${network}/dhcp-agents`)).body
    return agents.find((one: { host: string }) => hosts.has(one.host)).host
  }

  /** Something with the port's MAC that is plugged into the physical network, in the network's VLAN. */
  const machine = async ({ mac_address }: Port): Promise<string> => {
    const ns = `${PREFIX}m${links}`
    await namespace(ns)
    await cable(ns, 'eth0', VLAN)
    await sh(`ip -n ${ns} link set eth0 address ${mac_address}`)
    return ns
  }
  /** A VM on a host's switch. */
  const vm = async (host: Host, { id, mac_address }: Port): Promise<string> => {
    const [ns, device] = [`${PREFIX}v${++links}`, `t${links}`]
    await namespace(ns)
    await sh(`ip link add eth0 netns ${ns} mtu 1450 type veth peer name ${device} netns ${host.ns} mtu 1450
      ip -n ${ns} link set eth0 address ${mac_address} up; ip -n ${host.ns} link set ${device} up
      ip netns exec ${ns} ethtool -K eth0 tx off >/dev/null`)
    await guard(host.ns, device)
    const set = ['set', 'interface', device, `external_ids:iface-id=${id}`, `external_ids:attached-mac=${mac_address}`]
    await host.ovs.vsctl('add-port', 'br-int', device, '--', ...set)
    await until('the port is ACTIVE', async () => (await ask('GET', `ports/${id}`)).body.port.status === 'ACTIVE')
    return ns
  }

  const script = join(folder, 'udhcpc')
  /** What BusyBox's client is given within `tries` seconds; it puts the address on the device. */
  const udhcpc = async (ns: string, tries = 5): Promise<string> =>
    (await sh(`ip netns exec ${ns} udhcpc -i eth0 -n -q -f -t ${tries} -T 1 -s ${script} 2>/dev/null || true`)).trim()
  /** What ISC's client is given. It is told to change nothing. */
  const dhclient = async (ns: string, version = '-4'): Promise<string> => {
    const [leases, pid] = [join(folder, `${ns}.leases`), join(folder, `${ns}.pid`)]
    await sh(
      `ip netns exec ${ns} timeout 15 dhclient ${version} -1 -sf /bin/true -lf ${leases} -pf ${pid} eth0 2>/dev/null || true`,
    )
    // It goes on in the background, and only then says who it is; where it has nothing yet it gives up.
    const isRunning = (): boolean => existsSync(pid) && readFileSync(pid, 'utf8') !== ''
    for (let tries = 0; tries < 20 && !isRunning(); tries++) await pause(100)
    if (!isRunning()) return ''
    await sh(`kill $(cat ${pid}); rm ${pid}`)
    return /(?:fixed-address|iaaddr) ([\da-f.:]+)/.exec(readFileSync(leases, 'utf8'))?.[1] ?? ''
  }
  /** How many answers of DHCP servers come while `work` runs, and what it answers. */
  const answers = async (ns: string, work: () => Promise<string>): Promise<{ got: string; frames: number }> => {
    const command = ['netns', 'exec', ns, 'tcpdump', '-U', '-lnei', 'eth0', 'udp src port 67']
    const watcher = spawn('ip', command, { stdio: ['ignore', 'pipe', 'pipe'] })
    let [seen, ready] = ['', '']
    watcher.stdout.on('data', (text) => (seen += text))
    watcher.stderr.on('data', (text) => (ready += text))
    await until('tcpdump listens', () => ready.includes('listening'))
    const got = await work()
    await pause(500)
    watcher.kill('SIGTERM')
    return { got, frames: seen.split('\n').filter(Boolean).length }
  }

  before(async () => {
    const db = await testDatabase()
    stack.defer(() => db.drop())
    writeFileSync(script, '#!/bin/sh\n[ "$1" = bound ] && ip address replace "$ip/24" dev eth0 && echo "$ip"\nexit 0\n')
    chmodSync(script, 0o755)
    await namespace(HUB)
    wire = await startOvs({ netns: HUB })
    stack.defer(() => wire.stop())
    await wire.vsctl('add-br', 'phys', '--', 'set', 'bridge', 'phys', 'datapath_type=netdev')
    const server = await startServer(stack, {
      database: db.url,
      flags: [
        '--network-vlan-ranges=physnet2:100:199',
        `--agent-down-time=${DOWN_TIME}`,
        '--heartbeat-interval=2',
        `--feed-socket=${folder}/feed`,
      ],
    })
    ask = askAny([server])
    for (const name of ['h1', 'h2']) await startHost(name)
    startAgent(stack, {
      host: 'cards',
      servers: [server],
      credentials: await enrolled('cards'),
      state: join(folder, 'cards'),
      flags: ['--physical-device-mappings=physnet2:enp3s0f0', `--pci-devices=${SLOT}@physnet2`],
    })
    const agents = async (kind: string) => (await ask('GET', `agents?agent_type=${kind}`)).body.agents.length
    await until(
      'the agents report',
      async () => (await agents('DHCP%20agent')) >= 2 && (await agents('NIC%20Switch%20agent')) === 1,
    )
    const physical = { 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet2' }
    const made = await ask('POST', 'networks', { network: { ...physical, 'provider:segmentation_id': VLAN } })
    network = made.body.network.id
    await ask('POST', 'subnets', { subnet: { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' } })
  })
  after(async () => {
    await stack.disposeAsync()
    rmSync(folder, { recursive: true, force: true })
  })

  let direct: Port
  let onCard: string
  test('a function of a card has its lease from one host, by ISC and by BusyBox, and reaches the server', async () => {
    const binding = { 'binding:vnic_type': 'direct', 'binding:host_id': 'cards', 'binding:profile': { pci_slot: SLOT } }
    direct = await createPort(binding)
    onCard = await machine(direct)
    await until('the first lease', async () => (await udhcpc(onCard)) === addressOf(direct))
    const renewed = await answers(onCard, () => dhclient(onCard))
    assert.deepEqual(renewed, { got: addressOf(direct), frames: 2 }, 'one offer, one acknowledgement')
    const [{ fixed_ips }] = (await ask('GET', `ports?network_id=${network}&device_owner=network:dhcp`)).body.ports
    await sh(`ip netns exec ${onCard} ping -c 1 -W 2 ${fixed_ips[0].ip_address}`)
  })

  test('so have a machine whose port no driver binds, and one whose port is on no host', async () => {
    const metal = await createPort({ 'binding:vnic_type': 'baremetal', 'binding:host_id': 'node-7' })
    const loose = await createPort({})
    for (const port of [metal, loose]) {
      const ns = await machine(port)
      await until('the first lease', async () => (await udhcpc(ns)) === addressOf(port))
      assert.deepEqual(await answers(ns, () => udhcpc(ns)), { got: addressOf(port), frames: 2 })
    }
  })

  test('IPv6 likewise', async () => {
    const stateful = { ipv6_address_mode: 'dhcpv6-stateful', ipv6_ra_mode: 'dhcpv6-stateful' }
    const subnet = { network_id: network, ip_version: 6, cidr: 'fd00:7::/64', ...stateful }
    const { id } = (await ask('POST', 'subnets', { subnet })).body.subnet
    const port = await createPort({ fixed_ips: [{ subnet_id: id }] })
    const ns = await machine(port)
    await until('the first lease', async () => (await dhclient(ns, '-6')) === addressOf(port))
  })

  test('a stranger on the wire is told nothing, not even no', async () => {
    const ns = await machine({ id: '', mac_address: '02:00:00:00:99:99', fixed_ips: [] })
    const asked = await answers(ns, () => udhcpc(ns, 2))
    const insisted = await answers(ns, () =>
      sh(
        `ip netns exec ${ns} udhcpc -i eth0 -n -q -f -t 2 -T 1 -r ${addressOf(direct)} -s ${script} 2>/dev/null || true`,
      ),
    )
    assert.deepEqual([asked.frames, insisted.frames], [0, 0])
  })

  test('ports on the switches have their leases once, from their own hosts', async () => {
    for (const host of hosts.values()) {
      const port = await createPort({ 'binding:host_id': host.name, port_security_enabled: false })
      const ns = await vm(host, port)
      const other = await machine({ ...port, mac_address: '02:00:00:00:88:88' })
      const heard = answers(other, async () => {
        assert.deepEqual(await answers(ns, () => udhcpc(ns)), { got: addressOf(port), frames: 2 }, host.name)
        return ''
      })
      assert.equal((await heard).frames, 0, 'nothing of it on the wire')
      await ask('DELETE', `ports/${port.id}`)
    }
  })

  /** From `first`, which has just come to harm, to the other; answers after how many seconds. */
  const takeover = async (first: string): Promise<number> => {
    const since = Date.now()
    await until('another serves', async () => (await serving()) !== first)
    await until('a lease from it', async () => (await udhcpc(onCard, 1)) === addressOf(direct))
    return (Date.now() - since) / 1000
  }

  test('when its agent alone dies another serves the wire too: what both say is the same; back again, it is silent', async () => {
    const first = hosts.get(await serving()) as Host
    first.agent.kill('SIGKILL')
    await takeover(first.name)
    const serve = async () => (await answers(onCard, () => udhcpc(onCard))).frames
    await until('both answer', async () => (await serve()) === 4)
    assert.equal(await udhcpc(onCard), addressOf(direct))
    first.agent = first.launch()
    await until('one is silent', async () => (await serve()) === 2)
  })

  test('when the host that serves the wire dies another takes over', async () => {
    const first = await serving()
    await stopHost(hosts.get(first) as Host)
    assert.equal(await udhcpc(onCard, 1), '')
    const seconds = await takeover(first)
    // Silent for so long from its last heartbeat; found within a tenth; then the switch, the server, the client's second.
    assert.ok(seconds < DOWN_TIME * 1.1 + 4, `${seconds} s`)
    assert.deepEqual(await answers(onCard, () => udhcpc(onCard)), { got: addressOf(direct), frames: 2 })
  })
})
