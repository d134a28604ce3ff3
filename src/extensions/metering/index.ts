/** Metering of traffic through routers: labels and their rules. */
import { defineExtension, type Extension, type Resource } from '#model/define.ts'
import { meteringLabel } from './label.ts'
import { meteringLabelRule } from './label-rule.ts'

export const metering: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'metering',
    name: 'Neutron Metering',
    description: 'Labels that count traffic through routers.',
    updated: '2013-06-12T10:00:00-00:00',
    resources: [meteringLabel, meteringLabelRule] as Resource[],
  }),
  defineExtension({
    alias: 'metering_source_and_destination_fields',
    name: 'Neutron Metering with source and destination filtering',
    description: 'Traffic chosen by where it comes from and where it goes to.',
    updated: '2020-08-21T08:12:00-00:00',
    requires: ['metering'],
  }),
])
