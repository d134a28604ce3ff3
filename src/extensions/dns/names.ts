/** Names of the DNS (RFC 1035, RFC 1123): what they look like, and which follow from a port's addresses. Pure. */
import { parseText, Reject } from '#model/define.ts'

/** Of the whole name, its last dot apart. */
const MAX_LENGTH = 255
const LABEL = /^[a-z0-9_-]{1,63}$/
/** Neutron's domain when none is configured: names below it are nobody's to choose. */
const DEFAULT_DOMAIN = 'openstacklocal.'

const refuse = (name: string, reason: string): never => {
  throw new Reject(`'${name}' not a valid PQDN or FQDN. Reason: ${reason}`)
}

function requireName(name: string): void {
  const trimmed = name.replace(/\.$/, '')
  if (trimmed.length > MAX_LENGTH) refuse(name, `'${trimmed}' exceeds the ${MAX_LENGTH} character FQDN limit`)
  const labels = trimmed.split('.')
  for (const label of labels) {
    if (label === '') refuse(name, 'Encountered an empty component')
    if (/^-|-$/.test(label)) refuse(name, `Name '${label}' must not start or end with a hyphen`)
    if (!LABEL.test(label))
      refuse(name, `Name '${label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen`)
  }
  const last = labels.at(-1) ?? ''
  if (labels.length > 1 && /^\d+$/.test(last)) refuse(name, `TLD '${last}' must not be all numeric`)
}

const parseLower = (value: unknown): string => parseText(MAX_LENGTH + 1)(value).toLowerCase()

/** A host's name, relative to the domain or, with a dot at its end, whole. */
export function parseHostName(value: unknown): string {
  const name = parseLower(value)
  if (name !== '') requireName(name)
  return name
}

/** A whole name, with a dot at its end, and room for a host's before it. */
export function parseDomain(value: unknown): string {
  const name = parseLower(value)
  if (name === '') return name
  if (!name.endsWith('.')) throw new Reject(`'${name}' is not a FQDN`)
  requireName(name)
  if (name.length > MAX_LENGTH - 2)
    throw new Reject(
      `'${name}' contains ${name.length} characters. Adding a sub-domain will cause it to exceed the maximum length of a FQDN of '${MAX_LENGTH}'`,
    )
  return name
}

/** The configured domain as a whole name; empty: none. */
export const wholeDomain = (configured: string): string =>
  configured === '' || configured.endsWith('.') ? configured : `${configured}.`

/** Why the name cannot stand in the configured domain; null: it can. */
export function domainIssue(name: string, configured: string): string | null {
  const domain = wholeDomain(configured)
  if (name === '' || domain === '' || domain === DEFAULT_DOMAIN) return null
  if (!name.endsWith('.'))
    return name.length + domain.length + 1 > MAX_LENGTH
      ? `The dns_name passed is a PQDN and its size is '${name.length}'. The dns_domain option is set to ${domain}, with a length of '${domain.length}'. When the two are concatenated to form a FQDN (with a '.' at the end), the resulting length exceeds the maximum size of '${MAX_LENGTH}'`
      : null
  return name.endsWith(`.${domain}`)
    ? null
    : `The dns_name passed is a FQDN. Its higher level labels must be equal to the dns_domain option, that has been set to '${domain}'. It must also include one or more valid DNS labels to the left of '${domain}'`
}

export interface Assignment {
  readonly ip_address: string
  readonly hostname: string
  readonly fqdn: string
}

/** One name per address: the port's own, else one made from the address (`host-10-0-0-5`). */
export function assign(name: string, addresses: readonly string[], configured: string): Assignment[] {
  const domain = wholeDomain(configured)
  return addresses.map((ip_address) => {
    const hostname = name || `host-${ip_address.replaceAll(/[.:]/g, '-')}`
    const fqdn = hostname.endsWith('.') || domain === '' ? hostname : `${hostname}.${domain}`
    return { ip_address, hostname, fqdn }
  })
}
