/** Networks that are a physical network, untagged. */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

const invalid = (sentence: string): ApiError => new ApiError('InvalidInput', { error_message: sentence })

/** `*` allows any name. */
export function flatDriver(physicalNetworks: readonly string[]): TypeDriver {
  return {
    type: 'flat',
    overhead: 0,
    ranges: [],
    tenantPools: null,
    check: ({ physical_network, segmentation_id }) => {
      if (!physical_network) return [invalid('physical_network required for flat provider network')]
      if (physicalNetworks.length === 0) return [invalid('Flat provider networks are disabled')]
      const known = physicalNetworks.includes('*') || physicalNetworks.includes(physical_network)
      const issues = known ? [] : [invalid(`physical_network '${physical_network}' unknown for flat provider network`)]
      return segmentation_id === null
        ? issues
        : [...issues, invalid('segmentation_id prohibited for flat provider network')]
    },
    taken: ({ physical_network }) => new ApiError('FlatNetworkInUse', { physical_network }),
  }
}
