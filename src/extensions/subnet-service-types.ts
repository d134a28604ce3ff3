/** `service_types`: a subnet for the ports of certain owners only. */
import { ApiError } from '#kernel/errors.ts'
import { defineExtension, list, orNull, parseText } from '#model/define.ts'

/** Owners of ports say whose they are first: `compute:nova`, `network:floatingip`. */
const OWNER = /^[^\s:]+:/

export const subnetServiceTypes = defineExtension({
  alias: 'subnet-service-types',
  name: 'Subnet service types',
  description: 'Subnets whose addresses go to ports of certain owners.',
  updated: '2016-03-15T18:00:00-00:00',
  on: {
    subnet: {
      attributes: {
        service_types: orNull(
          [],
          list(
            { schema: { type: 'string' }, parse: parseText(255) },
            {
              set: 'always',
              default: [],
              unique: true,
              pg: 'text[]',
              column: 'service_types',
              sql: 'to_jsonb(t.service_types)',
            },
          ),
        ),
      },
      check: ({ after, given }) => {
        if (!after || !given.has('service_types')) return []
        const wrong = (after['service_types'] as readonly string[]).find((one) => !OWNER.test(one))
        return wrong === undefined ? [] : [new ApiError('InvalidSubnetServiceType', { service_type: wrong })]
      },
    },
  },
})
