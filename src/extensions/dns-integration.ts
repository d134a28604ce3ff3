/** `dns_name`: the host name of a port, which its DHCP server hands out, and the names that follow from it. */
import { defineExtension, list, Reject, text } from '#model/define.ts'

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

const parseHostName = (value: unknown): string => {
  if (typeof value !== 'string') throw new Reject(`'${String(value)}' is not a valid string`)
  const name = value.toLowerCase()
  if (name.length > 255) throw new Reject(`'${name}' exceeds the 255 character FQDN limit`)
  const labels = name.replace(/\.$/, '').split('.')
  if (name !== '' && !labels.every((label) => LABEL.test(label))) {
    throw new Reject(
      `'${name}' not a valid PQDN or FQDN. Reason: each label has 1 to 63 letters, digits and inner hyphens`,
    )
  }
  return name
}

/** The domain of every port's names, as its DHCP server says it. */
const DOMAIN = 'openstacklocal.'

interface Assignment {
  readonly ip_address: string
  readonly hostname: string
  readonly fqdn: string
}

/** One name per address: the port's own, else one made from the address (`host-10-0-0-5`). */
export function assign(name: string, addresses: readonly string[]): Assignment[] {
  return addresses.map((ip_address) => {
    const hostname = name || `host-${ip_address.replaceAll(/[.:]/g, '-')}`
    return { ip_address, hostname, fqdn: hostname.endsWith('.') ? hostname : `${hostname}.${DOMAIN}` }
  })
}

export const dnsIntegration = defineExtension({
  alias: 'dns-integration-names',
  name: 'Port host names',
  description: 'The host name of a port, handed out by DHCP.',
  updated: '2026-11-22T00:00:00-00:00',
  on: {
    port: {
      attributes: {
        dns_name: { ...text({ set: 'always', default: '', filter: true }), parse: parseHostName },
        dns_assignment: list({ schema: { type: 'object' }, parse: (value) => value as Assignment }, { default: [] }),
      },
      async inTx(_, { after }) {
        if (!after) return undefined
        const fixed = after['fixed_ips'] as readonly { ip_address: string }[]
        return {
          dns_assignment: assign(
            String(after['dns_name']),
            fixed.map((one) => one.ip_address),
          ),
        }
      },
    },
  },
})
