/** Binds ports to macvtap devices above a host's interfaces, one VLAN device for each VLAN (driver `macvtap`). */
import type { BindableSegment, BindingFacts, MechanismDriver, Refusal } from '#core/contracts.ts'
import { vlanDevice } from '#kernel/vlan-device.ts'
import { dictionaryIn, isRefusal, plugging, reaches } from './agent-based.ts'

const AGENT_TYPE = 'Macvtap agent'
const VNIC_TYPES = ['normal'] as const

export const macvtapDriver: MechanismDriver = {
  name: 'macvtap',
  connectivity: 'l2',
  vnicTypes: VNIC_TYPES,
  bind(facts) {
    const { segment } = facts
    const agent = plugging(facts, VNIC_TYPES, AGENT_TYPE)
    if (isRefusal(agent)) return agent
    const mappings = dictionaryIn(agent.configurations, 'interface_mappings')
    const refusal = reaches(segment, { types: ['flat', 'vlan'], mappings })
    if (refusal) return refusal
    const binding = bound(segment, String(mappings[String(segment.physical_network)]))
    return elsewhere(facts, binding.vif_details.macvtap_source) ?? binding
  },
}

/** A running server goes on above an interface of the name that it has where it comes from; as in Neutron. */
function elsewhere({ port: { leaves } }: BindingFacts, source: string): Refusal | null {
  const wanted = leaves?.vif_type === 'macvtap' ? leaves.vif_details['macvtap_source'] : undefined
  if (wanted === undefined || wanted === source) return null
  return { refused: 'source_differs', facts: { wanted, source, from: leaves?.host } }
}

const bound = ({ network_type, segmentation_id }: BindableSegment, physical_interface: string) => {
  const tagged = network_type === 'vlan'
  return {
    vif_type: 'macvtap',
    vif_details: {
      port_filter: false,
      connectivity: 'l2',
      physical_interface,
      macvtap_mode: 'bridge',
      macvtap_source: tagged ? vlanDevice(physical_interface, segmentation_id) : physical_interface,
      ...(tagged && { vlan: segmentation_id }),
    },
  }
}
