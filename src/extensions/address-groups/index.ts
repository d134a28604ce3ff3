/** Address groups, as the API advertises them. */
import { defineExtension, type Extension, type Resource } from '#model/define.ts'
import { addressGroup } from './address-group.ts'

export const addressGroups: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'address-group',
    name: 'Address group',
    description: 'Named lists of prefixes.',
    updated: '2020-07-15T10:00:00-00:00',
    requires: ['security-group'],
    resources: [addressGroup as Resource],
  }),
])
