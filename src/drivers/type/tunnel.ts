/** Networks carried in tunnels between hosts: VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC 2890 keys). */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

/** Outer Ethernet payload taken up: inner Ethernet 14, own header, UDP 8 where used, outer IPv4 20. */
const OVERHEAD = { vxlan: 50, geneve: 50, gre: 42 } as const
const LARGEST_ID = { vxlan: 2 ** 24 - 1, geneve: 2 ** 24 - 1, gre: 2 ** 32 - 1 } as const
export type TunnelType = keyof typeof OVERHEAD

export interface IdRange {
  readonly first: number
  readonly last: number
}

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

export function tunnelDriver(type: TunnelType, ranges: readonly IdRange[]): TypeDriver {
  return {
    type,
    overhead: OVERHEAD[type],
    pools: new Map([[type, ranges.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }))]]),
    check: ({ physical_network, segmentation_id }) => {
      if (physical_network) return [invalid(`provider:physical_network specified for ${type} network`)]
      const outside = segmentation_id !== null && (segmentation_id < 1 || segmentation_id > LARGEST_ID[type])
      return outside ? [invalid(`segmentation_id out of range (1 through ${LARGEST_ID[type]})`)] : []
    },
    poolOf: () => type,
    tenantPools: () => [{ pool: type, physical_network: null }],
    taken: ({ segmentation_id }) => new ApiError('TunnelIdInUse', { tunnel_id: segmentation_id }),
  }
}
