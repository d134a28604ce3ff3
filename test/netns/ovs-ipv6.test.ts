/** IPv6 on one host, by packets: what a port may be, claim and hear; rules by protocol, prefix and SCTP port. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ovsMissing } from '../lib/ovs.ts'
import {
  allow,
  createLab,
  createWorld,
  eventually,
  everythingOut,
  group,
  type Host,
  network,
  open,
  pause,
  portNumber,
  type Vm,
} from './ovs-lab.ts'

/** What a Linux host makes of fd00:1::/64 with the MAC of port 1 (RFC 4291, appendix A). */
const SLAAC = 'fd00:1::ff:fe00:1'
const MAC1 = '02:00:00:00:00:01'

describe('IPv6', { skip: ovsMissing() ?? false, timeout: 120_000 }, () => {
  const lab = createLab('oi')
  const { world, put, keys } = createWorld()
  let host: Host
  let vms: Vm[]

  const apply = async (...changed: ReturnType<typeof keys>): Promise<void> => {
    for (const it of await host.dataplane.reconcile(world, changed, true))
      assert.notEqual(it.state, 'error', it.message ?? '')
  }
  const vm = (n: number): Vm => vms[n - 1] as Vm
  /** Sends an ICMPv6 message as it stands; the kernel adds addresses and checksum. */
  const say = (from: Vm, source: string, to: string, message: string): Promise<string> =>
    from.sh(`/usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
scope = socket.if_nametoindex('eth0')
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
s.bind(('${source}', 0, 0, scope))
s.sendto(bytes.fromhex('${message.replaceAll(/[ :]/g, '')}'), ('${to}', 0, 0, scope))"`)
  /** Whether what \`act\` sends arrives at \`at\`, by a filter of tcpdump. */
  const arrives = async (at: Vm, filter: string, act: () => Promise<unknown>): Promise<boolean> => {
    const capture = at.sh(`timeout 2 tcpdump -l -c 1 -ni eth0 '${filter}' 2>/dev/null || true`)
    await pause(900)
    await act()
    return (await capture).trim() !== ''
  }

  before(async () => {
    host = await lab.host('h1')
    put('network', network('n1', null))
    put('security_group', open)
    put('security_group', group('closed', everythingOut))
    for (const n of [1, 2, 3]) put('port', portNumber(n))
    await apply(...keys())
    vms = [await lab.vm(host, portNumber(1)), await lab.vm(host, portNumber(2)), await lab.vm(host, portNumber(3))]
    assert.ok(await eventually(() => host.stateOf(portNumber(3).id)?.state === 'done'))
    assert.ok(await eventually(() => vm(1).ping('fd00::2')))
  })
  after(() => lab.close())

  test('an ICMPv6 rule opens one type; neighbour discovery needs none', async () => {
    await apply(put('port', portNumber(2, { security_groups: ['closed'] })))
    await vm(1).sh('ip -6 neigh flush dev eth0')
    assert.ok(!(await vm(1).ping('fd00::2')))
    assert.match(
      await vm(1).sh('ip -6 neigh show fd00::2'),
      /lladdr 02:00:00:00:00:02/,
      'its MAC is known all the same',
    )
    for (const protocol of [58, 1]) {
      const echo = { ethertype: 'IPv6', protocol, port_range_min: 128, port_range_max: 0 } as const
      await apply(put('security_group', group('closed', [...everythingOut, allow({ ...echo, port_range_min: 129 })])))
      assert.ok(!(await vm(1).ping('fd00::2')), 'the rule is for another type')
      await apply(put('security_group', group('closed', [...everythingOut, allow(echo)])))
      assert.ok(await vm(1).ping('fd00::2'), `protocol ${protocol}`)
      assert.ok(!(await vm(1).ping('10.0.0.2')), 'the rule is for IPv6')
    }
  })

  test('a remote prefix admits whom it holds', async () => {
    const from = (remote_ip_prefix: string) =>
      group('closed', [...everythingOut, allow({ ethertype: 'IPv6', remote_ip_prefix })])
    await apply(put('security_group', from('fd00::3/128')))
    assert.ok(!(await vm(1).ping('fd00::2')))
    assert.ok(await vm(3).ping('fd00::2'))
    await apply(put('security_group', from('fd00::/126')))
    assert.ok(await vm(1).ping('fd00::2'))
    await apply(put('security_group', from('fd00::4/126')))
    assert.ok(!(await vm(3).ping('fd00::2')))
    await apply(put('port', portNumber(2)))
  })

  test('an advertised prefix: the address made of the MAC passes, another of the prefix does not', async () => {
    // Port 3 stands for a router: it may advertise, which a guarded port may not.
    const prefix = '0304 40c0 00015180 00003840 00000000 fd00 0001 0000 0000 0000 0000 0000 0000'
    const advertisement = `8600 0000 4000 0000 00000000 00000000 ${prefix}`
    const addresses = (): Promise<string> => vm(1).sh('ip -6 addr show dev eth0 scope global')
    await say(vm(3), 'fe80::ff:fe00:3', 'ff02::1', advertisement)
    await pause(500)
    assert.doesNotMatch(await addresses(), /fd00:1:/, 'a guarded port advertises nothing')
    await apply(put('port', portNumber(3, { port_security_enabled: false, security_groups: [] })))
    await say(vm(3), 'fe80::ff:fe00:3', 'ff02::1', advertisement)
    assert.ok(await eventually(async () => (await addresses()).includes(SLAAC)), await addresses())
    await vm(3).sh('ip addr add fd00:1::3/64 dev eth0 nodad')
    assert.ok(!(await vm(1).ping('fd00:1::3')), 'not an address of the port yet')
    const fixed_ips = [...portNumber(1).fixed_ips, { subnet_id: 's1', ip_address: SLAAC }]
    await apply(put('port', portNumber(1, { fixed_ips })))
    assert.ok(await eventually(() => vm(1).ping('fd00:1::3')))
    assert.ok(await vm(3).ping(SLAAC))
    await vm(1).sh('ip addr add fd00:1::bad/64 dev eth0 nodad')
    assert.ok(!(await vm(1).can('ping -c 1 -W 1 -I fd00:1::bad fd00:1::3')))
    await apply(put('port', portNumber(1)), put('port', portNumber(3)))
  })

  test('a neighbour advertisement passes for an own address with an own MAC only', async () => {
    /** Unsolicited, overriding, with the target's link-layer address. */
    const claim = (target: string, mac: string): Promise<string> =>
      say(vm(1), 'fd00::1', 'fd00::2', `8800 0000 20000000 fd00 0000 0000 0000 0000 0000 0000 ${target} 0201 ${mac}`)
    const heard = (target: string, mac: string): Promise<boolean> =>
      arrives(vm(2), 'icmp6 and ip6[40] == 136 and src fd00::1 and ip6[44] == 0x20', () => claim(target, mac))
    assert.ok(await vm(1).ping('fd00::2'))
    assert.ok(await heard('0001', MAC1), 'honest')
    assert.ok(!(await heard('0003', MAC1)), "another port's address")
    assert.ok(!(await heard('0001', '02:00:00:00:00:66')), 'a foreign MAC')
    assert.ok(!(await heard('0066', MAC1)), 'an address of nobody')
    await apply(put('port', portNumber(1, { allowed_address_pairs: [{ ip_address: 'fd00::66', mac_address: MAC1 }] })))
    assert.ok(await heard('0066', MAC1), 'an allowed pair')
    await apply(put('port', portNumber(1)))
  })

  test('an address of an allowed pair is reached and speaks; its neighbour in the prefix does not', async () => {
    await vm(1).sh('ip addr add fd00::70/64 dev eth0 nodad')
    await vm(1).sh('ip addr add fd00::80/64 dev eth0 nodad')
    assert.ok(!(await vm(2).ping('fd00::70')))
    const pair = { ip_address: 'fd00::70/124', mac_address: MAC1 }
    await apply(put('port', portNumber(1, { allowed_address_pairs: [pair] })))
    await vm(2).sh('ip -6 neigh flush dev eth0')
    assert.ok(await eventually(() => vm(2).ping('fd00::70')))
    assert.ok(await vm(1).can('ping -c 1 -W 1 -I fd00::70 fd00::2'))
    assert.ok(!(await vm(1).can('ping -c 1 -W 1 -I fd00::80 fd00::2')))
    assert.ok(!(await vm(2).ping('fd00::80')))
    await apply(put('port', portNumber(1)))
  })

  test('an SCTP rule opens its port', async () => {
    /** An INIT chunk as it stands: no kernel with SCTP is needed to send it, nor to see it arrive. */
    const init = (port: number): Promise<string> =>
      vm(1).sh(`/usr/bin/python3 -c "
import socket, struct
def crc32c(data):
  crc = 0xffffffff
  for byte in data:
    crc ^= byte
    for _ in range(8): crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
  return crc ^ 0xffffffff
chunk = struct.pack('!BBHIIHHI', 1, 0, 20, 7, 65536, 1, 1, 1)
head = struct.pack('!HHI', 40000, ${port}, 0)
packet = head + struct.pack('<I', crc32c(head + bytes(4) + chunk)) + chunk
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 132)
s.bind(('fd00::1', 0))
s.sendto(packet, ('fd00::2', 0))"`)
    const seen = (port: number): Promise<boolean> => arrives(vm(2), 'ip6 proto 132 and dst fd00::2', () => init(port))
    const rule = allow({ ethertype: 'IPv6', protocol: 132, port_range_min: 5000, port_range_max: 5007 })
    for (const stateful of [false, true]) {
      const sctp = group('closed', [...everythingOut, rule], stateful)
      await apply(put('security_group', sctp), put('port', portNumber(2, { security_groups: ['closed'] })))
      for (const port of [5000, 5007]) assert.ok(await seen(port), `port ${port}, ${JSON.stringify({ stateful })}`)
      for (const port of [4999, 5008]) assert.ok(!(await seen(port)), `port ${port}, ${JSON.stringify({ stateful })}`)
    }
  })
})
