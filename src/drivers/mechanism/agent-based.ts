/**
 * What drivers have in common whose ports are plugged by an agent on the host: is the type offered, is there an agent,
 * does it live, does it reach the segment, is it the one whose bandwidth was claimed. Each question is a function. Pure.
 */
import type { BindableSegment, BindingFacts, BoundAgent, Refusal } from '#core/contracts.ts'
import { namedId } from '#kernel/ids.ts'

type Dictionary = Readonly<Record<string, unknown>>

export const isRefusal = (answer: object): answer is Refusal => 'refused' in answer

const isDictionary = (value: unknown): value is Dictionary =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A dictionary of what somebody reported; empty where there is none. */
export const dictionaryIn = (values: Dictionary, key: string): Dictionary => {
  const value = values[key]
  return isDictionary(value) ? value : {}
}

/** The texts of a list that somebody reported. */
export const textsIn = (values: Dictionary, key: string): readonly string[] => {
  const value = values[key]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

/** Is the port's type among those the driver can plug? */
export const offered = (vnic_type: string, supported: readonly string[]): Refusal | null =>
  supported.includes(vnic_type) ? null : { refused: 'vnic_unsupported', facts: { vnic_type, supported } }

/** A port that the switch itself is to carry in hardware: `switchdev` among the capabilities of its profile. */
export const isSwitchdev = ({ profile }: BindingFacts['port']): boolean =>
  textsIn(profile, 'capabilities').includes('switchdev')

/** The host's agent of this type, if it lives. */
export function liveAgent({ host, agents }: BindingFacts, agent_type: string): BoundAgent | Refusal {
  const agent = agents.find((one) => one.agent_type === agent_type)
  if (!agent) return { refused: 'agent_absent', facts: { host, agent_type } }
  if (!agent.alive)
    return { refused: 'agent_dead', facts: { host, agent_type, last_heartbeat: agent.heartbeat_timestamp } }
  return agent
}

/** The agent that plugs the port, if the port is of a type it plugs and the agent lives. */
export const plugging = (facts: BindingFacts, vnicTypes: readonly string[], agent_type: string): BoundAgent | Refusal =>
  offered(facts.port.vnic_type, vnicTypes) ?? liveAgent(facts, agent_type)

const PHYSICAL = ['flat', 'vlan']

export interface Reach {
  /** Types of segments the driver can serve beside tunnels. */
  readonly types: readonly string[]
  /** Tunnels the host can end; undefined: the driver knows none. */
  readonly tunnels?: readonly string[]
  /** Physical networks the host is plugged into. */
  readonly mappings: Dictionary
}

const TUNNELS = ['vxlan', 'geneve', 'gre']

/** Can a host that reaches this much carry the segment? */
export function reaches({ network_type: wanted, physical_network }: BindableSegment, reach: Reach): Refusal | null {
  const { types, tunnels, mappings } = reach
  if (tunnels && TUNNELS.includes(wanted)) {
    const supported = tunnels
    return supported.includes(wanted) ? null : { refused: 'tunnel_type_unsupported', facts: { wanted, supported } }
  }
  if (!types.includes(wanted)) return { refused: 'segment_type_unsupported', facts: { wanted, supported: types } }
  if (!PHYSICAL.includes(wanted)) return null
  const mapped = physical_network !== null && Object.hasOwn(mappings, physical_network)
  return mapped
    ? null
    : { refused: 'physnet_not_mapped', facts: { wanted: physical_network, mapped: Object.keys(mappings) } }
}

/**
 * Is all that the port claimed of Placement (`allocation` in its profile: group → resource provider) the agent's? The
 * ids of its providers follow from a namespace (UUID) of the driver's, the host and the device.
 */
export function isProvider({ port, host, agents }: BindingFacts, agent_type: string, namespace: string): boolean {
  const { allocation } = port.profile
  // Ports of releases before groups name the one provider.
  const claimed =
    typeof allocation === 'string' ? [allocation] : Object.values(dictionaryIn(port.profile, 'allocation'))
  const own = agents.filter((one) => one.agent_type === agent_type).flatMap((one) => providersOf(one, host, namespace))
  return claimed.length > 0 && claimed.every((id) => typeof id === 'string' && own.includes(id.toLowerCase()))
}

const PACKET_RATES = 'resource_provider_packet_processing_'

const providersOf = ({ configurations }: BoundAgent, host: string, namespace: string): readonly string[] => [
  ...Object.keys(dictionaryIn(configurations, 'resource_provider_bandwidths')).map((device) =>
    namedId(namespace, `${host}:${device}`),
  ),
  ...(Object.keys(configurations).some((name) => name.startsWith(PACKET_RATES)) ? [namedId(namespace, host)] : []),
]
