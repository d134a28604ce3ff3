/** What is said of ports on devices, from what was read back. Pure. */
import { vlanDevice } from '#kernel/vlan-device.ts'
import { keyOf, type PortObject, type WireKey, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import { isUp, type MacvtapState, vfProblem, type VfState, type Wanted } from './plan.ts'

export interface Found {
  readonly simulated: boolean
  readonly wanted: Wanted
  /** Functions as read back, or why that was not possible. */
  readonly seen: ReadonlyMap<string, VfState | string>
  /** What the card answered when it was to be set up. */
  readonly refused: ReadonlyMap<string, string>
  readonly macvtaps: readonly MacvtapState[]
  /** What ports that may come need to find. */
  readonly there: { has(slot: string): boolean; readonly interfaces: ReadonlySet<string> }
}

type Verdict = Pick<Realization, 'state' | 'message'>
const DONE: Verdict = { state: 'done', message: null }
const waits = (message: string): Verdict => ({ state: 'pending', message })
const fails = (message: string): Verdict => ({ state: 'error', message })

export function portRealization(world: World, port: PortObject, found: Found, at: string): Realization {
  return { kind: 'port', id: port.id, generation: port.generation, ...verdict(world, port, found), repaired: false, at }
}

function verdict(world: World, port: PortObject, found: Found): Verdict {
  if (!port.active) return expectedVerdict(port, found)
  // A whole card is the virtual machine's to set up.
  if (port.device?.kind === 'card') return DONE
  if (!world.network.has(port.network_id)) return waits(`network ${port.network_id} is not known yet`)
  return port.device?.kind === 'macvtap' ? macvtapVerdict(world, port, found) : vfVerdict(port, found)
}

/** Nothing has to be set up before the port comes; but what will be has to be there. */
function expectedVerdict(port: PortObject, { simulated, wanted, seen, there }: Found): Verdict {
  const { kind, pci_slot: slot, source, vlan } = port.device ?? {}
  // It has just left, or an older server does not say what it would have here.
  if (port.segment_ids.length === 0) return DONE
  if (kind === 'macvtap') return source && reaches(source, vlan ?? 0, there.interfaces) ? DONE : waits(noSource(source))
  if (!slot) return waits(NO_SLOT)
  const holder = wanted.holders.get(slot)
  if (holder !== undefined) return fails(`${slot} is given to port ${holder} already`)
  const state = seen.get(slot)
  if (kind === 'vf' && typeof state !== 'object') return fails(state ?? `${slot} was not found on this host`)
  if (!there.has(slot)) return fails(`this host has no PCI device ${slot}`)
  return simulated ? noted(slot) : DONE
}

const NO_SLOT = 'its profile names no device (pci_slot)'
const noSource = (source: string | null | undefined): string =>
  `this host has no interface ${source ?? ''}, and none whose VLAN device that would be`
const noted = (slot: string): Verdict => ({
  state: 'done',
  message: `simulated: there is no ${slot}, it is only noted`,
})

/** The hypervisor makes a VLAN device when the port comes: its interface will do. */
const reaches = (source: string, vlan: number, interfaces: ReadonlySet<string>): boolean =>
  interfaces.has(source) || (vlan !== 0 && [...interfaces].some((name) => vlanDevice(name, vlan) === source))

function vfVerdict({ id, device }: PortObject, { simulated, wanted, seen, refused }: Found): Verdict {
  const slot = device?.pci_slot
  if (!slot) return waits(NO_SLOT)
  const holder = wanted.holders.get(slot)
  if (holder !== id) return fails(`${slot} is given to port ${holder} already`)
  const problem = refused.get(slot) ?? vfProblem(slot, wanted.vfs.get(slot) as VfState, seen.get(slot))
  if (problem !== null) return fails(problem)
  return simulated ? noted(slot) : DONE
}

function macvtapVerdict(world: World, port: PortObject, { macvtaps }: Found): Verdict {
  const source = port.device?.source ?? ''
  const mine = macvtapOf(port, macvtaps)
  if (!mine) return waits(`no macvtap device with MAC ${port.mac_address} is above ${source} yet`)
  if (mine.source !== source) return fails(`${mine.name} is above ${mine.source}, wanted: ${source}`)
  return mine.up === isUp(world, port) ? DONE : fails(`${mine.name} is ${mine.up ? 'up' : 'down'}`)
}

/** The device that the hypervisor made for the port: the one with its MAC, of several the one where it belongs. */
export const macvtapOf = (port: PortObject, macvtaps: readonly MacvtapState[]): MacvtapState | undefined =>
  macvtaps.find(({ mac, source }) => mac === port.mac_address && source === port.device?.source) ??
  macvtaps.find(({ mac }) => mac === port.mac_address)

/** Networks that have ports here, all of them on devices, and nobody to serve on the wire: nothing for the switch. */
export function networksOnDevices(world: World, ports: readonly PortObject[]): ReadonlySet<string> {
  const networks = new Set(ports.map(({ network_id }) => network_id))
  for (const { device, network_id } of world.port.values()) if (device === null) networks.delete(network_id)
  for (const { network_id } of world.dhcp_client.values()) networks.delete(network_id)
  return networks
}

/** Of networks that are on devices alone. */
export const networkRealizations = (world: World, networks: readonly string[], at: string): Realization[] =>
  networks.flatMap((id) => {
    const network = world.network.get(id)
    if (!network) return []
    const { generation } = network
    return [{ kind: 'network', id, generation, state: 'done', message: null, repaired: false, at }]
  })

/** The world without what devices carry: what the switch is to know. */
export function switchedWorld(world: World, ports: readonly PortObject[], networks: ReadonlySet<string>): World {
  if (ports.length === 0) return world
  const without = <T>(table: ReadonlyMap<string, T>, gone: Iterable<string>): ReadonlyMap<string, T> => {
    const rest = new Map(table)
    for (const id of gone) rest.delete(id)
    return rest
  }
  return {
    ...world,
    port: without(
      world.port,
      ports.map(({ id }) => id),
    ),
    network: without(world.network, networks),
  }
}

/** Keys of networks that the switch is to know from now on, or not any more. */
export const changedSides = (before: ReadonlySet<string>, after: ReadonlySet<string>): readonly WireKey[] =>
  [...before, ...after].filter((id) => !before.has(id) || !after.has(id)).map((id) => keyOf('network', id))
