/**
 * A server moves between hosts under a stream of a packet a millisecond: API, feed, agents and switches as they are.
 *
 * The guest's namespace has a leg on both hosts, as its memory has while it migrates; what is counted is what the
 * network does. Then the harder case: the leg on the old host is cut as soon as the activation is answered.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createAgent } from '#agent/agent.ts'
import { createOvsDataplane } from '#dataplane/ovs/index.ts'
import { enrol } from '#feed/credentials.ts'
import { createRegistry } from '#kernel/metrics.ts'
import { createNotifier } from '#store/notify.ts'
import { serveFeed } from '../../bin/feed.ts'
import { freePort } from '../lib/installation.ts'
import { ovsMissing } from '../lib/ovs.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { createLab, eventually, type Host, log, pause, sh, type Vm } from './ovs-lab.ts'

type Item = Record<string, any>

const HOSTS = ['s', 'a', 'b'] as const
type Name = (typeof HOSTS)[number]
const PACKETS = 3000

/** How the network travels: by tunnels the feed steers, or by a switch that learns where a MAC is. */
const KINDS = {
  vxlan: {},
  vlan: { 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet' },
} as const
type Kind = keyof typeof KINDS

/** Packets lost at most, from activation to forwarding. */
const LOST = 5

for (const kind of Object.keys(KINDS) as Kind[]) liveMigration(kind)

function liveMigration(kind: Kind): void {
  describe(`live migration, ${kind}`, { skip: ovsMissing() ?? false, timeout: 180_000 }, () => {
    const stack = new AsyncDisposableStack()
    const tag = `elm${kind.slice(0, 2)}`
    const lab = createLab(tag)
    const hub = `${tag}${process.pid}hub`
    const hosts: Partial<Record<Name, Host>> = {}
    let server: TestServer
    let guest: Item
    let vm: Vm
    let sender: Vm
    let address: string
    let address6: string

    const on = (name: Name): Host => hosts[name] as Host
    const flowsOf = async (name: Name): Promise<string[]> =>
      (await on(name).ovs.ofctl('dump-flows', 'br-int')).split('\n').filter((line) => line.includes('table='))
    const statusOf = async (port: Item): Promise<string> =>
      answered(await server.admin.get(`ports/${port['id']}`), 200).port.status
    const bindings = async (): Promise<string[]> =>
      answered(await server.admin.get(`ports/${guest['id']}/bindings`), 200).bindings.map(
        (one: Item) => `${one['host']} ${one['status']}`,
      )
    const provenOn = async (host: Name): Promise<boolean> => {
      const [row] = await server.database.query<{ proven: boolean }>(
        'select proven from port_bindings where port_id = $1 and host = $2',
        [guest['id'], host],
      )
      return row?.proven === true
    }

    before(async () => {
      const networkVlanRanges = [{ physical_network: 'physnet', range: { first: 100, last: 109 } }]
      server = stack.use(await testServer({ settings: { networkVlanRanges } }))
      const folder = mkdtempSync(join(tmpdir(), 'elm-'))
      stack.defer(() => rmSync(folder, { recursive: true, force: true }))
      const notifier = createNotifier(server.databaseUrl, log)
      stack.defer(() => notifier.close())
      const settings = { ...server.settings, feedSocket: join(folder, 'feed'), feedPort: await freePort() }
      await serveFeed({ core: server.core, notifier, settings, registry: createRegistry(), log, stack })
      await underlay()
      for (const [index, name] of HOSTS.entries()) await startAgent(name, `172.31.8.${index + 1}`, settings.feedSocket)
      await portsAndGuests()
    })
    after(async () => {
      await stack.disposeAsync()
      await lab.close()
    })

    /** Three hosts on one bridge. */
    async function underlay(): Promise<void> {
      await sh(`ip netns add ${hub}; ip -n ${hub} link add br0 type bridge; ip -n ${hub} link set br0 up
      ip -n ${hub} link add br1 type bridge; ip -n ${hub} link set br1 up`)
      stack.defer(async () => void (await sh(`ip netns del ${hub}`)))
      for (const [index, name] of HOSTS.entries()) {
        const host = await lab.host(name, { underlay: `172.31.8.${index + 1}` })
        await host.dataplane.stop()
        hosts[name] = host
        await sh(`ip link add eth0 netns ${host.name} mtu 1600 type veth peer name to-${name} netns ${hub} mtu 1600
        ip -n ${hub} link set dev to-${name} master br0 up; ip -n ${host.name} link set eth0 up`)
        await guard(host, 'eth0')
        const mac = (await sh(`ip netns exec ${host.name} cat /sys/class/net/eth0/address`)).trim()
        const bridge = ['set', 'bridge', 'br-phy', 'datapath_type=netdev', `other_config:hwaddr=${mac}`]
        await host.ovs.vsctl('add-br', 'br-phy', '--', ...bridge, '--', 'add-port', 'br-phy', 'eth0')
        await sh(`ip -n ${host.name} addr add 172.31.8.${index + 1}/24 dev br-phy; ip -n ${host.name} link set br-phy up
        ip link add eth1 netns ${host.name} type veth peer name ex-${name} netns ${hub}
        ip -n ${hub} link set dev ex-${name} master br1 up; ip -n ${host.name} link set eth1 up`)
        await guard(host, 'eth1')
        const provider = ['set', 'bridge', 'br-ex', 'datapath_type=netdev', '--', 'add-port', 'br-ex', 'eth1']
        await host.ovs.vsctl('add-br', 'br-ex', '--', ...provider)
      }
    }

    /** The host's own stack must not answer frames that the switch takes from the same device. */
    const guard = (host: Host, device: string): Promise<string> =>
      sh(`ip netns exec ${host.name} nft -f - <<'N'
add table netdev guard
add chain netdev guard ${device} { type filter hook ingress device ${device} priority -500; policy drop; }
N`)

    async function startAgent(name: Name, tunnelingIp: string, socket: string): Promise<void> {
      const { ovs, stateDir } = on(name)
      const agent = createAgent({
        host: name,
        agentVersion: 'test',
        dataplane: createOvsDataplane({
          host: name,
          stateDir,
          ovsdb: ovs.dbSock,
          datapathType: 'netdev',
          tunnelingIp,
          bridgeMappings: { physnet: 'br-ex' },
          hostTag: `${tag}${process.pid}${name}`,
          log: log.child({ host: name }),
        }),
        stateDir: null,
        servers: [`ws+unix:${socket}:/agent`],
        credential: (await enrol(server.database, name)).secret,
        log: log.child({ host: name }),
      })
      await agent.start()
      stack.defer(() => agent.stop())
      assert.ok(await eventually(() => agent.status().inSync, 20_000), `${name} is in sync`)
    }

    async function portsAndGuests(): Promise<void> {
      const network = await server.admin.make('network', KINDS[kind])
      const subnet = { network_id: network['id'], enable_dhcp: false }
      await server.admin.make('subnet', { ...subnet, ip_version: 4, cidr: '10.0.0.0/24' })
      await server.admin.make('subnet', { ...subnet, ip_version: 6, cidr: 'fd00::/64' })
      const port = (host: Name): Promise<Item> =>
        server.admin.make('port', {
          network_id: network['id'],
          device_owner: 'compute:nova',
          device_id: randomUUID(),
          'binding:host_id': host,
        })
      const source = await port('s')
      guest = await port('a')
      const addresses: string[] = guest['fixed_ips'].map((one: Item) => one['ip_address'])
      address = addresses.find((one) => !one.includes(':')) ?? ''
      address6 = addresses.find((one) => one.includes(':')) ?? ''
      sender = await lab.vm(on('s'), source as never)
      vm = await lab.vm(on('a'), guest as never)
      // Its leg on the target says nothing by itself, as a guest that does not run there yet: no multicast report either.
      await sh(`ip link add eth1 netns ${vm.ns} address ${guest['mac_address']} mtu 1450 type veth peer name tb netns ${on('b').name} mtu 1450
      ip netns exec ${vm.ns} sysctl -qw net.ipv6.conf.eth1.addr_gen_mode=1 net.ipv6.conf.eth1.accept_ra=0
      ip netns exec ${vm.ns} nft 'add table ip6 mute; add chain ip6 mute out { type filter hook output priority 0; }
        add rule ip6 mute out oifname eth1 icmpv6 type { 143, nd-router-solicit } drop'
      ip -n ${on('b').name} link set tb up; ip -n ${vm.ns} link set eth1 up
      ip -n ${vm.ns} addr add ${address}/24 dev eth1 noprefixroute
      ip -n ${vm.ns} addr add ${address6}/64 dev eth1 noprefixroute nodad
      ip netns exec ${vm.ns} sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0`)
      await guard(on('b'), 'tb')
      for (const one of [source, guest])
        assert.ok(await eventually(async () => (await statusOf(one)) === 'ACTIVE', 20_000), 'ports are up')
      const { security_groups: groups } = guest
      const rule = { security_group_id: groups[0], direction: 'ingress', protocol: 'udp' }
      for (const ethertype of ['IPv4', 'IPv6']) await server.admin.make('security_group_rule', { ...rule, ethertype })
      for (const one of [address, address6])
        assert.ok(await eventually(() => sender.ping(one), 10_000), `the guest is reached at ${one}`)
    }

    const plug = (name: Name, device: string): Promise<string> =>
      on(name).ovs.vsctl(
        'add-port',
        'br-int',
        device,
        '--',
        'set',
        'interface',
        device,
        `external_ids:iface-id=${guest['id']}`,
        `external_ids:attached-mac=${guest['mac_address']}`,
      )

    /** What of a stream arrives while `disturb` happens in its middle. */
    async function underStream(
      disturb: () => Promise<unknown>,
      to = address,
    ): Promise<{ received: number; lost: number; took: number }> {
      const receiver = await vm.start('receive', '9000')
      const sending = await sender.start('send', to, '9000', String(PACKETS))
      await pause(1000)
      const begin = performance.now()
      await disturb()
      const took = performance.now() - begin
      await sending.done()
      await pause(300)
      return { ...(JSON.parse(await receiver.stop()) as { received: number; lost: number }), took }
    }

    const activate = (host: Name): Promise<unknown> =>
      server.admin.put(`ports/${guest['id']}/bindings/${host}/activate`).then((reply) => answered(reply, 200))

    test('the target stands ready before the server comes, and nothing goes there', async () => {
      answered(await server.admin.post(`ports/${guest['id']}/bindings`, { binding: { host: 'b' } }), 201)
      assert.ok(!(await provenOn('b')), 'no interface is plugged yet')
      await plug('b', 'tb')
      assert.ok(await eventually(() => provenOn('b'), 10_000), 'its flows are proven')
      assert.equal(await statusOf(guest), 'ACTIVE')
      const flows = await flowsOf('b')
      const mac = String(guest['mac_address'])
      assert.ok(flows.some((line) => line.includes('table=60') && line.includes('output:')))
      assert.ok(
        flows.some((line) => line.includes('table=31') && line.includes(`dl_dst=${mac}`)),
        'it is elsewhere',
      )
      const local = flows.filter((line) => line.includes('table=30') && line.includes(`dl_dst=${mac}`))
      assert.deepEqual(
        local.map((line) => /reg3=0x(\d)/.exec(line)?.[1]).sort(),
        ['2', '3'],
        'found by frames from outside alone',
      )
      const before = await packetsOn('b')
      assert.ok(await sender.ping(address))
      assert.equal(await packetsOn('b'), before, 'nothing was delivered here')
    })

    /** Frames delivered to guests of the host. */
    const packetsOn = async (name: Name): Promise<number> =>
      (await flowsOf(name))
        .filter((line) => line.includes('table=60') && line.includes('output:'))
        .reduce((sum, line) => sum + Number(/n_packets=(\d+)/.exec(line)?.[1] ?? 0), 0)

    test('from activation to forwarding hardly a packet is lost; the old host is clean afterwards', async (t) => {
      const control = await underStream(async () => undefined)
      t.diagnostic(`control: ${JSON.stringify(control)}`)
      const result = await underStream(() => activate('b'))
      t.diagnostic(`activation: ${JSON.stringify(result)}`)
      assert.ok(result.lost - control.lost <= LOST, JSON.stringify({ control, result }))
      assert.ok(await eventually(async () => (await statusOf(guest)) === 'ACTIVE', 10_000), 'it stands on its new host')
      assert.deepEqual(await bindings(), ['b ACTIVE', 'a INACTIVE'])
      assert.ok((await packetsOn('b')) > PACKETS / 3)
      const left = async (): Promise<string[]> =>
        (await flowsOf('a')).filter(
          (line) =>
            line.includes(String(guest['mac_address'])) || (line.includes('table=60, ') && line.includes('output:')),
        )
      assert.ok(await eventually(async () => (await left()).length === 0, 10_000), (await left()).join('\n'))
    })

    test('back again, the leg on the old host cut when the activation is answered', async (t) => {
      answered(await server.admin.delete(`ports/${guest['id']}/bindings/a`), 204)
      answered(await server.admin.post(`ports/${guest['id']}/bindings`, { binding: { host: 'a' } }), 201)
      assert.ok(await eventually(() => provenOn('a'), 10_000))
      const result = await underStream(async () => {
        await activate('a')
        await sh(`ip -n ${vm.ns} link set eth1 down`)
      })
      t.diagnostic(`cut: ${JSON.stringify(result)}`)
      assert.ok(result.lost <= 200, JSON.stringify(result))
      assert.ok(await eventually(async () => (await statusOf(guest)) === 'ACTIVE', 10_000))
      assert.deepEqual(await bindings(), ['a ACTIVE', 'b INACTIVE'])
    })

    test('a stream of IPv6 follows, too; on a provider network the target says where its addresses are now', async (t) => {
      answered(await server.admin.delete(`ports/${guest['id']}/bindings/b`), 204)
      await sh(
        `ip -n ${vm.ns} link set eth1 up; ip -n ${vm.ns} addr replace ${address6}/64 dev eth1 noprefixroute nodad`,
      )
      answered(await server.admin.post(`ports/${guest['id']}/bindings`, { binding: { host: 'b' } }), 201)
      assert.ok(await eventually(() => provenOn('b'), 10_000))
      const mac = String(guest['mac_address'])
      const said = `ether src ${mac} and (ether proto 0x8035 or (arp and arp[6:2] = 1) or (icmp6 and ip6[40] = 136))`
      const heard = sh(`timeout 5 ip netns exec ${hub} tcpdump -nel -i ex-b '${said}' 2>/dev/null || true`)
      const result = await underStream(() => activate('b'), address6)
      t.diagnostic(`IPv6: ${JSON.stringify(result)}`)
      assert.ok(result.lost <= LOST, JSON.stringify(result))
      assert.ok(result.received >= PACKETS - LOST, JSON.stringify(result))
      assert.ok(await eventually(async () => (await statusOf(guest)) === 'ACTIVE', 10_000))
      const lines = await heard
      for (const line of [
        /Reverse Request/i,
        /ARP.* 10\.0\.0\./,
        new RegExp(`neighbor advertisement, tgt is ${address6}`),
      ])
        (kind === 'vlan' ? assert.match : assert.doesNotMatch)(lines, line)
    })
  })
}
