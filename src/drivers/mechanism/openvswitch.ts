/** Binds ports to hosts whose Open vSwitch agent lives and reaches the segment. */
import type { BindingAnswer, BindingFacts, MechanismDriver } from '#core/contracts.ts'

const AGENT_TYPE = 'Open vSwitch agent'
const VNIC_TYPES = ['normal']
const TUNNELS = ['vxlan', 'geneve', 'gre']

export const openvswitchDriver: MechanismDriver = {
  name: 'openvswitch',
  connectivity: 'l2',
  bind({ host, port: { vnic_type }, segment, agents }: BindingFacts): BindingAnswer {
    if (!VNIC_TYPES.includes(vnic_type))
      return { refused: 'vnic_unsupported', facts: { vnic_type, supported: VNIC_TYPES } }
    const agent = agents.find((one) => one.agent_type === AGENT_TYPE)
    if (!agent) return { refused: 'agent_absent', facts: { host, agent_type: AGENT_TYPE } }
    if (!agent.alive) return { refused: 'agent_dead', facts: { host, last_heartbeat: agent.heartbeat_timestamp } }
    return reaches(segment.network_type, segment.physical_network, agent.configurations) ?? bound(agent.configurations)
  },
}

function reaches(
  type: string,
  physicalNetwork: string | null,
  configurations: Readonly<Record<string, unknown>>,
): BindingAnswer | null {
  if (type === 'local') return null
  if (TUNNELS.includes(type)) {
    const supported = (configurations['tunnel_types'] ?? []) as readonly string[]
    return supported.includes(type) ? null : { refused: 'tunnel_type_unsupported', facts: { wanted: type, supported } }
  }
  const mappings = (configurations['bridge_mappings'] ?? {}) as Readonly<Record<string, string>>
  const mapped = physicalNetwork !== null && physicalNetwork in mappings
  return mapped
    ? null
    : { refused: 'physnet_not_mapped', facts: { wanted: physicalNetwork, mapped: Object.keys(mappings) } }
}

const bound = (configurations: Readonly<Record<string, unknown>>): BindingAnswer => ({
  vif_type: 'ovs',
  vif_details: {
    port_filter: true,
    connectivity: 'l2',
    ovs_hybrid_plug: false,
    bridge_name: 'br-int',
    datapath_type: configurations['datapath_type'] ?? 'system',
    bound_drivers: { 0: 'openvswitch' },
  },
})
