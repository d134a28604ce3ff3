/** RBAC policies and what they are for, as the API advertises it. */
import { defineExtension, type Extension, type Resource } from '#model/define.ts'
import { rbacPolicy } from './rbac-policy.ts'
import { sharingParts } from './sharing.ts'

const type = (alias: string, name: string, description: string, updated: string): Extension =>
  defineExtension({ alias, name, description, updated, requires: ['rbac-policies'] })

export const rbac: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'rbac-policies',
    name: 'RBAC Policies',
    description: 'Who else may use an object, project by project.',
    updated: '2015-06-17T12:15:12-00:00',
    on: sharingParts,
    resources: [rbacPolicy as Resource],
  }),
  type(
    'rbac-security-groups',
    'Add security_group type to network RBAC',
    'Security groups that other projects may put their ports in.',
    '2019-02-14T00:00:00-00:00',
  ),
  type(
    'rbac-address-scope',
    'Add address_scope type to RBAC',
    'Address scopes that other projects may use.',
    '2020-02-12T00:00:00-00:00',
  ),
  type(
    'rbac-subnetpool',
    'Add subnetpool type to RBAC',
    'Subnet pools that other projects may take prefixes from.',
    '2020-02-05T00:00:00-00:00',
  ),
  type(
    'rbac-address-group',
    'Add address_group type to RBAC',
    'Address groups that other projects may name in their rules.',
    '2021-01-20T00:00:00-00:00',
  ),
])
