/** A port on a (simulated) virtual function beside one on a real switch: the switch never hears of it, and goes on. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { keptIn, simulatedCards } from '#dataplane/devices/cards.ts'
import { withDevices } from '#dataplane/devices/index.ts'
import type { VfState } from '#dataplane/devices/plan.ts'
import { silentLogger } from '#kernel/log.ts'
import { ovsMissing } from '../lib/ovs.ts'
import { createLab, createWorld, eventually, network, open, portNumber } from './ovs-lab.ts'

const SLOT = '0000:fb:02.1'
const lab = createLab('od')
after(() => lab.close())

test('a port moves from a device to the switch and back', {
  skip: ovsMissing() ?? false,
  timeout: 60_000,
}, async () => {
  const { world, put, keys } = createWorld()
  const host = await lab.host('h1')
  const states = keptIn<Readonly<Record<string, VfState>>>(null, {})
  const none = { interfaces: async () => new Set<string>(), macvtaps: async () => [], setMacvtap: async () => {} }
  const cards = simulatedCards([SLOT], states, none)
  const options = { cards, marks: keptIn<readonly string[]>(null, []), log: silentLogger }
  const dataplane = withDevices(host.dataplane, options)
  const apply = async (...changed: ReturnType<typeof keys>): Promise<void> => {
    host.reports.push(...(await dataplane.reconcile(world, changed, true)))
  }
  const flowsOf = async (mac: string): Promise<number> =>
    (await host.ovs.ofctl('dump-flows', 'br-int')).split('\n').filter((line) => line.includes(mac)).length

  const device = { kind: 'vf', pci_slot: SLOT, source: null, vlan: 7, follows_uplink: true } as const
  const direct = portNumber(2, { vnic_type: 'direct', device })
  put('network', network('n1', null))
  put('network', network('n2', null))
  put('security_group', open)
  put('port', portNumber(1, { network_id: 'n2' }))
  put('port', direct)
  await apply(...keys())
  assert.equal(host.stateOf(direct.id)?.state, 'done')
  assert.deepEqual([await flowsOf(direct.mac_address), states.get()[SLOT]?.mac], [0, direct.mac_address])

  await lab.vm(host, portNumber(1, { network_id: 'n2' }))
  await lab.vm(host, portNumber(2))
  assert.ok(await eventually(() => host.stateOf(portNumber(1).id)?.state === 'done'))
  assert.equal(await flowsOf(direct.mac_address), 0)

  await apply(put('port', portNumber(2, { generation: 2 })))
  assert.ok(await eventually(() => host.stateOf(direct.id)?.state === 'done'))
  assert.ok((await flowsOf(direct.mac_address)) > 0)
  assert.equal(states.get()[SLOT]?.vlan, 0)

  await apply(put('port', { ...direct, generation: 3 }))
  assert.deepEqual([await flowsOf(direct.mac_address), states.get()[SLOT]?.vlan], [0, 7])
})
