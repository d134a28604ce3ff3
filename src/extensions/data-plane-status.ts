/** `data_plane_status`: an operator's or a monitor's word on whether a port's data plane really works. */
import { defineExtension, oneOf, optional } from '#model/define.ts'

export const dataPlaneStatus = defineExtension({
  alias: 'data-plane-status',
  name: 'Port data plane status extension',
  description: 'Set from outside when the physical network below a port fails.',
  updated: '2017-01-24T10:00:00-00:00',
  on: {
    port: {
      attributes: {
        data_plane_status: optional(oneOf(['ACTIVE', 'DOWN'], { set: 'update', policy: true })),
      },
    },
  },
})
