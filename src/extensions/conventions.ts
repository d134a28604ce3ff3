/** Aliases that name conventions of the whole API rather than attributes of their own. */
import { defineExtension, type Extension } from '#model/define.ts'

const convention = (alias: string, name: string, description: string, updated: string): Extension =>
  defineExtension({ alias, name, description, updated })

export const conventions: readonly Extension[] = Object.freeze([
  convention('agent', 'agent', 'The agents of the hosts, and whether they live.', '2013-02-03T10:00:00-00:00'),
  convention(
    'allowed-address-pairs',
    'Allowed Address Pairs',
    'Addresses a port may use besides its own.',
    '2013-07-23T10:00:00-00:00',
  ),
  convention(
    'binding',
    'Port Binding',
    'Where a port is bound, and how its interface is plugged.',
    '2014-02-03T10:00:00-00:00',
  ),
  convention(
    'empty-string-filtering',
    'Empty String Filtering Extension',
    'An empty filter value matches the empty string.',
    '2018-05-01T10:00:00-00:00',
  ),
  convention(
    'ip-substring-filtering',
    'IP address substring filtering',
    'Ports by a part of an address.',
    '2017-11-28T09:00:00-00:00',
  ),
  convention('net-mtu', 'Network MTU', 'The MTU of a network.', '2015-03-25T10:00:00-00:00'),
  convention(
    'net-mtu-writable',
    'Network MTU (writable)',
    'The MTU of a network may be chosen.',
    '2017-07-12T00:00:00-00:00',
  ),
  convention('pagination', 'Pagination support', 'Lists in pages.', '2016-06-12T00:00:00-00:00'),
  convention(
    'port-security',
    'Port Security',
    'Anti-spoofing and security groups can be turned off per port.',
    '2012-07-23T10:00:00-00:00',
  ),
  convention('project-id', 'project_id field enabled', 'project_id beside tenant_id.', '2016-09-09T09:09:09-09:09'),
  convention('provider', 'Provider Network', 'What carries a network.', '2012-09-07T10:00:00-00:00'),
  convention('quotas', 'Quota management support', 'Limits per project.', '2012-07-29T10:00:00-00:00'),
  convention(
    'quota-check-limit',
    'Quota engine limit check',
    'Limits that are refused when more is used already.',
    '2021-09-08T16:00:00-00:00',
  ),
  convention(
    'quota_details',
    'Quota details management support',
    'Limits with what is used of them.',
    '2017-02-10T10:00:00-00:00',
  ),
  convention(
    'revision-if-match',
    'If-Match constraints based on revision_number',
    'Writes that hold only for a given revision.',
    '2016-12-11T00:00:00-00:00',
  ),
  convention('security-group', 'security-group', 'Security groups and their rules.', '2012-10-05T10:00:00-00:00'),
  convention(
    'filter-validation',
    'Filter parameters validation',
    'A filter that no attribute has is refused.',
    '2018-07-04T10:00:00-00:00',
  ),
  convention(
    'sort-key-validation',
    'Sort keys validation',
    'A sort key that no attribute has is refused.',
    '2018-07-04T10:00:00-00:00',
  ),
  convention('sorting', 'Sorting support', 'Lists in a chosen order.', '2016-06-12T00:00:00-00:00'),
  convention('standard-attr-description', 'standard-attr-description', 'Descriptions.', '2016-02-10T10:00:00-00:00'),
  convention(
    'standard-attr-revisions',
    'Resource revision numbers',
    'Revisions of resources.',
    '2016-04-11T10:00:00-00:00',
  ),
  convention(
    'standard-attr-timestamp',
    'Resource timestamps',
    'When a resource was made and last changed.',
    '2016-09-12T10:00:00-00:00',
  ),
])
