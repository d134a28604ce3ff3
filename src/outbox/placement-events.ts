/**
 * Which changes may alter what Placement should know of a routed network's segments. Pure. The event says no more than
 * "look at this segment": what is wanted is read when it is delivered, so that one look stands for any number of changes.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ChangeRow } from '#store/change-reader.ts'
import type { OutboxEvent } from './event.ts'

/** What a change touches: segments themselves, subnets that may stand on one, physical networks that hosts reach. */
export interface Touched {
  readonly segments: readonly string[]
  readonly subnets: readonly string[]
  readonly physicalNetworks: readonly string[]
}

type Image = Readonly<Record<string, unknown>>

const NOTHING: Touched = { segments: [], subnets: [], physicalNetworks: [] }
const MAPPINGS = ['bridge_mappings', 'interface_mappings', 'device_mappings']
const OF_SUBNETS = ['segment_id', 'allocation_pools', 'gateway_ip', 'enable_dhcp']
const OF_PORTS = ['fixed_ips', 'device_owner']

export function touched({ kind, before, after, id }: ChangeRow): Touched {
  const changed = (names: readonly string[]): boolean =>
    before === null || after === null || names.some((name) => !isDeepStrictEqual(before[name], after[name]))
  const images = [before, after].filter((image) => image !== null)
  if (kind === 'segment' && (after === null || (before !== null && changed(['hosts']))))
    return { ...NOTHING, segments: [id] }
  if (kind === 'subnet' && changed(OF_SUBNETS))
    return { ...NOTHING, segments: images.flatMap(({ segment_id }) => (segment_id ? [String(segment_id)] : [])) }
  if (kind === 'port' && changed(OF_PORTS)) return { ...NOTHING, subnets: unique(images.flatMap(subnetsOf)) }
  if (kind === 'agent' && changed(['configurations', 'host']))
    return { ...NOTHING, physicalNetworks: unique(images.flatMap(physicalNetworksOf)) }
  return NOTHING
}

/** The addresses of servers are counted by Nova, those of DHCP once a subnet: neither is counted here by port. */
export const isCountedByPort = (port: Image): boolean =>
  !String(port['device_owner']).startsWith('compute:') && port['device_owner'] !== 'network:dhcp'

const subnetsOf = (port: Image): string[] =>
  isCountedByPort(port) ? (port['fixed_ips'] as readonly { subnet_id: string }[]).map((one) => one.subnet_id) : []

const physicalNetworksOf = ({ configurations }: Image): string[] =>
  MAPPINGS.flatMap((name) => Object.keys((configurations as Image | null)?.[name] ?? {}))

const unique = (values: readonly string[]): string[] => [...new Set(values)]

/** The event that makes the destination look at a segment. */
export const lookAt = (segment: string): OutboxEvent => ({
  destination: 'placement',
  subject: segment,
  name: 'segment-inventory',
  body: {},
})
