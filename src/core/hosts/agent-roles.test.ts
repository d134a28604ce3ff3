/** From one heartbeat to the agents clients know. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rolesOf } from './agent-roles.ts'

const report = (configurations: Readonly<Record<string, unknown>>) => ({ host: 'h', configurations, started_at: '' })

test('each job is an agent; what is said of the whole host stays with switching, the zone with who is scheduled', () => {
  const services = {
    dhcp: { networks: 1 },
    l3: { agent_mode: 'legacy' },
    metadata: {},
    bgp: {},
    nic_switch: { device_mappings: {} },
  }
  const roles = rolesOf(report({ tunneling_ip: '192.0.2.1', availability_zone: 'z', services }))
  assert.deepEqual(
    roles.map((one) => [one.agent_type, one.availability_zone, one.configurations]),
    [
      ['Open vSwitch agent', null, { tunneling_ip: '192.0.2.1' }],
      ['DHCP agent', 'z', { networks: 1 }],
      ['L3 agent', 'z', { agent_mode: 'legacy' }],
      ['Metadata agent', null, {}],
      ['BGP dynamic routing agent', null, {}],
      ['NIC Switch agent', null, { device_mappings: {} }],
    ],
  )
})

test('agents from before, and what is no job, are agents that switch', () => {
  for (const services of [undefined, null, [], 'dhcp', { dhcp: true, spying: {} }]) {
    const roles = rolesOf(report({ services, availability_zone: 5 }))
    assert.deepEqual(
      roles.map((one) => one.agent_type),
      ['Open vSwitch agent'],
    )
  }
})
