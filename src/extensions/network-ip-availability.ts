/** How many addresses a network has, and how many of them are in use. Read from a view; exact, whatever the prefix. */
import { defineExtension, defineResource, list, text, uuid, whole } from '#model/define.ts'

const availability = defineResource({
  name: 'network_ip_availability',
  plural: 'network_ip_availabilities',
  table: 'network_ip_availabilities',
  docs: 'How many addresses the allocation pools of a network hold, and how many its ports have. For administrators.',
  notFound: { type: 'NetworkNotFound', param: 'net_id' },
  operations: ['list', 'show'],
  key: 'network_id',
  attributes: {
    id: uuid({ visible: false }),
    network_id: uuid({ filter: true, sort: true }),
    network_name: text({ filter: true }),
    project_id: text({ filter: true }),
    /** Counts the subnets of one IP version only; 0, when none is named: all. */
    ip_version: whole({ of: [0, 4, 6], filter: true, visible: false, assumed: 0 }),
    total_ips: whole({ max: Number.MAX_SAFE_INTEGER }),
    used_ips: whole({ max: Number.MAX_SAFE_INTEGER }),
    subnet_ip_availability: list({ schema: { type: 'object' }, parse: (value) => value as object }),
  },
})

export const networkIpAvailability = defineExtension({
  alias: 'network-ip-availability',
  name: 'Network IP Availability',
  description: 'How many addresses a network has, and how many are in use.',
  updated: '2015-09-24T00:00:00-00:00',
  resources: [availability],
})
