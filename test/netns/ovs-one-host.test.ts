/** Packets on one host: what a port may send and receive, proven by sending it. */
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
  type Running,
  type Vm,
} from './ovs-lab.ts'

describe('one host', { skip: ovsMissing() ?? false, timeout: 120_000 }, () => {
  const lab = createLab('oa')
  const { world, put, drop, keys } = createWorld()
  const servers: Running[] = []
  let host: Host
  let vms: Vm[]

  const apply = async (...changed: ReturnType<typeof keys>): Promise<void> => {
    const reports = await host.dataplane.reconcile(world, changed, true)
    host.reports.push(...reports)
    for (const it of reports) assert.notEqual(it.state, 'error', it.message ?? '')
  }
  const vm = (n: number): Vm => vms[n - 1] as Vm

  before(async () => {
    host = await lab.host('h1')
    put('network', network('n1', null))
    put('network', network('n2', null))
    put('security_group', open)
    put('security_group', group('closed', everythingOut))
    put('port', portNumber(1))
    put('port', portNumber(2))
    put('port', portNumber(3, { network_id: 'n2' }))
    await apply(...keys())
    vms = [await lab.vm(host, portNumber(1)), await lab.vm(host, portNumber(2)), await lab.vm(host, portNumber(3))]
    assert.ok(await eventually(() => host.stateOf(portNumber(3).id)?.state === 'done'))
    for (const it of vms) servers.push(await it.start('serve', '80', '443'))
  })
  after(() => lab.close())

  test('ports of one network reach each other, by ARP and by neighbour discovery; another network is another world', async () => {
    assert.ok(await vm(1).ping('10.0.0.2'))
    assert.ok(await vm(1).ping('fd00::2'))
    assert.ok(!(await vm(1).ping('10.0.0.3')))
    assert.ok(!(await vm(3).ping('10.0.0.1')))
  })

  test('a group without rules for it lets nothing in, but replies come back', async () => {
    await apply(put('port', portNumber(2, { security_groups: ['closed'] })))
    assert.ok(!(await vm(1).ping('10.0.0.2')))
    assert.ok(!(await vm(1).ask('tcp', '10.0.0.2', 80)))
    assert.ok(await vm(2).ping('10.0.0.1'))
    assert.ok(await vm(2).ask('tcp', '10.0.0.1', 80))
    assert.ok(await vm(2).ask('udp', 'fd00::1', 80))
  })

  test('rules open what they name: protocol, port range, prefix, IP version', async () => {
    const rules = [
      ...everythingOut,
      allow({ protocol: 6, port_range_min: 70, port_range_max: 90 }),
      allow({
        protocol: 17,
        port_range_min: 443,
        port_range_max: 443,
        ethertype: 'IPv6',
        remote_ip_prefix: 'fd00::/64',
      }),
      allow({ protocol: 1, port_range_min: 8, port_range_max: 0, remote_ip_prefix: '10.0.0.1/32' }),
    ]
    await apply(put('security_group', group('closed', rules)))
    assert.ok(await vm(1).ask('tcp', '10.0.0.2', 80))
    assert.ok(!(await vm(1).ask('tcp', '10.0.0.2', 443)), 'outside the range')
    assert.ok(!(await vm(1).ask('tcp', 'fd00::2', 80)), 'the other IP version')
    assert.ok(await vm(1).ask('udp', 'fd00::2', 443))
    assert.ok(!(await vm(1).ask('udp', '10.0.0.2', 443)))
    assert.ok(await vm(1).ping('10.0.0.2'))
    assert.ok(!(await vm(1).ping('fd00::2')))
  })

  test('a remote group admits its members, by address, as they come and go', async () => {
    const named = allow({ remote_group_id: 'friends' })
    await apply(put('security_group', group('closed', [...everythingOut, named])))
    assert.ok(!(await vm(1).ping('10.0.0.2')))
    const member = { id: 'friends:1', security_group_id: 'friends', ip_addresses: ['10.0.0.1', 'fd00::1'] }
    await apply(put('group_member', member))
    assert.ok(await vm(1).ping('10.0.0.2'))
    assert.ok(!(await vm(1).ping('fd00::2')), 'the rule is for IPv4')
    await apply(drop('group_member', member.id))
    assert.ok(!(await vm(1).ping('10.0.0.2')))
  })

  test('a stateless group allows what its rules name in each direction, and no reply beyond', async () => {
    const stateless = group('closed', [allow({ direction: 'egress', protocol: 6 }), allow({ protocol: 1 })], false)
    await apply(put('security_group', stateless))
    assert.ok(!(await vm(2).ask('tcp', '10.0.0.1', 80)), 'the answer needs a rule of its own')
    await apply(put('security_group', { ...stateless, rules: [...stateless.rules, allow({ protocol: 6 })] }))
    assert.ok(await vm(2).ask('tcp', '10.0.0.1', 80))
    assert.ok(!(await vm(1).ping('10.0.0.2')), 'no rule lets the echo reply out')
  })

  test('a removed rule cuts the connection it allowed; put back, the connection goes on', async () => {
    const tcp = group('closed', [...everythingOut, allow({ protocol: 6, port_range_min: 80, port_range_max: 80 })])
    await apply(put('security_group', tcp))
    const stream = await vm(1).start('hold', '10.0.0.2', '80')
    const grows = async (): Promise<boolean> => {
      const before = stream.lines.length
      await pause(600)
      return stream.lines.length > before
    }
    assert.ok(await grows())
    await apply(put('security_group', group('closed', everythingOut)))
    await pause(700)
    assert.ok(!(await grows()), 'cut')
    await apply(put('security_group', tcp))
    assert.ok(await eventually(grows), 'the retransmission gets through')
    await stream.stop()
  })

  test('a foreign source is dropped: address, MAC, ARP; an allowed pair is not', async () => {
    await apply(put('security_group', open), put('port', portNumber(2)))
    await vm(1).sh('ip addr add 10.0.0.66/24 dev eth0')
    await vm(1).sh('ip addr add fd00::66/64 dev eth0 nodad')
    await vm(1).sh('ip neigh flush dev eth0')
    assert.ok(!(await vm(1).can('ping -c 1 -W 1 -I 10.0.0.66 10.0.0.2')))
    assert.ok(!(await vm(1).can('ping -c 1 -W 1 -I fd00::66 fd00::2')))
    const pairs = ['10.0.0.66', 'fd00::/64'].map((ip_address) => ({ ip_address, mac_address: '02:00:00:00:00:01' }))
    await apply(put('port', portNumber(1, { allowed_address_pairs: pairs })))
    // Resolution that failed a moment ago may fail the first packet.
    assert.ok(await eventually(() => vm(1).can('ping -c 1 -W 1 -I 10.0.0.66 10.0.0.2')))
    assert.ok(await eventually(() => vm(1).can('ping -c 1 -W 1 -I fd00::66 fd00::2')))
    await apply(put('port', portNumber(1)))
    // The switch's cached flows follow its tables within half a second.
    await pause(700)
    assert.ok(!(await vm(1).can('ping -c 1 -W 1 -I 10.0.0.66 10.0.0.2')))
    await vm(1).sh('ip link set eth0 address 02:00:00:00:00:77')
    assert.ok(!(await vm(1).ping('10.0.0.2')), "a MAC that is not the port's")
    await apply(
      put(
        'port',
        portNumber(1, { allowed_address_pairs: [{ ip_address: '10.0.0.66', mac_address: '02:00:00:00:00:77' }] }),
      ),
    )
    await vm(2).sh('ip neigh flush dev eth0')
    assert.ok(await eventually(() => vm(1).can('ping -c 1 -W 1 -I 10.0.0.66 10.0.0.2')), 'a pair with a MAC of its own')
    await vm(1).sh('ip link set eth0 address 02:00:00:00:00:01')
    await apply(put('port', portNumber(1)))
  })

  test('a tagged frame of a VM goes nowhere', async () => {
    const tagged = `/usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
mac = bytes.fromhex('020000000001'); tag = bytes.fromhex('81000064') if TAG else b''
s.send(b'\\xff' * 6 + mac + tag + bytes.fromhex('0806000108000604000102000000000' + '10a000001' + '0' * 12 + '0a000001'))
"`
    const arrived = async (tag: 0 | 1): Promise<number> => {
      const capture = vm(2).sh(
        `timeout 2 tcpdump -l -c 1 -ni eth0 'ether src 02:00:00:00:00:01 and (arp or vlan)' 2>/dev/null || true`,
      )
      await pause(1000)
      await vm(1).sh(tagged.replace('TAG', String(tag)))
      return (await capture).trim().length
    }
    assert.ok((await arrived(0)) > 0, 'the same frame without a tag floods')
    assert.equal(await arrived(1), 0)
  })

  test('without port security a port may send as anyone and hears what is not for it', async () => {
    await vm(2).sh('ip neigh flush dev eth0')
    await apply(put('port', portNumber(1, { port_security_enabled: false, security_groups: [] })))
    assert.ok(await eventually(() => vm(1).can('ping -c 1 -W 1 -I 10.0.0.66 10.0.0.2')))
    await apply(put('port', portNumber(1)))
  })

  test('a port that is down, or whose network is, carries nothing', async () => {
    assert.ok(await eventually(() => vm(2).ping('10.0.0.1')))
    await apply(put('port', portNumber(1, { admin_state_up: false })))
    assert.ok(!(await vm(2).ping('10.0.0.1')))
    await apply(put('port', portNumber(1)), put('network', network('n1', null, { admin_state_up: false })))
    assert.ok(!(await vm(2).ping('10.0.0.1')))
    await apply(put('network', network('n1', null)))
    assert.ok(await vm(2).ping('10.0.0.1'))
  })

  test('an unplugged port is pending and has no flow; plugged again it is realized', async () => {
    const id = portNumber(1).id
    await vm(1).unplug()
    assert.ok(await eventually(() => host.stateOf(id)?.state === 'pending'))
    assert.match(host.stateOf(id)?.message ?? '', /no interface is plugged/)
    await vm(1).plug()
    assert.ok(await eventually(() => host.stateOf(id)?.state === 'done'))
    assert.ok(await vm(2).ping('10.0.0.1'))
  })

  test('a port stays closed until its group has arrived', async () => {
    const [report] = await host.dataplane.reconcile(
      world,
      [put('port', portNumber(1, { security_groups: ['later'] }))],
      true,
    )
    assert.equal(report?.state, 'pending')
    assert.ok(!(await vm(1).ping('10.0.0.2')))
    await apply(put('security_group', group('later', everythingOut)))
    assert.equal(host.stateOf(portNumber(1).id)?.state, 'done', 'reported though only the group was asked for')
    assert.ok(await vm(1).ping('10.0.0.2'))
    await apply(put('port', portNumber(1)), drop('security_group', 'later'))
  })

  /** UDP, one packet a millisecond, from VM 1 to VM 2 while `disturb` runs. */
  const underStream = async (disturb: () => Promise<void>): Promise<{ received: number; lost: number }> => {
    const receiver = await vm(2).start('receive', '9000')
    const sender = await vm(1).start('send', '10.0.0.2', '9000', '2500')
    await pause(500)
    await disturb()
    await sender.done()
    await pause(300)
    return JSON.parse(await receiver.stop())
  }

  test('an agent that restarts, and an upgrade of the pipeline, lose no packet', async (t) => {
    const control = await underStream(async () => undefined)
    if (control.lost > 0) return t.skip(`the control run lost ${control.lost}: this machine is too busy to tell`)
    assert.equal(control.received, 2500)
    const flows = await host.ovs.ofctl('dump-flows', 'br-int')
    const restarted = await underStream(async () => {
      await host.restart()
      await apply(...keys())
    })
    assert.deepEqual([restarted.received, restarted.lost], [2500, 0])
    const age = /duration=(\d+)/g
    assert.ok(
      Math.min(...[...(await host.ovs.ofctl('dump-flows', 'br-int')).matchAll(age)].map((it) => Number(it[1]))) >= 2,
      'no flow was written',
    )
    const upgraded = await underStream(async () => {
      await host.restart({ pipelineVersion: 99 })
      await apply(...keys())
    })
    assert.deepEqual([upgraded.received, upgraded.lost], [2500, 0])
    const now = await host.ovs.ofctl('dump-flows', 'br-int')
    assert.equal(now.split('\n').length, flows.split('\n').length)
    assert.doesNotMatch(now, /cookie=0xde01/)
  })

  test('flows that someone deletes come back and the repair is reported; foreign ones are left alone', async () => {
    await host.ovs.ofctl('add-flow', 'br-int', 'cookie=0x1,table=61,priority=7,ip,actions=drop')
    host.reports.length = 0
    await host.ovs.ofctl('del-flows', 'br-int', `table=0`)
    assert.ok(await eventually(() => host.reports.some((it) => it.repaired && it.id === portNumber(1).id)))
    assert.ok(await vm(1).ping('10.0.0.2'))
    await host.ovs.ofctl('mod-flows', 'br-int', 'table=60,actions=drop')
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')), 'changed actions under the same cookie')
    assert.match(await host.ovs.ofctl('dump-flows', 'br-int'), /cookie=0x1,/)
  })

  test('a switch that restarts gets everything again', async () => {
    await host.ovs.stopSwitch()
    await host.ovs.startSwitch()
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2'), 10_000))
  })

  test('a database that restarts is followed: ports plugged meanwhile and after are seen', async () => {
    const id = portNumber(1).id
    await host.ovs.stopDb()
    await host.ovs.startDb()
    await vm(1).unplug()
    assert.ok(await eventually(() => host.stateOf(id)?.state === 'pending', 10_000))
    await vm(1).plug()
    assert.ok(await eventually(() => host.stateOf(id)?.state === 'done', 10_000))
    assert.ok(await vm(1).ping('10.0.0.2'))
  })

  test('a port that is gone leaves no connection in its conntrack zone', async () => {
    await host.restart({ readBackMs: 300 })
    await apply(...keys())
    const zones = async (): Promise<number> => {
      const lines = (await host.ovs.appctl('dpctl/dump-conntrack')).split('\n')
      const between = lines.filter((line) => line.startsWith('icmp,') && line.includes('src=10.0.0.1,dst=10.0.0.2'))
      return new Set(between.map((line) => /zone=(\d+)/.exec(line)?.[1])).size
    }
    assert.ok(await eventually(() => vm(1).ping('10.0.0.2')))
    await pause(700)
    assert.equal(await zones(), 2, "the sender's and the receiver's, over read-backs")
    await apply(drop('port', portNumber(1).id))
    assert.ok(await eventually(async () => (await zones()) === 1))
  })

  test('a second agent is refused', async () => {
    await assert.rejects(host.second(), /another Deuteron agent runs on the Open vSwitch/)
  })
})
