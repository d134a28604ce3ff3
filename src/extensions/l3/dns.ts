/** Names that floating IPs are published under. */
import { parsePrefix } from '#kernel/ip.ts'
import { type Attribute, parseText, Reject, text } from '#model/define.ts'

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/

const labelsOf = (name: string): readonly string[] => name.replace(/\.$/, '').split('.')

const refuse = (name: string, why: string): never => {
  throw new Reject(`'${name}' not a valid PQDN or FQDN. Reason: ${why}`)
}

const parseName = (value: unknown): string => {
  const name = parseText(255)(value).toLowerCase()
  if (name !== '' && !labelsOf(name).every((label) => LABEL.test(label)))
    refuse(name, 'each label has 1 to 63 letters, digits and inner hyphens')
  return name
}

const parseDomain = (value: unknown): string => {
  const name = parseName(value)
  if (name !== '' && !name.endsWith('.')) throw new Reject(`'${name}' is not a FQDN`)
  if (parsePrefix(name.slice(0, -1))) refuse(name, 'it is an address')
  return name
}

/** A host name below the domain, or a whole name that ends with a dot. */
export const dnsName: Attribute<string> = { ...text({ set: 'create', default: '' }), parse: parseName }

/** A whole name that ends with a dot. */
export const dnsDomain: Attribute<string> = { ...text({ set: 'create', default: '' }), parse: parseDomain }
