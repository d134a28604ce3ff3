/** Binds ports to taps whose frames eBPF programs switch, where a host's agent says that it runs them (driver `bpf`). */
import type { MechanismDriver } from '#core/contracts.ts'
import { dictionaryIn, isRefusal, plugging, reaches, textsIn } from './agent-based.ts'

const AGENT_TYPE = 'eBPF agent'
const VNIC_TYPES = ['normal'] as const

export const bpfDriver: MechanismDriver = {
  name: 'bpf',
  connectivity: 'l2',
  vnicTypes: VNIC_TYPES,
  bind(facts) {
    const agent = plugging(facts, VNIC_TYPES, AGENT_TYPE)
    if (isRefusal(agent)) return agent
    const { configurations } = agent
    return (
      reaches(facts.segment, {
        types: ['local', 'flat', 'vlan'],
        tunnels: textsIn(configurations, 'tunnel_types'),
        mappings: dictionaryIn(configurations, 'interface_mappings'),
      }) ?? {
        vif_type: 'tap',
        vif_details: { port_filter: configurations['port_filter'] === true, connectivity: 'l2', datapath_type: 'bpf' },
      }
    )
  },
}
