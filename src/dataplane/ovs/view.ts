/**
 * What compiling an object may read, and the record of what it did read.
 *
 * Every read goes through a `View`, which notes the fact's name; when that fact changes, exactly its readers are
 * compiled again. Numbers are not noted: a key keeps its number for as long as anything refers to it.
 */
import type { SegmentObject, WireType, WireTypes, World } from '#wire/objects.ts'
import type { Numbers, Space } from './numbers.ts'
import { fact, type GroupShape, type Relations, type RemoteHost } from './relations.ts'

/** What the host has: OpenFlow port numbers of the integration bridge, by what they are for. */
export interface LocalView {
  /** VM interfaces by port id. */
  readonly ports: ReadonlyMap<string, number>
  /** DHCP server ports by network id. */
  readonly dhcp: ReadonlyMap<string, number>
  /** Tunnel ports by network type. */
  readonly tunnels: ReadonlyMap<string, number>
  /** Patch ports by physical network. */
  readonly patches: ReadonlyMap<string, number>
}

export const emptyLocalView = (): LocalView => ({
  ports: new Map(),
  dhcp: new Map(),
  tunnels: new Map(),
  patches: new Map(),
})

export interface View {
  object<T extends WireType>(type: T, id: string): WireTypes[T] | undefined
  networks(): readonly string[]
  /** Active ones, by the last segment of their binding; '' where it does not say. */
  portsOf(network: string, bottom: string): readonly string[]
  /** Expected ones, too. Not noted: no flow of another object depends on it. */
  allIn(network: string): readonly string[]
  hostsOf(network: string): readonly RemoteHost[]
  /** Undefined: the network is not known. */
  segmentsOf(network: string): readonly SegmentObject[] | undefined
  chainsIn(network: string): readonly string[]
  shapeOf(group: string): GroupShape | null
  networkUp(network: string): boolean
  /** Undefined while there is none. */
  ofport(kind: keyof LocalView, id: string): number | undefined
  number(space: Space, key: string): number
  /** This host's name. */
  readonly self: string
}

export interface Sources {
  readonly world: World
  readonly local: LocalView
  readonly relations: Relations
  readonly numbers: Numbers
  readonly self: string
}

export const localFact = (kind: keyof LocalView, id: string): string => `ofport/${kind}/${id}`

/** A view on `sources` that adds the name of every fact it is asked for to `reads`. */
export function recordingView({ world, local, relations, numbers, self }: Sources, reads: Set<string>): View {
  return {
    object: (type, id) => {
      reads.add(`${type}/${id}`)
      return world[type].get(id)
    },
    networks: () => [...world.network.keys()],
    portsOf: (network, bottom) => {
      reads.add(fact.portsOf(network, bottom))
      return relations.portsOf(network, bottom)
    },
    allIn: relations.allIn,
    segmentsOf: (network) => {
      reads.add(fact.segmentsOf(network))
      return relations.segmentsOf(network)
    },
    chainsIn: (network) => {
      reads.add(fact.chainsIn(network))
      return relations.chainsIn(network)
    },
    hostsOf: (network) => {
      reads.add(fact.hostsOf(network))
      return relations.hostsOf(network)
    },
    shapeOf: (group) => {
      reads.add(fact.shapeOf(group))
      return relations.shapeOf(group)
    },
    networkUp: (network) => {
      reads.add(fact.networkUp(network))
      return relations.networkUp(network)
    },
    ofport: (kind, id) => {
      reads.add(localFact(kind, id))
      return local[kind].get(id)
    },
    number: (space, key) => numbers.of(space, key),
    self,
  }
}

/** The names of the facts in which two local views differ. */
export function localChanges(before: LocalView, after: LocalView): readonly string[] {
  const kinds = ['ports', 'dhcp', 'tunnels', 'patches'] as const
  return kinds.flatMap((kind) => {
    const ids = new Set([...before[kind].keys(), ...after[kind].keys()])
    return [...ids].filter((id) => before[kind].get(id) !== after[kind].get(id)).map((id) => localFact(kind, id))
  })
}
