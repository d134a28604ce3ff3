/** Networks that never leave a host. */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

export const localDriver: TypeDriver = {
  type: 'local',
  overhead: 0,
  pools: new Map(),
  check: ({ physical_network, segmentation_id }) =>
    physical_network || segmentation_id !== null
      ? [
          new ApiError('InvalidInput', {
            error_message: 'a local network has no physical_network and no segmentation_id',
          }),
        ]
      : [],
  poolOf: () => null,
  tenantPools: () => [],
  taken: () => new ApiError('NoNetworkAvailable'),
}
