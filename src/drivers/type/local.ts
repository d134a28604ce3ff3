/** Networks that never leave a host. */
import type { TypeDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'

const prohibited = (name: string): ApiError =>
  new ApiError('InvalidInput', { error_message: `${name} prohibited for local provider network` })

export const localDriver: TypeDriver = {
  type: 'local',
  overhead: 0,
  ranges: [],
  tenantPools: null,
  check: ({ physical_network, segmentation_id }) => [
    ...(physical_network === null ? [] : [prohibited('physical_network')]),
    ...(segmentation_id === null ? [] : [prohibited('segmentation_id')]),
  ],
  taken: () => new ApiError('NoNetworkAvailable'),
}
