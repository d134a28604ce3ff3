/** Attributes of ports that say what the server behind them needs: devices, NUMA, uplinks, addresses of hardware. */
import { defineExtension, type Draft, flag, oneOf, optional, text, type Write } from '#model/define.ts'
import { extraDhcpOpts } from './extra-dhcp-opts.ts'

const deviceProfile = defineExtension({
  alias: 'port-device-profile',
  name: 'Port device profile',
  description: 'The Cyborg device profile a port is made from.',
  updated: '2020-12-17T10:00:00-00:00',
  on: { port: { attributes: { device_profile: optional(text({ set: 'create' })) } } },
})

const numaAffinityPolicy = defineExtension({
  alias: 'port-numa-affinity-policy',
  name: 'Port NUMA affinity policy',
  description: 'Whether a server and its port must share a NUMA node.',
  updated: '2020-07-08T10:00:00-00:00',
  on: {
    port: {
      attributes: {
        numa_affinity_policy: optional(oneOf(['required', 'preferred', 'legacy'], { set: 'always' })),
      },
    },
  },
})

const uplinkStatusPropagation = defineExtension({
  alias: 'uplink-status-propagation',
  name: 'Uplink status propagation extension',
  description: 'Whether a virtual function follows the link state of its physical function.',
  updated: '2018-05-31T18:00:00-00:00',
  on: { port: { attributes: { propagate_uplink_status: flag({ set: 'create', default: true }) } } },
})

const macRegenerate = defineExtension({
  alias: 'port-mac-address-regenerate',
  name: 'Neutron Port MAC address regenerate',
  description: 'A null mac_address in an update asks for a new one.',
  updated: '2018-05-03T10:00:00-00:00',
})

/** The address of the card itself, which Nova puts in the profile of a `direct-physical` port. */
const cardOf = (port: Readonly<Draft> | null): string | null => {
  const profile = (port?.['binding:profile'] ?? {}) as { readonly device_mac_address?: unknown }
  const physical = port?.['binding:vnic_type'] === 'direct-physical' && port['binding:host_id'] !== ''
  return physical && typeof profile.device_mac_address === 'string' ? profile.device_mac_address : null
}

/** Nobody has the card any more: whoever gets it next may take its address for another port. */
const gaveUpCard = (before: Readonly<Draft> | null, after: Readonly<Draft>): boolean =>
  after['binding:vnic_type'] === 'direct-physical' &&
  before !== null &&
  before['device_id'] !== '' &&
  after['device_id'] === '' &&
  after['device_owner'] === ''

const macOverride = defineExtension({
  alias: 'port-mac-override',
  name: 'Neutron Port MAC address override',
  description: 'A port bound to a whole card has the MAC of the card, and gives it back when it is unbound.',
  updated: '2022-03-18T10:00:00-00:00',
  on: {
    port: {
      async inTx(context, { before, after }: Write) {
        if (!after) return undefined
        if (gaveUpCard(before, after)) return { mac_address: context.newMac() }
        const [had, has] = [cardOf(before), cardOf(after)]
        if (has === had) return undefined
        return { mac_address: has ?? context.newMac() }
      },
    },
  },
})

export const portAttributes = Object.freeze([
  extraDhcpOpts,
  deviceProfile,
  numaAffinityPolicy,
  uplinkStatusPropagation,
  macRegenerate,
  macOverride,
])
