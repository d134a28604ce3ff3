/** Availability zones: what agents say of where they are, and networks and routers that ask for it. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineExtension,
  defineResource,
  type Extension,
  type ExtensionPart,
  oneOf,
  text,
  uuid,
} from '#model/define.ts'
import { zoneHints, zonesOf } from './attributes.ts'

const availabilityZone = defineResource({
  name: 'availability_zone',
  plural: 'availability_zones',
  path: 'availability_zones',
  table: 'availability_zones',
  docs: 'A zone that agents are in: `network` by DHCP agents, `router` by L3 agents. Available while one of them is administratively up.',
  notFound: { type: 'AvailabilityZoneNotFound', param: 'availability_zone' },
  operations: ['list'],
  attributes: {
    id: uuid({ visible: false }),
    name: text({ filter: true }),
    resource: oneOf(['network', 'router'], { filter: true }),
    state: oneOf(['available', 'unavailable'], { filter: true }),
  },
})

/** Zones asked for must be there; without a wish the configured ones hold. */
const hinted = (resource: 'network' | 'router'): NonNullable<ExtensionPart['inTx']> =>
  async function (context: Context, { op, after }) {
    if (op !== 'create' || !after) return undefined
    const given = (after['availability_zone_hints'] ?? []) as readonly string[]
    const wanted = given.length > 0 ? given.toSorted() : context.limits.defaultAvailabilityZones
    if (wanted.length === 0) return undefined
    const known = await context.find('availability_zone', { resource, name: wanted })
    const missing = wanted.find((name) => !known.some((one) => one['name'] === name))
    if (missing !== undefined) throw new ApiError('AvailabilityZoneNotFound', { availability_zone: missing })
    return { availability_zone_hints: wanted }
  }

export const availabilityZones: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'availability_zone',
    name: 'Availability Zone',
    description: 'The zones that agents are in.',
    updated: '2015-01-01T10:00:00-00:00',
    requires: ['agent'],
    resources: [availabilityZone as never],
  }),
  defineExtension({
    alias: 'availability_zone_filter',
    name: 'Availability Zone Filter Extension',
    description: 'Availability zones by name, kind and state.',
    updated: '2018-06-22T10:00:00-00:00',
    requires: ['availability_zone'],
  }),
  defineExtension({
    alias: 'network_availability_zone',
    name: 'Network Availability Zone',
    description: 'The zones in which the DHCP of a network is to be served, and is.',
    updated: '2015-01-01T10:00:00-00:00',
    requires: ['availability_zone'],
    on: {
      network: {
        attributes: {
          availability_zone_hints: zoneHints,
          availability_zones: zonesOf('dhcp_bindings', 'network_id'),
        },
        inTx: hinted('network'),
      },
    },
  }),
  defineExtension({
    alias: 'router_availability_zone',
    name: 'Router Availability Zone',
    description: 'The zones in which the outside of a router is to be, and is.',
    updated: '2015-01-01T10:00:00-00:00',
    requires: ['router', 'availability_zone'],
    on: { router: { inTx: hinted('router') } },
  }),
])
