/** Conntrack helpers of routers. */
import { defineExtension, type Extension } from '#model/define.ts'
import { conntrackHelper, helpedRouters } from './helper.ts'

export const conntrackHelpers: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'l3-conntrack-helper',
    name: 'L3 Conntrack helper',
    description: 'Protocols that a router’s connection tracking follows.',
    updated: '2019-04-04T10:00:00-00:00',
    requires: ['router'],
    resources: [conntrackHelper],
  }),
  defineExtension({
    alias: 'expose-l3-conntrack-helper',
    name: 'Expose CT target rules for conntrack helper',
    description: 'A router shows its conntrack helpers.',
    updated: '2019-04-04T10:00:00-00:00',
    requires: ['l3-conntrack-helper'],
    on: { router: helpedRouters },
  }),
])
