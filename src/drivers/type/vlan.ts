/** Networks on a VLAN of a physical network (IEEE 802.1Q). */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

/** `physnet:first:last`, or `physnet` alone: VLANs there only by explicit id. */
export interface VlanRange {
  readonly physicalNetwork: string
  readonly first: number | null
  readonly last: number | null
}

export const parseVlanRange = (text: string): VlanRange | null => {
  const match = /^([^:\s]{1,64})(?::(\d{1,4}):(\d{1,4}))?$/.exec(text.trim())
  if (!match) return null
  const [first, last] = [match[2], match[3]].map((number) => (number === undefined ? null : Number(number)))
  const bad = first != null && last != null && (first < 1 || last > 4094 || first > last)
  return bad ? null : { physicalNetwork: match[1] as string, first: first ?? null, last: last ?? null }
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

export function vlanDriver(ranges: readonly VlanRange[]): TypeDriver {
  const names = [...new Set(ranges.map((range) => range.physicalNetwork))]
  const pools = new Map(
    names.map((name) => [
      `vlan:${name}`,
      ranges.flatMap(({ physicalNetwork, first, last }) =>
        physicalNetwork === name && first !== null && last !== null
          ? [{ first: BigInt(first), last: BigInt(last) }]
          : [],
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
