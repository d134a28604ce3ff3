import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BindableSegment, BindingFacts, BoundAgent } from '#core/contracts.ts'
import { TOR_AGENT, vtepDriver } from './driver.ts'

const agent = (host: string, configurations: Record<string, unknown>, more: Partial<BoundAgent> = {}): BoundAgent => ({
  id: host,
  host,
  agent_type: 'Open vSwitch agent',
  alive: true,
  heartbeat_timestamp: '2026-01-01T00:00:00Z',
  configurations,
  ...more,
})
const tor = (name: string, hosts: readonly string[], more: Partial<BoundAgent> = {}): BoundAgent => {
  const ports = Object.fromEntries(hosts.map((host) => [host, `to-${host}`]))
  const configurations = { physical_network: `physnet-${name}`, tunnel_ip: '192.0.2.1', switch: name, ports }
  return agent(name, configurations, { agent_type: TOR_AGENT, ...more })
}
const vxlan: BindableSegment = { id: 's', network_type: 'vxlan', physical_network: null, segmentation_id: 5001 }
const below = agent('h1', { bridge_mappings: { 'physnet-tor1': 'br-trunk', other: 'br-ex' } })

const ask = (facts: Partial<BindingFacts>) =>
  vtepDriver.bind(
    {
      port: {
        id: 'p',
        network_id: 'n',
        vnic_type: 'normal',
        device_owner: 'compute:nova',
        profile: {},
        addressed: true,
      },
      host: 'h1',
      level: 0,
      segment: vxlan,
      agents: [below],
      tors: [tor('tor1', ['h1', 'h4']), tor('tor2', ['h2'])],
      ...facts,
    },
    undefined,
  )

test('a host below a ToR goes on by a VLAN of that ToR', () => {
  assert.deepEqual(ask({}), { next: [{ network_type: 'vlan', physical_network: 'physnet-tor1' }] })
  const card = agent('h2', { device_mappings: { 'physnet-tor2': ['eth4'] } }, { agent_type: 'NIC Switch agent' })
  assert.deepEqual(ask({ host: 'h2', agents: [card] }), {
    next: [{ network_type: 'vlan', physical_network: 'physnet-tor2' }],
  })
})

test('only the outermost level is a tunnel of ours, and only VXLAN', () => {
  for (const wrong of [
    { level: 1 },
    { segment: { ...vxlan, network_type: 'geneve' } },
    { segment: { ...vxlan, network_type: 'vlan', physical_network: 'physnet-tor1' } },
  ])
    assert.equal((ask(wrong) as { refused: string }).refused, 'segment_type_unsupported', JSON.stringify(wrong))
})

test('a host that maps no ToR is below none, and the refusal says what there is', () => {
  assert.deepEqual(ask({ agents: [agent('h1', { bridge_mappings: { other: 'br-ex' } })] }), {
    refused: 'tor_absent',
    facts: {
      host: 'h1',
      mapped: ['other'],
      tors: { tor1: 'physnet-tor1', tor2: 'physnet-tor2' },
      without_port_to_host: [],
      without_mapping: { tor1: 'physnet-tor1' },
    },
  })
  assert.equal((ask({ agents: [] }) as { refused: string }).refused, 'tor_absent')
})

test('a ToR that knows no port to the host is said so', () => {
  const answer = ask({ tors: [tor('tor1', ['h4'])] })
  assert.deepEqual(answer, {
    refused: 'tor_absent',
    facts: {
      host: 'h1',
      mapped: ['other', 'physnet-tor1'],
      tors: { tor1: 'physnet-tor1' },
      without_port_to_host: ['tor1'],
      without_mapping: {},
    },
  })
})

test('a ToR that was not heard of is unreachable, with what was last known', () => {
  const silent = tor('tor1', ['h1'], { alive: false })
  const why = { ...silent, configurations: { ...silent.configurations, unreachable: 'connection refused' } }
  assert.deepEqual(ask({ tors: [why] }), {
    refused: 'tor_unreachable',
    facts: { tor: 'tor1', last_heartbeat: '2026-01-01T00:00:00Z', unreachable: 'connection refused' },
  })
})

test('a ToR that was taken out of the settings says so, whether it was heard of or not', () => {
  for (const alive of [true, false]) {
    const gone = tor('tor1', ['h1'], { alive })
    const answer = ask({ tors: [{ ...gone, configurations: { ...gone.configurations, configured: false } }] })
    assert.equal((answer as { refused: string }).refused, 'tor_not_configured')
  }
})

test('of two ToRs above a host the one that lives is taken', () => {
  const both = agent('h1', { bridge_mappings: { 'physnet-tor1': 'a', 'physnet-tor2': 'b' } })
  const tors = [tor('tor1', ['h1'], { alive: false }), tor('tor2', ['h1'])]
  assert.deepEqual(ask({ agents: [both], tors }), {
    next: [{ network_type: 'vlan', physical_network: 'physnet-tor2' }],
  })
})

test('a row without configurations is no ToR of anybody', () => {
  const answer = ask({ tors: [agent('tor9', {}, { agent_type: TOR_AGENT })] })
  assert.equal((answer as { refused: string }).refused, 'tor_absent')
})

test('a VLAN that somebody else has at the ToR is not to be drawn', () => {
  const [plain] = [tor('tor1', ['h1'])] as [BoundAgent]
  const configurations = { ...plain.configurations, foreign_vlans: [[7, 9]] }
  assert.deepEqual(ask({ tors: [{ ...plain, configurations }] }), {
    next: [{ network_type: 'vlan', physical_network: 'physnet-tor1', without: [[7, 9]] }],
  })
})
