/** QoS: policies, their rules, and what may have them. */
import { defineExtension, type Extension, type Resource } from '#model/define.ts'
import { floatingIpQos, routerQos } from './l3.ts'
import { qosPolicy, qosPolicyUse } from './policy.ts'
import { qosRuleType } from './rule-types.ts'
import { aliasOf, qosPolicyLimit, ruleResources } from './rules.ts'
import { qosPolicyTags } from './tags.ts'
import { networkQos, portQos } from './users.ts'

const { packet_rate_limit, minimum_packet_rate, ...original } = ruleResources

/** What an alias names beside the resources of `qos` itself. */
const part = (
  alias: string,
  name: string,
  description: string,
  updated: string,
  resources: readonly Resource[] = [],
): Extension => defineExtension({ alias, name, description, updated, resources, requires: ['qos'] })

export const qos: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'qos',
    name: 'Quality of Service',
    description: 'How much traffic may or must pass: policies of rules for networks, ports and floating IPs.',
    updated: '2015-06-08T10:00:00-00:00',
    resources: [
      qosPolicy,
      ...Object.values(original),
      qosRuleType,
      qosPolicyTags,
      qosPolicyUse,
      qosPolicyLimit,
    ] as Resource[],
    on: { network: networkQos, port: portQos },
  }),
  part(
    'qos-default',
    'QoS default policy',
    'A policy that new networks of a project get.',
    '2017-041-06T10:00:00-00:00',
  ),
  part(
    'qos-bw-limit-direction',
    'Direction for QoS bandwidth limit rule',
    'Limits of one direction or the other.',
    '2017-04-10T10:00:00-00:00',
  ),
  part(
    'qos-bw-minimum-ingress',
    'Ingress direction for QoS minimum bandwidth rule',
    'Guaranteed bandwidth towards a port.',
    '2018-07-09T10:00:00-00:00',
  ),
  part(
    'qos-pps',
    'QoS Rule Type Packet per Second Extension',
    'Limits of packets per second.',
    '2021-05-12T10:00:00-00:00',
    [packet_rate_limit],
  ),
  part(
    'qos-pps-minimum',
    'QoS minimum packet rate rule',
    'Guaranteed packets per second.',
    '2021-07-14T10:00:00-00:00',
    [minimum_packet_rate],
  ),
  part(
    'qos-rules-alias',
    'Quality of Service rules alias API',
    'Rules by their own paths, without their policies.',
    '2018-10-07T10:00:00-00:00',
    aliasOf(['bandwidth_limit', 'dscp_marking', 'minimum_bandwidth']),
  ),
  part(
    'qos-pps-minimum-rule-alias',
    'QoS minimum packet rate rule alias',
    'Minimum packet rates by their own paths.',
    '2021-10-22T10:00:00-00:00',
    aliasOf(['minimum_packet_rate']),
  ),
  part(
    'qos-rule-type-details',
    'Details of QoS rule types',
    'What each driver accepts in rules of a kind.',
    '2017-06-22T10:00:00-00:00',
  ),
  part(
    'qos-rule-type-filter',
    'Allow to filter the list of QoS rule types',
    'All kinds of rules there are, or all that some driver supports.',
    '2022-02-02T10:00:00-00:00',
  ),
  part(
    'qos-port-network-policy',
    'QoS port network policy ID',
    "The policy of a port's network, beside its own.",
    '2019-11-01T10:00:00-00:00',
  ),
  defineExtension({
    alias: 'qos-fip',
    name: 'Floating IP QoS',
    description: 'Policies of floating IPs.',
    updated: '2017-07-20T00:00:00-00:00',
    requires: ['qos', 'router'],
    on: { floatingip: floatingIpQos },
  }),
  part(
    'qos-fip-network-policy',
    'QoS floating IP network policy ID',
    "The policy of a floating IP's network, beside its own.",
    '2021-11-15T10:00:00-00:00',
  ),
  defineExtension({
    alias: 'qos-gateway-ip',
    name: 'Router gateway IP QoS',
    description: 'Policies of router gateways.',
    updated: '2018-02-24T00:00:00-00:00',
    requires: ['qos', 'router', 'ext-gw-mode'],
    on: { router: routerQos },
  }),
  part(
    'port-resource-request',
    'Port Resource Request',
    'What a scheduler must find for a port before it can be placed.',
    '2018-05-08T10:00:00-00:00',
  ),
  part(
    'port-resource-request-groups',
    'Port Resource Request Groups',
    'Resources and traits in groups that belong together.',
    '2021-08-02T10:00:00-00:00',
  ),
])
