/** DHCP over the pipeline: a real client gets the address of its port, and the server outlives what happens to it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { SubnetObject } from '#wire/objects.ts'
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
    put('port', port(2, { port_security_enabled: false, security_groups: [] }))
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

  test('a client gets its IPv6 address by DHCPv6', async () => {
    const script = `${host.stateDir}/dhclient6`
    await sh(
      `printf '#!/bin/sh\\n[ "$reason" = BOUND6 ] && echo "$new_ip6_address" && kill $PPID\\nexit 0\\n' > ${script}; chmod +x ${script}`,
    )
    const files = `-lf ${host.stateDir}/leases6 -pf ${host.stateDir}/pid6 -sf ${script}`
    const got = await vm.sh(`timeout 15 dhclient -6 -1 -d ${files} eth0 2>/dev/null || true`)
    assert.equal(got.trim(), 'fd00::1')
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
