/**
 * Binds ports to hosts whose Open vSwitch agent lives and reaches the segment: as an interface of the switch, or, where
 * the switch is one of DPDK, as a vhost-user socket.
 */
import type { BindingFacts, BoundAgent, MechanismDriver } from '#core/contracts.ts'
import {
  dictionaryIn,
  isProvider,
  isRefusal,
  isSwitchdev,
  liveAgent,
  offered,
  reaches,
  textsIn,
} from './agent-based.ts'

const AGENT_TYPE = 'Open vSwitch agent'
const VNIC_TYPES = ['normal', 'direct', 'smart-nic', 'vdpa'] as const
/** In which the ids of the agent's resource providers are made; the same as Neutron's, for Nova's sake. */
const PROVIDERS = '87ee7d5c-73bb-11e8-9008-c4d987b2a692'

export const openvswitchDriver: MechanismDriver = {
  name: 'openvswitch',
  connectivity: 'l2',
  vnicTypes: VNIC_TYPES,
  responsible: (facts) => isProvider(facts, AGENT_TYPE, PROVIDERS),
  bind(facts) {
    const { port, segment } = facts
    const refusal = offered(port.vnic_type, VNIC_TYPES) ?? unoffloaded(port)
    if (refusal) return refusal
    const agent = liveAgent(facts, AGENT_TYPE)
    if (isRefusal(agent)) return agent
    const { configurations } = agent
    return (
      notSmart(port.vnic_type, agent) ??
      reaches(segment, {
        types: ['local', 'flat', 'vlan'],
        tunnels: textsIn(configurations, 'tunnel_types'),
        mappings: dictionaryIn(configurations, 'bridge_mappings'),
      }) ??
      bound(port, agent)
    )
  },
}

/** A virtual function is the switch's only where the card does the switching; all others are the NIC switch's. */
const unoffloaded = (port: BindingFacts['port']) =>
  port.vnic_type === 'direct' && !isSwitchdev(port)
    ? { refused: 'vnic_unsupported', facts: { vnic_type: 'direct', wanted: 'switchdev', supported: VNIC_TYPES } }
    : null

const notSmart = (vnic_type: string, { host, configurations }: BoundAgent) =>
  vnic_type === 'smart-nic' && configurations['baremetal_smartnic'] !== true
    ? { refused: 'vnic_unsupported', facts: { vnic_type, host, wanted: 'baremetal_smartnic' } }
    : null

function bound({ id, vnic_type }: BindingFacts['port'], { configurations }: BoundAgent) {
  const datapath_type = configurations['datapath_type'] ?? 'system'
  const common = {
    connectivity: 'l2',
    datapath_type,
    bridge_name: configurations['integration_bridge'] ?? 'br-int',
  }
  const socket = vnic_type === 'direct' || datapath_type !== 'netdev' ? null : vhostUser(id, configurations)
  return socket
    ? { vif_type: 'vhostuser', vif_details: { ...common, port_filter: false, ovs_hybrid_plug: false, ...socket } }
    : {
        vif_type: 'ovs',
        vif_details: {
          ...common,
          port_filter: true,
          ovs_hybrid_plug: configurations['ovs_hybrid_plug'] === true,
        },
      }
}

/** The socket of a port, where the switch can make one. Who does not listen on it connects to it. */
function vhostUser(portId: string, configurations: BoundAgent['configurations']) {
  const kinds = textsIn(dictionaryIn(configurations, 'ovs_capabilities'), 'iface_types')
  const client = kinds.includes('dpdkvhostuserclient')
  if (!client && !kinds.includes('dpdkvhostuser')) return null
  const folder = String(configurations['vhostuser_socket_dir'] ?? '/var/run/openvswitch')
  return {
    vhostuser_mode: client ? 'server' : 'client',
    vhostuser_ovs_plug: true,
    vhostuser_socket: `${folder.replace(/\/$/, '')}/${`vhu${portId}`.slice(0, 14)}`,
  }
}
