/** Which bridge and ports this host needs: tunnels by configuration, patches by bridge mapping, DHCP by network. Pure. */
import { dhcpDevice } from '../linux/dhcp-want.ts'
import type { World } from '#wire/objects.ts'
import { NETWORK_KEY, PHYSNET_KEY, type WantedPort, type WantedSwitch } from './bridge-plan.ts'

export interface SwitchConfig {
  readonly integrationBridge: string
  readonly datapathType: string
  /** Null: this host takes part in no tunnel network. */
  readonly tunnelingIp: string | null
  readonly tunnelTypes: readonly ('vxlan' | 'geneve' | 'gre')[]
  /** Physical network → bridge. */
  readonly bridgeMappings: Readonly<Record<string, string>>
}

/** Needed for masked fields in set-field, bundles and flow monitors of this version. */
const PROTOCOLS = ['OpenFlow15']

export const wantedSwitch = (config: SwitchConfig, world: World): WantedSwitch => ({
  bridge: config.integrationBridge,
  datapathType: config.datapathType,
  protocols: PROTOCOLS,
  ports: [
    ...(config.tunnelingIp === null
      ? []
      : config.tunnelTypes.map((type) => tunnel(config, type, config.tunnelingIp ?? ''))),
    ...Object.entries(config.bridgeMappings).flatMap(([physnet, bridge]) => patches(config, physnet, bridge)),
    ...[...world.network.values()].flatMap(({ id, dhcp }) => (dhcp ? [dhcpPort(config, id, dhcp.mac_address)] : [])),
  ],
})

/** One port a kind for all peers: flows give the peer and the key. */
const tunnel = (config: SwitchConfig, type: 'vxlan' | 'geneve' | 'gre', local: string): WantedPort => ({
  bridge: config.integrationBridge,
  name: `dt-${type}`,
  type,
  options: { remote_ip: 'flow', key: 'flow', local_ip: local },
  mac: null,
  marks: {},
})

function patches(config: SwitchConfig, physnet: string, bridge: string): WantedPort[] {
  const [inner, outer] = patchNames(bridge)
  const patch = (on: string, name: string, peer: string): WantedPort => ({
    bridge: on,
    name,
    type: 'patch',
    options: { peer },
    mac: null,
    marks: on === bridge ? {} : { [PHYSNET_KEY]: physnet },
  })
  return [patch(config.integrationBridge, inner, outer), patch(bridge, outer, inner)]
}

/** Patch port names are not device names: no limit of 15 characters. */
export const patchNames = (bridge: string): readonly [inner: string, outer: string] => [
  `int-${bridge}`,
  `phy-${bridge}`,
]

const dhcpPort = (config: SwitchConfig, network: string, mac: string): WantedPort => ({
  bridge: config.integrationBridge,
  name: dhcpDevice(network),
  type: 'internal',
  options: {},
  mac,
  marks: { [NETWORK_KEY]: network },
})
