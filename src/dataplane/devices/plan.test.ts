/** A plan carried out leads to what is wanted and then to nothing; functions that are not ours are left alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyWorld, type NetworkObject, type PortObject } from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import { devicePorts, planVfs, UNUSED, type VfState, wantedVfs } from './plan.ts'

const state: fc.Arbitrary<VfState> = fc.record(
  {
    mac: fc.constantFrom(UNUSED.mac, 'fa:16:3e:00:00:01', 'fa:16:3e:00:00:02'),
    vlan: fc.constantFrom(0, 7, 4094),
    spoofchk: fc.boolean(),
    link: fc.constantFrom('auto' as const, 'enable' as const, 'disable' as const),
  },
  { noNullPrototype: true },
)
const slots = ['0000:3b:02.0', '0000:3b:02.1', '0000:3b:02.2', '0000:3b:02.3', '0000:5e:00.7']
const slot = fc.constantFrom(...slots)
const states = fc.uniqueArray(fc.tuple(slot, state), { selector: ([key]) => key }).map((pairs) => new Map(pairs))

const carriedOut = (seen: ReadonlyMap<string, VfState>, plan: ReturnType<typeof planVfs>) =>
  new Map([...seen, ...plan.steps.map(({ slot, to }) => [slot, to] as const)])

test('a plan carried out is what is wanted, and plans to nothing; what is not ours is untouched', () => {
  fc.assert(
    fc.property(states, states, fc.uniqueArray(slot), fc.boolean(), (wanted, seen, marked, inSync) => {
      const ours = new Set([...marked, ...wanted.keys()])
      const plan = planVfs({ wanted, seen, ours, inSync })
      const after = carriedOut(seen, plan)
      const left = new Set([...plan.forget, ...plan.steps.filter(({ release }) => release).map((step) => step.slot)])
      for (const [key, before] of seen) {
        const is = after.get(key)
        if (wanted.has(key)) assert.deepEqual(is, wanted.get(key))
        else if (ours.has(key) && inSync) assert.deepEqual(is, UNUSED)
        else assert.deepEqual(is, before)
        if (left.has(key)) assert.ok(!wanted.has(key) && inSync)
      }
      assert.deepEqual([...after.keys()].toSorted(), [...seen.keys()].toSorted())
      const rest = new Set([...ours].filter((key) => !left.has(key)))
      assert.deepEqual(planVfs({ wanted, seen: after, ours: rest, inSync }), { steps: [], forget: [] })
      // What cannot be read now is still ours to give back when it can.
      if (inSync) assert.ok([...rest].every((key) => wanted.has(key) || !seen.has(key)))
    }),
  )
})

const network = (id: string, admin_state_up: boolean): NetworkObject => ({
  id,
  generation: 1,
  project_id: 'p',
  admin_state_up,
  mtu: 1500,
  segments: [],
  subnets: [],
  dhcp: null,
  dns_domain: '',
})
const port = (id: string, more: Partial<PortObject>): PortObject =>
  plainPort({
    id,
    network_id: 'up',
    mac_address: `fa:16:3e:00:00:${id}`,
    vnic_type: 'direct',
    ...more,
  })
const vf = (pci_slot: string | null, vlan = 0) => ({
  kind: 'vf' as const,
  pci_slot,
  source: null,
  vlan,
  follows_uplink: pci_slot === 'c',
})

test('a port says MAC, VLAN, spoof check and link; of two that name one function one has it', () => {
  const ports = [
    port('05', { device: { kind: 'card', pci_slot: 'card', source: null, vlan: 0, follows_uplink: false } }),
    port('02', { device: vf('a', 9) }),
    port('01', { device: vf('a', 7), port_security_enabled: false }),
    port('03', { device: vf('b'), admin_state_up: false }),
    port('04', { device: vf('c'), network_id: 'down' }),
    port('06', { device: vf('d'), active: false }),
    port('09', { device: { ...vf('e'), follows_uplink: true } }),
    port('07', { device: vf(null) }),
    port('08', {}),
  ]
  const world = {
    ...emptyWorld(),
    port: new Map(ports.map((one) => [one.id, one])),
    network: new Map([network('up', true), network('down', false)].map((one) => [one.id, one])),
  }
  const { vfs, holders } = wantedVfs(world, devicePorts(world))
  assert.deepEqual(Object.fromEntries(vfs), {
    a: { mac: 'fa:16:3e:00:00:01', vlan: 7, spoofchk: false, link: 'enable' },
    b: { mac: 'fa:16:3e:00:00:03', vlan: 0, spoofchk: true, link: 'disable' },
    c: { mac: 'fa:16:3e:00:00:04', vlan: 0, spoofchk: true, link: 'disable' },
    e: { mac: 'fa:16:3e:00:00:09', vlan: 0, spoofchk: true, link: 'auto' },
  })
  assert.equal(holders.get('a'), '01')
})
