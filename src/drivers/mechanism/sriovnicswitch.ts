/**
 * Binds ports to functions of SR-IOV cards: virtual ones, which the card switches into a VLAN, and whole cards. Nova has
 * chosen the device already and says which in the profile (`pci_slot`); the agent sees to it that it is set up.
 */
import type { BindableSegment, BindingFacts, BoundAgent, MechanismDriver, Refusal } from '#core/contracts.ts'
import { dictionaryIn, isProvider, isRefusal, isSwitchdev, liveAgent, offered, reaches } from './agent-based.ts'

const AGENT_TYPE = 'NIC Switch agent'
const VNIC_TYPES = ['direct', 'macvtap', 'direct-physical', 'accelerator-direct'] as const
/** In which the ids of the agent's resource providers are made; the same as Neutron's, for Nova's sake. */
const PROVIDERS = '87f1895c-73bb-11e8-9008-c4d987b2a692'
const SEGMENTS = ['flat', 'vlan']

export const sriovnicswitchDriver: MechanismDriver = {
  name: 'sriovnicswitch',
  connectivity: 'l2',
  vnicTypes: VNIC_TYPES,
  responsible: (facts) => isProvider(facts, AGENT_TYPE, PROVIDERS),
  bind(facts) {
    const { port, segment } = facts
    const refusal = offered(port.vnic_type, VNIC_TYPES) ?? offloaded(port)
    if (refusal) return refusal
    // A whole card is the virtual machine's to set up: no agent has a hand in it.
    if (port.vnic_type === 'direct-physical')
      return (
        reaches(segment, { types: SEGMENTS, mappings: { [String(segment.physical_network)]: true } }) ??
        bound('hostdev_physical', segment)
      )
    const agent = liveAgent(facts, AGENT_TYPE)
    if (isRefusal(agent)) return agent
    const mappings = dictionaryIn(agent.configurations, 'device_mappings')
    return (
      reaches(segment, { types: SEGMENTS, mappings }) ?? missingDevice(port, segment, agent) ?? bound('hw_veb', segment)
    )
  },
}

const offloaded = (port: BindingFacts['port']): Refusal | null =>
  port.vnic_type === 'direct' && isSwitchdev(port)
    ? { refused: 'vnic_unsupported', facts: { vnic_type: 'direct', unwanted: 'switchdev', supported: VNIC_TYPES } }
    : null

interface PciDevice {
  readonly pci_slot?: unknown
  readonly pci_vendor_info?: unknown
  readonly physical_network?: unknown
}

/** An agent that says which devices there are is asked for the one of the profile; others are taken at Nova's word. */
function missingDevice({ profile }: BindingFacts['port'], segment: BindableSegment, agent: BoundAgent): Refusal | null {
  const { pci_slot, pci_vendor_info } = profile
  const inventory = agent.configurations['pci_devices']
  if (!Array.isArray(inventory) || pci_slot === undefined) return null
  const { physical_network } = segment
  const there = (inventory as readonly PciDevice[]).filter((one) => one.physical_network === physical_network)
  const found = there.some(
    (one) =>
      one.pci_slot === pci_slot &&
      (pci_vendor_info === undefined || one.pci_vendor_info === undefined || one.pci_vendor_info === pci_vendor_info),
  )
  if (found) return null
  const facts = { host: agent.host, pci_slot, pci_vendor_info, physical_network, there }
  return { refused: 'device_not_found', facts }
}

/** The VLAN as text, `0` where there is none: what libvirt and Nova expect. */
const bound = (vif_type: string, { network_type, segmentation_id }: BindableSegment) => ({
  vif_type,
  vif_details: {
    port_filter: false,
    connectivity: 'l2',
    vlan: network_type === 'vlan' ? String(segmentation_id) : '0',
  },
})
