/** What there is about subnet pools; the pool itself is a core resource. */
import { defineExtension, type Extension } from '#model/define.ts'
import { onboarding } from './onboarding.ts'
import { prefixOperations } from './prefix-operations.ts'

export const subnetPools: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'subnet_allocation',
    name: 'Subnet Allocation',
    description: 'Subnets cut from pools of prefixes.',
    updated: '2015-03-30T10:00:00-00:00',
  }),
  defineExtension({
    alias: 'default-subnetpools',
    name: 'Default Subnetpools',
    description: 'A pool for subnets that name none.',
    updated: '2016-02-18T18:00:00-00:00',
    requires: ['subnet_allocation'],
  }),
  prefixOperations,
  onboarding,
])
