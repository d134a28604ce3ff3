/** The network cards of a host, from its settings: what ports may be given of them, and what is reported. */
import { type DeviceList, isSimulated } from '#dataplane/devices/index.ts'
import type { AgentSettings } from '#launch/settings.ts'

/** What of this host's network cards ports may be given. */
export function deviceList({ physicalDeviceMappings, pciDevices, excludeDevices }: AgentSettings): DeviceList {
  return {
    functions: pciDevices.map(({ pci_slot }) => pci_slot),
    cards: physicalDeviceMappings.map(({ device }) => device),
    excluded: excludeDevices.flatMap(({ pci_slots }) => pci_slots),
  }
}

/** The agents for this host's network cards, where it has any. */
export function cardsOf(settings: AgentSettings) {
  const { physicalDeviceMappings, pciDevices, physicalInterfaceMappings } = settings
  const { functions, excluded } = deviceList(settings)
  const offered = pciDevices.filter(({ pci_slot }) => !excluded.includes(pci_slot))
  const devices = Map.groupBy(physicalDeviceMappings, (one) => one.physical_network)
  const device_mappings = Object.fromEntries([...devices].map(([name, all]) => [name, all.map(({ device }) => device)]))
  return {
    ...(devices.size > 0 && {
      nic_switch: {
        device_mappings,
        ...(pciDevices.length > 0 && { pci_devices: offered }),
        ...(isSimulated(functions) && { simulated: true }),
      },
    }),
    ...(Object.keys(physicalInterfaceMappings).length > 0 && {
      macvtap: { interface_mappings: physicalInterfaceMappings },
    }),
  }
}
