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

export const DEFAULT_DOMAIN = 'openstacklocal.'

export const dnsIntegration = defineExtension({
  alias: 'dns-integration-names',
  name: 'Port host names',
  description: 'The host name of a port, handed out by DHCP.',
  updated: '2026-11-22T00:00:00-00:00',
  on: {
    port: {
      attributes: {
        dns_name: { ...text({ set: 'always', default: '', filter: true }), parse: parseHostName },
        dns_assignment: list(
          { schema: { type: 'object' }, parse: (value) => value },
          {
            sql: `(select coalesce(jsonb_agg(jsonb_build_object('ip_address', f->>'ip_address',
              'hostname', coalesce(nullif(t.dns_name, ''), 'host-' || translate(f->>'ip_address', '.:', '--')),
              'fqdn', coalesce(nullif(t.dns_name, ''), 'host-' || translate(f->>'ip_address', '.:', '--')) || '.${DEFAULT_DOMAIN}')), '[]')
              from jsonb_array_elements(t.fixed_ips) f)`,
          },
        ),
      },
    },
  },
})
