/** DHCP over the pipeline: a real client gets the address of its port, and the server outlives what happens to it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { DhcpOptionObject, SubnetObject } from '#wire/objects.ts'
import { ovsMissing } from '../lib/ovs.ts'
import {
  createLab,
  createWorld,
  eventually,
  everythingOut,
  group,
  type Host,
  network,
  portNumber,
  sh,
  type Vm,
} from './ovs-lab.ts'

const subnet: SubnetObject = {
  id: 's4',
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.254',
  enable_dhcp: true,
  ipv6_ra_mode: null,
  ipv6_address_mode: null,
  dns_nameservers: ['10.0.0.53'],
  host_routes: [],
}

const subnet6: SubnetObject = {
  ...subnet,
  id: 's6',
  ip_version: 6,
  cidr: 'fd00::/64',
  gateway_ip: null,
  ipv6_address_mode: 'dhcpv6-stateful',
  dns_nameservers: [],
}

/** What udhcpc tells its script of a lease, by its names. */
type Told = Partial<
  Record<
    | 'ip'
    | 'siaddr'
    | 'tftp'
    | 'bootfile'
    | 'boot_file'
    | 'mtu'
    | 'domain'
    | 'router'
    | 'staticroutes'
    | 'wpad'
    | 'rootpath',
    string
  >
>

const inside = process.env['OVS_DHCP_NAMESPACE']

// The agent must see the devices of its switch, as on a real host: the test runs itself again in the host's namespace.
if (inside) describe('DHCP', { timeout: 120_000 }, insideHost)
else test('DHCP, in a host of its own', { skip: ovsMissing() ?? false }, runInside)

async function runInside(): Promise<void> {
  const name = `od${process.pid}`
  await sh(`ip netns add ${name}; ip -n ${name} link set lo up`)
  try {
    const command = [`--net=/run/netns/${name}`, process.execPath, '--test-reporter=spec', import.meta.filename]
    const child = spawn('nsenter', command, {
      env: { ...process.env, OVS_DHCP_NAMESPACE: name, NODE_TEST_CONTEXT: '' },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
    const [code] = await once(child, 'exit')
    assert.equal(code, 0, output)
  } finally {
    await sh(`ip netns del ${name}`)
  }
}

function insideHost(): void {
  const lab = createLab('od')
  const { world, put, drop, keys } = createWorld()
  const id = crypto.randomUUID()
  const served = network(id, null, {
    subnets: [subnet, subnet6],
    dhcp: {
      port_id: crypto.randomUUID(),
      mac_address: '02:00:00:00:00:dd',
      fixed_ips: [
        { subnet_id: 's4', ip_address: '10.0.0.200' },
        { subnet_id: 's6', ip_address: 'fd00::200' },
      ],
    },
  })
  const port = (n: number, more = {}) =>
    portNumber(n, {
      network_id: id,
      security_groups: ['closed'],
      fixed_ips: [
        { subnet_id: 's4', ip_address: `10.0.0.${n}` },
        { subnet_id: 's6', ip_address: `fd00::${n}` },
      ],
      ...more,
    })
  const unguarded = { port_security_enabled: false, security_groups: [] }
  let host: Host
  let vm: Vm
  let second: Vm
  let silent: Vm

  const apply = async (...changed: ReturnType<typeof keys>): Promise<void> =>
    void host.reports.push(...(await host.dataplane.reconcile(world, changed, true)))
  const lease = async (on: Vm): Promise<string> => {
    const script = `${host.stateDir}/udhcpc`
    await sh(
      `printf '#!/bin/sh\\n[ "$1" = bound ] && echo "$ip $mtu $dns" >&2\\nexit 0\\n' > ${script}; chmod +x ${script}`,
    )
    return on
      .sh(`udhcpc -i eth0 -n -q -f -t 5 -T 1 -O mtu -s ${script} 2>&1 | grep '^10\\.' || true`)
      .then((text) => text.trim())
  }

  before(async () => {
    host = await lab.host('h1', { namespace: inside ?? '' })
    put('network', served)
    put('security_group', group('closed', everythingOut))
    put('security_group', group('silent', []))
    put('port', port(1))
    put('port', port(3, { security_groups: ['silent'] }))
    put('port', port(2, unguarded))
    await apply(...keys())
    vm = await lab.vm(host, { ...port(1), fixed_ips: [] })
    second = await lab.vm(host, { ...port(2), fixed_ips: [] })
    silent = await lab.vm(host, port(3))
    assert.ok(
      await eventually(() => host.stateOf(port(3).id)?.state === 'done'),
      host.stateOf(port(3).id)?.message ?? '',
    )
  })
  after(async () => {
    drop('port', port(1).id)
    drop('port', port(2).id)
    drop('port', port(3).id)
    await apply(drop('network', id))
    await lab.close()
  })

  test('a client gets its address, MTU and name server, guarded or not', async () => {
    assert.equal(await lease(vm), '10.0.0.1 1450 10.0.0.53')
    assert.equal(await lease(second), '10.0.0.2 1450 10.0.0.53')
  })

  test('one server serves ports on two segments, which stay apart', async () => {
    const local = (name: string) =>
      ({ id: name, network_type: 'local', physical_network: null, segmentation_id: null }) as const
    const [one, other] = [port(1, { segment_ids: ['a'] }), port(2, { ...unguarded, segment_ids: ['b'] })]
    await apply(put('network', { ...served, segments: [local('a'), local('b')] }), put('port', one), put('port', other))
    assert.equal(await lease(vm), '10.0.0.1 1450 10.0.0.53')
    assert.equal(await lease(second), '10.0.0.2 1450 10.0.0.53')
    for (const [on, address] of [
      [vm, '10.0.0.1'],
      [second, '10.0.0.2'],
    ] as const)
      await on.sh(`ip addr replace ${address}/24 dev eth0`)
    assert.ok((await vm.ping('10.0.0.200')) && (await second.ping('10.0.0.200')))
    assert.ok(!(await vm.ping('10.0.0.2')))
    await apply(put('network', served), put('port', port(1)), put('port', port(2, unguarded)))
    assert.ok(await eventually(() => vm.ping('10.0.0.2')))
    for (const on of [vm, second]) await on.sh('ip addr flush dev eth0 scope global')
  })

  test('a client gets its IPv6 address by DHCPv6', async () => {
    const script = `${host.stateDir}/dhclient6`
    await sh(
      `printf '#!/bin/sh\\n[ "$reason" = BOUND6 ] && echo "$new_ip6_address" && kill $PPID\\nexit 0\\n' > ${script}; chmod +x ${script}`,
    )
    const files = `-lf ${host.stateDir}/leases6 -pf ${host.stateDir}/pid6 -sf ${script}`
    const got = await vm.sh(`timeout 15 dhclient -6 -1 -d ${files} eth0 2>/dev/null || true`)
    assert.equal(got.trim(), 'fd00::1')
  })

  describe('options of a port', () => {
    const other = port(2, { port_security_enabled: false, security_groups: [] })
    let generation = 1
    /** Asks with the options applied, and answers what the client is told, by udhcpc's names. */
    const told = async (on: Vm, ask: string): Promise<Told> => {
      const script = `${host.stateDir}/udhcpc-all`
      await sh(`printf '#!/bin/sh\\n[ "$1" = bound ] && env -0 >&2\\nexit 0\\n' > ${script}; chmod +x ${script}`)
      const text = await on.sh(`udhcpc -i eth0 -n -q -f -t 5 -T 1 ${ask} -s ${script} 2>&1 || true`)
      const pairs = text.split(/[\0\n]/).map((line) => /^(\w+)=(.*)$/.exec(line) ?? ['', '', ''])
      return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value])) as Told
    }
    const set = async (...given: [string, string, (4 | 6)?][]): Promise<void> => {
      const extra_dhcp_opts = given.map(
        ([opt_name, opt_value, ip_version = 4]): DhcpOptionObject => ({ opt_name, opt_value, ip_version }),
      )
      host.reports.length = 0
      await apply(put('port', port(1, { extra_dhcp_opts, generation: ++generation })))
    }
    const ALL = '-O tftp -O bootfile -O mtu -O domain -O router -O staticroutes -O wpad'
    const serverPid = async (): Promise<string> => (await sh(`cat ${host.stateDir}/dhcp/${id}/pid`)).trim()

    test('the client gets them, its neighbour does not; a change is heard by the running server', async () => {
      const pid = await serverPid()
      assert.equal((await told(vm, ALL)).router, '10.0.0.254')
      await set(
        ['tftp-server', 'boot.example'],
        ['bootfile-name', 'images/a, "b" # c\\d'],
        ['server-ip-address', '10.0.0.77'],
        ['mtu', '1333'],
        ['domain-name', 'one.example'],
        ['router', ''],
        ['252', 'http://10.0.0.9/wpad.dat'],
      )
      assert.deepEqual(host.stateOf(port(1).id)?.message, null)
      const first = await told(vm, ALL)
      assert.equal(first.ip, '10.0.0.1')
      assert.equal(first.tftp, 'boot.example')
      assert.match(`${first.bootfile} ${first.boot_file}`, /images\/a, "b" # c\\d/)
      assert.equal(first.siaddr, '10.0.0.77')
      assert.equal(first.mtu, '1333')
      assert.equal(first.domain, 'one.example')
      assert.equal(first.router, undefined)
      assert.equal(first.wpad, 'http://10.0.0.9/wpad.dat')
      const neighbour = await told(second, ALL)
      assert.deepEqual(
        [neighbour.tftp, neighbour.mtu, neighbour.domain, neighbour.router],
        [undefined, '1450', 'openstacklocal', '10.0.0.254'],
      )
      await set(['tftp-server', 'other.example'])
      const changed = await told(vm, ALL)
      assert.deepEqual([changed.tftp, changed.mtu, changed.router], ['other.example', '1450', '10.0.0.254'])
      await set()
      assert.equal((await told(vm, ALL)).tftp, undefined)
      assert.equal(await serverPid(), pid, 'the same server all the while')
    })

    test('routes of the subnet are kept from a port that wants none', async () => {
      const routed = { ...subnet, host_routes: [{ destination: '198.51.100.0/24', nexthop: '10.0.0.9' }] }
      await apply(put('network', { ...served, subnets: [routed, subnet6], generation: 2 }))
      assert.match((await told(vm, ALL)).staticroutes ?? '', /^198\.51\.100\.0\/24 10\.0\.0\.9/)
      await set(['classless-static-route', ''])
      assert.equal((await told(vm, ALL)).staticroutes, undefined)
      await set()
      await apply(put('network', { ...served, generation: 3 }))
    })

    test('a boot client is told something else than others', async () => {
      await set(['tag:!ipxe,67', 'undionly.kpxe'], ['tag:ipxe,67', 'http://10.0.0.9/boot.ipxe'])
      const bootfile = async (ask: string): Promise<string> => {
        const { bootfile = '', boot_file = '' } = await told(vm, `${ALL} ${ask}`)
        return bootfile || boot_file
      }
      assert.equal(await bootfile(''), 'undionly.kpxe')
      assert.equal(await bootfile('-x 0xaf:01'), 'http://10.0.0.9/boot.ipxe')
    })

    test("a client identifier gets the port's address, whatever the MAC", async () => {
      await set(['client-id', 'root, disk #1'])
      const hex = Buffer.from('root, disk #1').toString('hex')
      assert.equal((await told(vm, `-x 0x3d:${hex}`)).ip, '10.0.0.1')
      assert.equal((await told(second, '')).ip, '10.0.0.2')
      assert.equal((await told(vm, '')).ip, '10.0.0.1')
    })

    test('what the server does not know is left out and said of the port; the others are served', async () => {
      const long = '€'.repeat(255)
      await set(
        ['no-such-option', 'x'],
        ['router', 'nowhere'],
        ['tftp-server', 'kept.example'],
        ['67', `${long}${long}`],
        ['x\ndhcp-option', 'y'],
        ['17', '/root\ndhcp-option=26,600'],
        ['18', '"\\'],
        ['mtu,1\ntag:p', '600'],
      )
      const state = host.stateOf(port(1).id)
      assert.equal(state?.state, 'done')
      assert.match(state?.message ?? '', /^DHCP option '.+' is left out: .+; 5 more are left out$/s)
      const kept = await told(vm, `${ALL} -O rootpath`)
      assert.deepEqual(
        [kept.ip, kept.tftp, kept.mtu, kept.rootpath, kept.router],
        ['10.0.0.1', 'kept.example', '1450', undefined, '10.0.0.254'],
      )
      assert.equal((await told(second, ALL)).ip, '10.0.0.2')
      assert.doesNotMatch(await sh(`cat ${host.stateDir}/dhcp/${id}/log || true`), /bad|error|missing/i)
      await set(['no-such-option', 'x'])
      assert.match(
        host.stateOf(port(1).id)?.message ?? '',
        /'no-such-option' is left out: dnsmasq says 'bad dhcp-option'/,
      )
      await set()
      assert.equal(host.stateOf(port(1).id)?.message, null)
    })

    test('DHCPv6 tells them too', async () => {
      // A client that had no lease yet: it makes up a new name for itself each time.
      const extra_dhcp_opts = [
        { opt_name: 'bootfile-url', opt_value: 'tftp://[fd00::9]/a', ip_version: 6 },
        { opt_name: '23', opt_value: 'fd00::53', ip_version: 6 },
      ] as const
      await apply(put('port', { ...other, extra_dhcp_opts, generation: 2 }))
      const script = `${host.stateDir}/dhclient6-all`
      await sh(
        `printf '#!/bin/sh\\n[ "$reason" = BOUND6 ] && echo "$new_dhcp6_name_servers $new_dhcp6_bootfile_url" && kill $PPID\\nexit 0\\n' > ${script}; chmod +x ${script}`,
      )
      const conf = `${host.stateDir}/dhclient6.conf`
      await sh(
        `printf 'option dhcp6.bootfile-url code 59 = text;\\nalso request dhcp6.bootfile-url, dhcp6.name-servers;\\n' > ${conf}`,
      )
      const files = `-cf ${conf} -lf ${host.stateDir}/leases6-all -pf ${host.stateDir}/pid6-all -sf ${script}`
      const got = await second.sh(`timeout 15 dhclient -6 -1 -d ${files} eth0 2>/dev/null || true`)
      assert.match(got, /^fd00::53 "?tftp:\/\/\[fd00::9\]\/a"?$/m)
    })

    test('another domain restarts the server, which keeps its leases', async () => {
      const pid = await serverPid()
      const leases = async (): Promise<string[]> =>
        (await sh(`cat ${host.stateDir}/dhcp/${id}/leases`))
          .split('\n')
          .map((line) => line.split(' ').slice(1, 3).join(' '))
      const before = await leases()
      assert.ok(before.includes(`${other.mac_address} 10.0.0.2`))
      await apply(put('network', { ...served, dns_domain: 'red.example', generation: 4 }))
      assert.notEqual(await serverPid(), pid)
      assert.deepEqual(await leases(), before)
      const { domain, ip } = await told(second, ALL)
      assert.deepEqual([domain, ip], ['red.example', '10.0.0.2'])
      assert.equal(await silent.resolve('udp', '10.0.0.200', 'host-10-0-0-2.red.example'), '10.0.0.2')
      await apply(put('network', { ...served, generation: 5 }))
      await set()
    })
  })

  test('a VM that no group lets speak reaches the name server of its network, as itself', async () => {
    const name = 'host-10-0-0-1.openstacklocal'
    assert.equal(await silent.resolve('udp', '10.0.0.200', name), '10.0.0.1')
    assert.equal(await silent.resolve('tcp', '10.0.0.200', name), '10.0.0.1')
    assert.equal(
      await silent.resolve('udp', 'fd00::200', 'host-fd00--1.openstacklocal'),
      'fd00:0000:0000:0000:0000:0000:0000:0001',
    )
    assert.ok(await silent.ping('10.0.0.200'))
    assert.ok(await silent.can('ping -c 1 -W 1 -s 4000 10.0.0.200'), 'in fragments')
    assert.ok(await silent.ping('fd00::200'))
    // Only what is for the server: the group still holds for everything else.
    const tftp = `python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(('10.0.0.200', 69)); s.send(b'x'); s.recv(9)"`
    assert.match(await silent.sh(`${tftp} 2>&1 || true`), /timed out/)
    assert.ok(!(await silent.ping('10.0.0.2')))
    await silent.sh('sh -c "ip addr add 10.0.0.77/24 dev eth0; ip addr add fd00::77/64 dev eth0 nodad"')
    assert.ok(!(await silent.can('ping -c 1 -W 1 -I 10.0.0.77 10.0.0.200')))
    assert.ok(!(await silent.can('ping -c 1 -W 1 -I fd00::77 fd00::200')))
  })

  test('a guarded VM cannot serve DHCP', async () => {
    await vm.sh('ip addr add 10.0.0.1/24 dev eth0')
    await second.sh('ip addr add 10.0.0.2/24 dev eth0')
    const offer = `/usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', FROM)); s.sendto(b'x' * 300, ('10.0.0.2', 68))"`
    const arrives = async (from: number): Promise<boolean> => {
      const seen = second.sh(`timeout 2 tcpdump -l -c 1 -ni eth0 'udp port 68 and src 10.0.0.1' 2>/dev/null || true`)
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await vm.sh(offer.replace('FROM', String(from)))
      return (await seen).trim() !== ''
    }
    assert.ok(await arrives(6767), 'another source port passes')
    assert.ok(!(await arrives(67)))
  })

  test('a deleted server namespace is repaired and reported', async () => {
    host.reports.length = 0
    const names = (await sh('ip netns list')).split('\n').map((line) => line.split(' ')[0] ?? '')
    const mine = names.find((name) => name.startsWith('dhcp-h1-') && name.includes(id.slice(0, 8)))
    assert.ok(mine)
    const pids = (await sh(`ip netns pids ${mine}`)).trim().split('\n')
    await sh(`ip netns del ${mine}`)
    assert.ok(await eventually(() => host.reports.some((it) => it.repaired && it.kind === 'network'), 10_000))
    assert.ok(await eventually(async () => (await lease(vm)).startsWith('10.0.0.1 '), 10_000))
    host.reports.length = 0
    // Now with everything in it: the server dies, and with the last process the namespace and its device.
    await sh(`ip netns del ${mine}; kill -9 ${pids.join(' ')} || true`)
    assert.ok(
      await eventually(
        () => host.reports.some((it) => it.repaired && it.kind === 'network' && it.state === 'done'),
        10_000,
      ),
    )
    assert.ok(await eventually(async () => (await lease(vm)).startsWith('10.0.0.1 '), 10_000))
  })
}
