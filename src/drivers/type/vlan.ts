/** Networks on a VLAN of a physical network (IEEE 802.1Q). */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

/** A physical network that carries tags, and the tags tenants may draw; null: only tags that are asked for. */
export interface VlanRange {
  readonly physical_network: string
  readonly range: { readonly first: number; readonly last: number } | null
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

export function vlanDriver(configured: readonly VlanRange[]): TypeDriver {
  const names = [...new Set(configured.map((one) => one.physical_network))]
  return {
    type: 'vlan',
    overhead: 0,
    ranges: configured.flatMap(({ physical_network, range }) =>
      range ? [{ physical_network, minimum: range.first, maximum: range.last }] : [],
    ),
    tenantPools: names.map((physical_network) => ({ physical_network })),
    check: ({ physical_network, segmentation_id }, ranged) => {
      if (!physical_network)
        return segmentation_id === null
          ? []
          : [invalid('segmentation_id requires physical_network for VLAN provider network')]
      if (!names.includes(physical_network) && !ranged.includes(physical_network))
        return [invalid(`physical_network '${physical_network}' unknown for VLAN provider network`)]
      const outside = segmentation_id !== null && (segmentation_id < 1 || segmentation_id > 4094)
      return outside ? [invalid(`segmentation_id out of range (1 through 4094)`)] : []
    },
    taken: ({ physical_network, segmentation_id }) =>
      new ApiError('VlanIdInUse', { vlan_id: segmentation_id, physical_network }),
  }
}
