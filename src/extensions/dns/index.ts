/** Names of ports and networks. They are stored and shown; DHCP hands them out; an external DNS is not told of them. */
import { ApiError } from '#kernel/errors.ts'
import { defineExtension, type Extension, flag, list, text } from '#model/define.ts'
import { assign, type Assignment, domainIssue, parseDomain, parseHostName } from './names.ts'

const domain = { ...text({ set: 'always', default: '' }), parse: parseDomain }

const dnsIntegration = defineExtension({
  alias: 'dns-integration',
  name: 'DNS Integration',
  description: 'Names of ports, and the domain of a network.',
  updated: '2015-08-15T18:00:00-00:00',
  // Addresses first, names after them.
  requires: ['ip_allocation'],
  on: {
    network: { attributes: { dns_domain: domain } },
    port: {
      attributes: {
        dns_name: { ...text({ set: 'always', default: '' }), parse: parseHostName },
        dns_assignment: list({ schema: { type: 'object' }, parse: (value) => value as Assignment }, { default: [] }),
      },
      check: ({ after, given }, { dnsDomain }) => {
        const issue = after && given.has('dns_name') ? domainIssue(String(after['dns_name']), dnsDomain) : null
        const reason = `Invalid input for dns_name. Reason: ${issue}.`
        return issue === null ? [] : [new ApiError('HTTPBadRequest', { reason })]
      },
      async inTx({ limits }, { after }) {
        if (!after) return undefined
        const addresses = (after['fixed_ips'] as readonly { ip_address: string }[]).map((one) => one.ip_address)
        return { dns_assignment: assign(String(after['dns_name']), addresses, limits.dnsDomain) }
      },
    },
  },
})

export const dns: readonly Extension[] = Object.freeze([
  dnsIntegration,
  defineExtension({
    alias: 'dns-domain-ports',
    name: 'dns_domain for ports',
    description: 'A domain of a port, in place of its network’s.',
    updated: '2017-04-24T10:00:00-00:00',
    requires: ['dns-integration'],
    on: { port: { attributes: { dns_domain: domain } } },
  }),
  defineExtension({
    alias: 'subnet-dns-publish-fixed-ip',
    name: 'Subnet DNS publish fixed IP',
    description: 'Whether addresses of a subnet may be published.',
    updated: '2019-05-24T10:00:00-00:00',
    requires: ['dns-integration', 'dns-domain-ports'],
    on: { subnet: { attributes: { dns_publish_fixed_ip: flag({ set: 'always', default: false }) } } },
  }),
])
