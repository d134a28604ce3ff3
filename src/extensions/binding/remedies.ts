/** What to do about each documented reason why a driver does not bind a port: one sentence, made of the facts. Pure. */
import type { BindingAttempt } from '#model/context.ts'

type Facts = Readonly<Record<string, unknown>>
type Remedy = (facts: Facts, attempt: Pick<BindingAttempt, 'driver' | 'level' | 'segment'>, host: string) => string

const listed = (value: unknown): string => {
  const items = Array.isArray(value) ? value.map(String) : value === undefined || value === null ? [] : [String(value)]
  return items.length === 0 ? 'none' : items.join(', ')
}
const kindOf = ({ network_type, physical_network }: BindingAttempt['segment']): string =>
  physical_network === null ? network_type : `${network_type} on ${physical_network}`

/** The setting of the agent, by driver. */
const MAPPINGS: Readonly<Record<string, string>> = {
  openvswitch: 'bridge_mappings',
  sriovnicswitch: 'physical_device_mappings',
  macvtap: 'physical_interface_mappings',
  bpf: 'physical_interface_mappings',
}

const REMEDIES: Readonly<Record<string, Remedy>> = {
  vnic_unsupported: ({ vnic_type, wanted, unwanted, supported }, { driver }) =>
    wanted === 'switchdev'
      ? `${driver} binds a port of type ${vnic_type} only on a card in switchdev mode, of which Nova says so in binding:profile: set the card up so, or have another driver bind it.`
      : wanted !== undefined
        ? `${driver} binds a port of type ${vnic_type} only where the host's agent reports ${wanted}: set that up, or choose another binding:vnic_type.`
        : unwanted !== undefined
          ? `${driver} binds no port of type ${vnic_type} with ${unwanted} in binding:profile: take that out, or have another driver bind it.`
          : `${driver} binds ports of type ${listed(supported)}, not ${vnic_type}: change binding:vnic_type, or have another driver bind it.`,
  agent_absent: ({ agent_type }, _, host) =>
    `Start the ${agent_type ?? 'agent'} on ${host}, or correct binding:host_id if the host is called otherwise: no such agent ever reported.`,
  agent_dead: ({ agent_type }, _, host) =>
    `Start the ${agent_type ?? 'agent'} on ${host} again, or mend its way to the server: it is silent for longer than agent_down_time.`,
  physnet_not_mapped: ({ wanted, mapped }, { driver }, host) =>
    Array.isArray(mapped) && mapped.length > 0
      ? `Map ${wanted} on ${host} (${MAPPINGS[driver] ?? 'its mappings'}), or use a network on what is mapped there: ${listed(mapped)}.`
      : `Map ${wanted} on ${host} (${MAPPINGS[driver] ?? 'its mappings'}): nothing is mapped there.`,
  tunnel_type_unsupported: ({ wanted, supported }, _, host) =>
    `Give the agent on ${host} a tunneling_ip, and ${wanted} among its tunnel_types: at present it ends ${listed(supported)}.`,
  segment_type_unsupported: ({ supported }, { driver, segment }) =>
    `${driver} carries ${listed(supported)}, not ${kindOf(segment)}: another driver must take this segment, or the network needs another one.`,
  connectivity_unsuitable: (_, { driver }) =>
    `${driver} needs an address: give the port a fixed IP, or have a driver of connectivity l2 bind it.`,
  segment_not_of_fixed_ips: ({ segments }, _, host) =>
    `The port's addresses are of segment ${listed(segments)}: use a host that reaches it, or give the port an address of a segment that ${host} reaches.`,
  device_not_found: ({ wanted, slot, pci_slot }, _, host) =>
    `${host} reports no such device (${listed(wanted ?? slot ?? pci_slot)}): compare binding:profile with what its agent reports.`,
  source_differs: ({ wanted, source, from }, _, host) =>
    `Map the physical network to an interface of the same name on both hosts: on ${from} the server is above ${wanted}, on ${host} it would be above ${source}.`,
  tor_absent: ({ without_mapping, without_port_to_host }, _, host) => {
    const [unmapped] = Object.entries((without_mapping ?? {}) as Readonly<Record<string, string>>)
    if (unmapped)
      return `Map ${unmapped[1]} on ${host} (bridge_mappings): switch ${unmapped[0]} has a port that leads there, and carries ports by that physical network.`
    return Array.isArray(without_port_to_host) && without_port_to_host.length > 0
      ? `Name the port of ${listed(without_port_to_host)} that leads to ${host} (setting tors, ports), if one does.`
      : `Nothing, unless ${host} stands below a switch: then name its port there (setting tors), and map the switch's physical network on the host.`
  },
  tor_unreachable: ({ tor, unreachable }) =>
    `Mend the way to the database of switch ${tor}${unreachable ? ` (${unreachable})` : ''}; ports are bound below it once it answers.`,
  tor_not_configured: ({ tor }) =>
    `Name switch ${tor} in the settings again (tors), or move the ports below it and take it out for good: deuteron tor forget ${tor}.`,
  segment_ids_exhausted: ({ wanted }) =>
    `Give ${listed(Array.isArray(wanted) ? wanted.map((one) => kindOf(one)) : wanted)} more segmentation ids (network_segment_ranges or network_vlan_ranges), or remove networks that hold some.`,
  provider_not_responsible: ({ error, wanted, responsible }, { driver }) =>
    error === 'UnknownResourceProvider'
      ? `No driver knows resource provider ${listed(wanted)}: compare binding:profile (allocation) with what the host's agents report as bandwidths.`
      : error === 'AmbiguousResponsibilityForResourceProvider'
        ? `Drivers ${listed(responsible)} all claim resource provider ${listed(wanted)}: let only one of them report the device.`
        : `The bandwidth was claimed at ${listed(responsible)}, not at ${driver}: nothing to do unless that driver refuses too.`,
  driver_failed: ({ error }, { driver }) =>
    `${driver} broke off (${error}): mend what it says, or tell those who maintain the driver.`,
  driver_timed_out: ({ limit_ms }, { driver }) =>
    `What ${driver} asks did not answer within ${limit_ms} ms: see that it does, then write the port again.`,
  contention: ({ rounds }, { driver }) =>
    `Port or host changed ${rounds} times while ${driver} was asking: write the port again once it is quiet.`,
  loop: (_, { driver }) =>
    `${driver} carries the port on this segment already: nothing to do unless all others refuse too.`,
  too_many_levels: ({ most }) =>
    `Drivers pass the port on for more than ${most} levels: check what each leaves to the next.`,
}

/** From what is wrong although the driver is the one for this port, to what says that it is not. */
const NEAR: readonly (readonly string[])[] = [
  [
    'agent_dead',
    'physnet_not_mapped',
    'device_not_found',
    'source_differs',
    'segment_ids_exhausted',
    'tor_unreachable',
    'tor_not_configured',
    'driver_failed',
    'driver_timed_out',
    'contention',
    'too_many_levels',
  ],
  ['tunnel_type_unsupported', 'provider_not_responsible', 'connectivity_unsuitable'],
  ['agent_absent', 'segment_not_of_fixed_ips'],
  ['vnic_unsupported'],
]

/** The refusal to mend first: of the driver that would have been nearest to binding the port. Null: there is none. */
export function nearest<A extends Pick<BindingAttempt, 'result' | 'reason'>>(attempts: readonly A[]): A | null {
  const refusals = attempts.filter((one) => one.result === 'refused')
  for (const reasons of NEAR) {
    const found = refusals.find((one) => one.reason !== null && reasons.includes(one.reason))
    if (found) return found
  }
  return refusals[0] ?? null
}

/** The reasons that have a remedy here. */
export const documented: readonly string[] = Object.keys(REMEDIES)

/** A driver's own words win; a reason nobody documents is passed on as it is. Null: there is nothing to mend. */
export function remedyOf(attempt: BindingAttempt, host: string): string | null {
  if (attempt.reason === null) return null
  if (attempt.remedy !== undefined) return attempt.remedy
  const known = Object.hasOwn(REMEDIES, attempt.reason) ? REMEDIES[attempt.reason] : undefined
  return known?.(attempt.facts, attempt, host) ?? `See what driver ${attempt.driver} means by ${attempt.reason}.`
}
