/** What the API advertises of security groups beyond the groups themselves, and what ports may be in together. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, defineExtension, type Extension, type Write } from '#model/define.ts'

const alias = (name: string, title: string, description: string, updated: string): Extension =>
  defineExtension({ alias: name, name: title, description, updated, requires: ['security-group'] })

/** A port's connections are followed, or they are not. */
async function refuseMixture(context: Context, { op, after, given }: Write): Promise<undefined> {
  const ids = (after?.['security_groups'] ?? []) as readonly string[]
  if (op === 'delete' || ids.length < 2 || !given.has('security_groups')) return
  const groups = await context.visible('security_group', ids)
  if (new Set(groups.map((one) => one['stateful'])).size < 2) return
  const reason = 'Cannot apply both stateful and stateless security groups on the same port at the same time'
  throw new ApiError('SecurityGroupConflict', { reason }, { reason: 'stateful_and_stateless' })
}

const remoteAddressGroup = { references: { remote_address_group_id: { resource: 'address_group' } } }

export const securityGroups: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'stateful-security-group',
    name: 'Stateful security group',
    description: 'Security groups without connection tracking.',
    updated: '2019-11-26T09:00:00-00:00',
    requires: ['security-group'],
    on: { port: { inTx: refuseMixture } },
  }),
  defineExtension({
    alias: 'security-groups-remote-address-group',
    name: 'Remote address group id field for security group rules',
    description: 'Rules that let through what an address group holds.',
    updated: '2020-08-25T10:00:00-00:00',
    requires: ['security-group', 'address-group'],
    on: { security_group_rule: remoteAddressGroup, default_security_group_rule: remoteAddressGroup },
  }),
  alias(
    'security-groups-normalized-cidr',
    'Normalized CIDR field for security group rules',
    'The prefix of a rule with host bits cleared.',
    '2020-07-28T10:00:00-00:00',
  ),
  alias(
    'security-groups-shared-filtering',
    'Security group filtering on the shared field',
    'Lists of the groups that others share.',
    '2021-10-05T09:00:00-00:00',
  ),
  alias(
    'port-security-groups-filtering',
    'Port filtering on security groups',
    'Lists of the ports that are in given groups.',
    '2018-01-09T09:00:00-00:00',
  ),
  alias(
    'security-groups-default-rules',
    'Default rules for security groups',
    'What new groups start with.',
    '2022-11-28T10:00:00-00:00',
  ),
  alias(
    'security-groups-rules-belongs-to-default-sg',
    'Security group rules belongs to the default security group',
    'Whether a rule is of its project’s default group.',
    '2023-03-10T10:00:00-00:00',
  ),
])
