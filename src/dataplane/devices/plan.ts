/**
 * What the devices of this host are to be like, from the world, and how they come to be so. Pure.
 *
 * A virtual function (VF) switches in the card: MAC, VLAN, spoof check and link state are all there is to set. It is ours
 * from before we first touch it until it is as it was; what is not ours and not wanted is left alone.
 */
import { isDeepStrictEqual } from 'node:util'
import type { PortObject, World } from '#wire/objects.ts'

/** As `ip link show` has it; `link` is whether the function sees a link: always, never, or as the card does. */
export interface VfState {
  readonly mac: string
  /** 0: untagged. */
  readonly vlan: number
  readonly spoofchk: boolean
  readonly link: 'auto' | 'enable' | 'disable'
}

/** A function that nobody uses. */
export const UNUSED: VfState = { mac: '00:00:00:00:00:00', vlan: 0, spoofchk: true, link: 'auto' }

/** A macvtap device, as it stands. */
export interface MacvtapState {
  readonly name: string
  readonly mac: string
  /** The interface it is above. */
  readonly source: string
  readonly up: boolean
}

export interface Wanted {
  /** By PCI address. */
  readonly vfs: ReadonlyMap<string, VfState>
  /** The port that has the function, by PCI address. */
  readonly holders: ReadonlyMap<string, string>
}

/** The ports that a device carries, by id. */
export const devicePorts = (world: World): readonly PortObject[] =>
  [...world.port.values()].filter(({ device }) => device !== null).toSorted((a, b) => (a.id < b.id ? -1 : 1))

/** Functions that are to be there for ports that may come. */
export const expectedVfs = (ports: readonly PortObject[]): readonly string[] =>
  ports.flatMap(({ active, device }) => (!active && device?.kind === 'vf' && device.pci_slot ? [device.pci_slot] : []))

/** Of two ports that name one function the one with the lower id has it. */
export function wantedVfs(world: World, ports: readonly PortObject[]): Wanted {
  const [vfs, holders] = [new Map<string, VfState>(), new Map<string, string>()]
  for (const port of ports) {
    const { kind, pci_slot, vlan, follows_uplink } = port.device ?? {}
    if (kind !== 'vf' || !port.active || !pci_slot || vfs.has(pci_slot)) continue
    const link = isUp(world, port) ? (follows_uplink ? 'auto' : 'enable') : 'disable'
    vfs.set(pci_slot, { mac: port.mac_address, vlan: vlan ?? 0, spoofchk: port.port_security_enabled, link })
    holders.set(pci_slot, port.id)
  }
  return { vfs, holders }
}

/** Whether frames may pass: a network that is not known yet is taken to be down. */
export const isUp = (world: World, port: PortObject): boolean =>
  port.admin_state_up && world.network.get(port.network_id)?.admin_state_up === true

export interface VfStep {
  readonly slot: string
  readonly to: VfState
  /** Afterwards it is not ours any more. */
  readonly release: boolean
}

export interface VfPlan {
  readonly steps: readonly VfStep[]
  /** Ours, unwanted, and as nobody uses them: only to be forgotten. */
  readonly forget: readonly string[]
}

/**
 * From what is seen to what is wanted. `seen` lacks functions that cannot be read. Nothing is given back before the
 * world is in sync: until then a port that is missing may only not have been told yet.
 */
export function planVfs(facts: {
  readonly wanted: ReadonlyMap<string, VfState>
  readonly seen: ReadonlyMap<string, VfState>
  readonly ours: ReadonlySet<string>
  readonly inSync: boolean
}): VfPlan {
  const { wanted, seen, ours, inSync } = facts
  const differs = (slot: string, to: VfState): boolean => seen.has(slot) && !isDeepStrictEqual(seen.get(slot), to)
  const set = [...wanted].filter(([slot, to]) => differs(slot, to)).map(([slot, to]) => ({ slot, to, release: false }))
  const unwanted = inSync ? [...ours].filter((slot) => !wanted.has(slot)) : []
  const reset = unwanted.filter((slot) => differs(slot, UNUSED)).map((slot) => ({ slot, to: UNUSED, release: true }))
  // What is given back goes first: its MAC may be wanted by another function of the card.
  return { steps: [...reset, ...set], forget: unwanted.filter((slot) => seen.has(slot) && !differs(slot, UNUSED)) }
}

const spoken = ({ mac, vlan, spoofchk, link }: VfState): string =>
  `MAC ${mac}, VLAN ${vlan}, spoof check ${spoofchk ? 'on' : 'off'}, link ${link}`

/** Why a function does not do as a port needs it, or null. `seen` is what was read, or why it could not be. */
export function vfProblem(slot: string, wanted: VfState, seen: VfState | string | undefined): string | null {
  if (seen === undefined) return `${slot} was not found on this host`
  if (typeof seen === 'string') return seen
  return isDeepStrictEqual(wanted, seen) ? null : `${slot} has ${spoken(seen)}; wanted: ${spoken(wanted)}`
}
