/**
 * Every vnic_type on every kind of segment, agent and profile: bound as a real Neutron's drivers bind it, or refused
 * where it refuses, with a reason that fits. The fixture is made by make-binding-fixture.py.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { BindableSegment, BindingAnswer, BindingFacts, BoundAgent, MechanismDriver } from '#core/contracts.ts'
import { mechanismDrivers } from '#drivers/index.ts'
import { silentLogger } from '#kernel/log.ts'
import { VNIC_TYPES } from '#resources/port.ts'

type Named<T> = Readonly<Record<string, T>>
type Dictionary = Named<unknown>
interface Bound {
  readonly vif_type: string
  readonly vif_details: Dictionary
}
interface Fixture {
  readonly port_id: string
  readonly host: string
  readonly vnic_types: readonly string[]
  readonly agent_types: Named<string>
  readonly agents: Named<Named<Dictionary>>
  readonly profiles: Named<Dictionary>
  readonly segments: Named<BindableSegment>
  readonly bound: readonly (Bound & { readonly cases: readonly string[] })[]
}
const fixture = JSON.parse(readFileSync(new URL('fixture-bindings.json', import.meta.url), 'utf8')) as Fixture
const expected = new Map(
  fixture.bound.flatMap(({ cases, ...bound }) => cases.map((one): [string, Bound] => [one, bound])),
)
const drivers = mechanismDrivers(silentLogger)

interface Case {
  readonly name: string
  readonly driver: MechanismDriver
  readonly facts: BindingFacts
}

const agentsOf = (driver: string): [string, readonly BoundAgent[]][] => {
  const row = { id: 'a', host: fixture.host, agent_type: String(fixture.agent_types[driver]), heartbeat_timestamp: '' }
  const all = Object.entries(fixture.agents[driver] ?? {})
  const plain = all.find(([name]) => name === 'plain')?.[1] ?? {}
  return [
    ['absent', []],
    ['dead', [{ ...row, alive: false, configurations: plain }]],
    ...all.map(([name, configurations]): [string, BoundAgent[]] => [name, [{ ...row, alive: true, configurations }]]),
  ]
}

function* cases(): Generator<Case> {
  for (const name of Object.keys(fixture.agent_types))
    for (const [label, agents] of agentsOf(name))
      for (const [profile, values] of Object.entries(fixture.profiles))
        for (const [where, segment] of Object.entries(fixture.segments))
          for (const vnic_type of fixture.vnic_types) {
            const port = {
              id: fixture.port_id,
              network_id: 'n',
              vnic_type,
              device_owner: '',
              profile: values,
              addressed: true,
            }
            yield {
              name: [name, label, profile, where, vnic_type].join(' '),
              driver: drivers.get(name) as MechanismDriver,
              facts: { port, host: fixture.host, level: 0, segment, agents, tors: [] },
            }
          }
}

/** Clients of ports on vhost-user sockets are told too how far the network reaches. */
const complete = ({ vif_type, vif_details }: Bound): Bound => ({
  vif_type,
  vif_details: { connectivity: 'l2', ...vif_details },
})

test('the eleven types of ports are those of the fixture', () => {
  assert.deepEqual([...VNIC_TYPES].sort(), [...fixture.vnic_types].sort())
})

test('each case is bound as by the peer, or refused', () => {
  const wrong: { name: string; answer: BindingAnswer; expected: Bound | null }[] = []
  let count = 0
  const met = new Set<string>()
  for (const { name, driver, facts } of cases()) {
    count++
    const wanted = expected.get(name)
    const answer = driver.bind(facts, undefined)
    if (wanted) met.add(name)
    try {
      if (wanted) assert.deepEqual(answer, complete(wanted))
      else assert.ok('refused' in answer)
    } catch {
      wrong.push({ name, answer, expected: wanted ?? null })
    }
  }
  assert.deepEqual(wrong, [])
  assert.equal(met.size, expected.size, 'every case of the fixture was tried')
  assert.ok(count > 3000 && expected.size > 300, `${count} cases, ${expected.size} of them bound`)
})

test('a refusal gives the reason a person would look for first', () => {
  const reasonOf = (name: string): string => {
    const one = [...cases()].find((each) => each.name === name) as Case
    const answer = one.driver.bind(one.facts, undefined)
    return 'refused' in answer ? answer.refused : 'bound'
  }
  for (const [name, reason] of [
    ['openvswitch plain none vlan baremetal', 'vnic_unsupported'],
    ['openvswitch plain none vlan direct', 'vnic_unsupported'],
    ['openvswitch plain none vlan smart-nic', 'vnic_unsupported'],
    ['openvswitch absent none vlan normal', 'agent_absent'],
    ['openvswitch dead none vlan normal', 'agent_dead'],
    ['openvswitch plain none vlan_elsewhere normal', 'physnet_not_mapped'],
    ['openvswitch plain none gre normal', 'tunnel_type_unsupported'],
    ['sriovnicswitch plain switchdev vlan direct', 'vnic_unsupported'],
    ['sriovnicswitch plain pci vxlan direct', 'segment_type_unsupported'],
    ['sriovnicswitch absent pci vxlan direct-physical', 'segment_type_unsupported'],
    ['sriovnicswitch empty pci flat macvtap', 'physnet_not_mapped'],
    ['macvtap plain none local normal', 'segment_type_unsupported'],
  ] as const)
    assert.equal(reasonOf(name), reason, name)
})
