/**
 * What Placement and Nova should know of one segment of a routed network, and what must be asked of them until they do.
 * Pure: a plan carried out plans to nothing.
 *
 * As Neutron has it: the resource provider has the segment's id, its inventory of addresses is all of the segment's
 * pools, reserved is what servers cannot get, and a host aggregate of Nova holds the hosts that reach the segment.
 */
import { isDeepStrictEqual } from 'node:util'

export const ADDRESS_CLASSES = { 4: 'IPV4_ADDRESS', 6: 'CUSTOM_IPV6_ADDRESS' } as const
export type AddressClass = (typeof ADDRESS_CLASSES)[keyof typeof ADDRESS_CLASSES]

export interface Amount {
  readonly total: number
  readonly reserved: number
}
export interface Inventory extends Amount {
  readonly min_unit: number
  readonly max_unit: number
  readonly step_size: number
  readonly allocation_ratio: number
}

/** Null: the segment has no addresses, or is gone; nothing should be known of it. */
export type WantedSegment = {
  readonly amounts: Readonly<Partial<Record<AddressClass, Amount>>>
  readonly hosts: readonly string[]
} | null

export interface Aggregate {
  readonly id: number
  readonly uuid: string
  readonly hosts: readonly string[]
}

export interface KnownSegment {
  /** Null: there is no such resource provider. */
  readonly provider: {
    readonly generation: number
    readonly inventories: Readonly<Record<string, Inventory>>
    readonly aggregates: readonly string[]
  } | null
  /** Null: there is none of the segment's name. Undefined: Nova is not asked. */
  readonly aggregate: Aggregate | null | undefined
}

/** Steps with a generation raise it: one of them ends a plan, and the rest is planned anew. */
export type Step =
  | { readonly kind: 'create provider' }
  | {
      readonly kind: 'set inventories'
      readonly generation: number
      readonly inventories: Readonly<Record<string, Inventory>>
    }
  | { readonly kind: 'set aggregates'; readonly generation: number; readonly aggregates: readonly string[] }
  | { readonly kind: 'delete provider' }
  | { readonly kind: 'create aggregate' }
  | { readonly kind: 'add host' | 'remove host'; readonly aggregate: number; readonly host: string }
  | { readonly kind: 'delete aggregate'; readonly aggregate: number }

export const nameOf = (segment: string): string => `Neutron segment id ${segment}`

/** The largest total that Placement takes: IPv6 pools have more. */
const MOST = 2_147_483_647

/** The next steps, in order; none when all is as it should be. `refused`: hosts that Nova does not know. */
export function planSegment(wanted: WantedSegment, known: KnownSegment, refused: ReadonlySet<string>): Step[] {
  if (wanted === null) return removal(known)
  const { provider, aggregate } = known
  if (!provider) return [{ kind: 'create provider' }]
  const { generation } = provider
  const inventories = inventoriesOf(wanted.amounts, provider.inventories)
  if (!isDeepStrictEqual(inventories, provider.inventories))
    return [{ kind: 'set inventories', generation, inventories }]
  if (aggregate === undefined) return []
  if (aggregate === null) return [{ kind: 'create aggregate' }]
  if (!provider.aggregates.includes(aggregate.uuid))
    return [{ kind: 'set aggregates', generation, aggregates: [...provider.aggregates, aggregate.uuid] }]
  const add = wanted.hosts.filter((host) => !aggregate.hosts.includes(host) && !refused.has(host))
  const remove = aggregate.hosts.filter((host) => !wanted.hosts.includes(host))
  return [
    ...add.map((host): Step => ({ kind: 'add host', aggregate: aggregate.id, host })),
    ...remove.map((host): Step => ({ kind: 'remove host', aggregate: aggregate.id, host })),
  ]
}

/** The provider first: while it is in use nothing of it goes. */
function removal({ provider, aggregate }: KnownSegment): Step[] {
  if (provider) return [{ kind: 'delete provider' }]
  if (!aggregate) return []
  const { id, hosts } = aggregate
  return [
    ...hosts.map((host): Step => ({ kind: 'remove host', aggregate: id, host })),
    { kind: 'delete aggregate', aggregate: id },
  ]
}

/** Ours as they should be; inventories of other classes are others'. */
function inventoriesOf(
  amounts: NonNullable<WantedSegment>['amounts'],
  known: Readonly<Record<string, Inventory>>,
): Readonly<Record<string, Inventory>> {
  const ours: readonly string[] = Object.values(ADDRESS_CLASSES)
  const others = Object.entries(known).filter(([name]) => !ours.includes(name))
  const made = Object.entries(amounts).map(([name, { total, reserved }]): [string, Inventory] => {
    const most = Math.min(total, MOST)
    return [
      name,
      { total: most, reserved: Math.min(reserved, most), min_unit: 1, max_unit: 1, step_size: 1, allocation_ratio: 1 },
    ]
  })
  return Object.fromEntries([...others, ...made])
}
