/** The kinds of settings that say which network cards a host has. */
import { type Kind, text } from './setting-kinds.ts'

export interface PhysnetDevice {
  readonly physical_network: string
  readonly device: string
}

/** `physnet:device`. */
export const physnetDevice = (): Kind<PhysnetDevice> => {
  const pair = text({ name: 'physnet:device', pattern: /^[^\s:]+:[^\s:/]{1,15}$/, example: 'physnet2:enp3s0f0' })
  return {
    ...pair,
    parse: (raw) => {
      const parsed = pair.parse(raw)
      if ('must' in parsed) return parsed
      const [physical_network = '', device = ''] = parsed.ok.split(':')
      return { ok: Object.freeze({ physical_network, device }) }
    },
    print: ({ physical_network, device }) => `${physical_network}:${device}`,
  }
}

/** Named as in a port's `binding:profile`. */
export interface PciDevice {
  readonly pci_slot: string
  readonly physical_network: string
  /** `vendor:product`, four hexadecimal digits each. */
  readonly pci_vendor_info?: string
}

const PCI = /^([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])@([^\s@:]+)(?:@([0-9a-f]{4}:[0-9a-f]{4}))?$/

/** `slot@physnet`, with `@vendor:product` behind it where that is known. */
export const pciDevice = (): Kind<PciDevice> => {
  const device = text({ name: 'slot@physnet', pattern: PCI, example: '0000:3b:02.1@physnet2' })
  return {
    ...device,
    parse: (raw) => {
      const parsed = device.parse(raw)
      if ('must' in parsed) return parsed
      const [, pci_slot = '', physical_network = '', pci_vendor_info] = PCI.exec(parsed.ok) ?? []
      return { ok: Object.freeze({ pci_slot, physical_network, ...(pci_vendor_info && { pci_vendor_info }) }) }
    },
    print: ({ pci_slot, physical_network, pci_vendor_info }) =>
      [pci_slot, physical_network, ...(pci_vendor_info ? [pci_vendor_info] : [])].join('@'),
  }
}

/** Functions of a card that ports are not to be given. */
export interface ExcludedDevices {
  readonly device: string
  readonly pci_slots: readonly string[]
}

const SLOT = '[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]'
const EXCLUDED = new RegExp(`^[^\\s:]{1,15}:${SLOT}(?:;${SLOT})*$`)

/** `device:slot;slot`, as in Neutron's setting of the same name. */
export const excludedDevices = (): Kind<ExcludedDevices> => {
  const list = text({ name: 'device:slot;slot', pattern: EXCLUDED, example: 'enp3s0f0:0000:3b:02.0;0000:3b:02.1' })
  return {
    ...list,
    parse: (raw) => {
      const parsed = list.parse(raw)
      if ('must' in parsed) return parsed
      const colon = parsed.ok.indexOf(':')
      const pci_slots = parsed.ok.slice(colon + 1).split(';')
      return { ok: Object.freeze({ device: parsed.ok.slice(0, colon), pci_slots }) }
    },
    print: ({ device, pci_slots }) => `${device}:${pci_slots.join(';')}`,
  }
}
