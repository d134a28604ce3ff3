/** Networks carried in tunnels between hosts: VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC 2890 keys). */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

/** Bytes beside the outer IP header: inner Ethernet 14, own header, UDP 8 where used. */
const OVERHEAD = { vxlan: 30, geneve: 30, gre: 22 } as const
const LARGEST_ID = { vxlan: 2 ** 24 - 1, geneve: 2 ** 24 - 1, gre: 2 ** 32 - 1 } as const
export type TunnelType = keyof typeof OVERHEAD

export interface IdRange {
  readonly first: number
  readonly last: number
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

export function tunnelDriver(
  type: TunnelType,
  ranges: readonly IdRange[],
  overhead: number = OVERHEAD[type],
): TypeDriver {
  return {
    type,
    overhead,
    ranges: ranges.map(({ first, last }) => ({ physical_network: null, minimum: first, maximum: last })),
    tenantPools: [{ physical_network: null }],
    check: ({ physical_network, segmentation_id }) => {
      if (physical_network) return [invalid(`provider:physical_network specified for ${type} network`)]
      const outside = segmentation_id !== null && (segmentation_id < 1 || segmentation_id > LARGEST_ID[type])
      return outside ? [invalid(`segmentation_id out of range (1 through ${LARGEST_ID[type]})`)] : []
    },
    taken: ({ segmentation_id }) => new ApiError('TunnelIdInUse', { tunnel_id: segmentation_id }),
  }
}
