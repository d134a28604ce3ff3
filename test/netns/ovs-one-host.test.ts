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
  portNumber,
  type Running,
  type Vm,
} from './ovs-lab.ts'

describe('one host', { skip: ovsMissing() ?? false, timeout: 120_000 }, () => {
  const lab = createLab('oa')
  const { world, put, keys } = createWorld()
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
      allow({ protocol: 17, port_range_min: 443, port_range_max: 443, ethertype: 'IPv6', remote_ip_prefix: 'fd00::/64' }),
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
})
