/** Networks on a VLAN of a physical network (IEEE 802.1Q). */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

/** A physical network that carries tags, and the tags tenants may draw; null: only tags that are asked for. */
export interface VlanRange {
  readonly physical_network: string
  readonly range: { readonly first: number; readonly last: number } | null
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

export function vlanDriver(ranges: readonly VlanRange[]): TypeDriver {
  const names = [...new Set(ranges.map((one) => one.physical_network))]
  const pools = new Map(
    names.map((name) => [
      `vlan:${name}`,
      ranges.flatMap(({ physical_network, range }) =>
        physical_network === name && range ? [{ first: BigInt(range.first), last: BigInt(range.last) }] : [],
      ),
    ]),
  )
  return {
    type: 'vlan',
    overhead: 0,
    pools,
    check: ({ physical_network, segmentation_id }) => {
      if (!physical_network)
        return segmentation_id === null
          ? []
          : [invalid('segmentation_id requires physical_network for VLAN provider network')]
      if (!names.includes(physical_network))
        return [invalid(`physical_network '${physical_network}' unknown for VLAN provider network`)]
      const outside = segmentation_id !== null && (segmentation_id < 1 || segmentation_id > 4094)
      return outside ? [invalid(`segmentation_id out of range (1 through 4094)`)] : []
    },
    poolOf: ({ physical_network }) => `vlan:${physical_network}`,
    tenantPools: () => names.map((name) => ({ pool: `vlan:${name}`, physical_network: name })),
    taken: ({ physical_network, segmentation_id }) =>
      new ApiError('VlanIdInUse', { vlan_id: segmentation_id, physical_network }),
  }
}
