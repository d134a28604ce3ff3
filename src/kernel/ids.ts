/** Identifiers: UUIDs as the API writes them, and MAC addresses. */
import { randomBytes, randomUUID } from 'node:crypto'

export const newId = (): string => randomUUID()

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
export const isUuid = (text: string): boolean => UUID.test(text)

const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i

/** The canonical form (lower case, colons), or null when `text` is not a unicast-or-multicast MAC address. */
export const normalizeMac = (text: string): string | null => {
  if (MAC.test(text)) return text.toLowerCase().replaceAll('-', ':')
  if (/^[0-9a-f]{12}$/i.test(text)) return (text.toLowerCase().match(/../g) ?? []).join(':')
  return null
}

/** A random MAC below `base`; the octets of `base` after the first three that are zero are drawn. */
export const newMac = (base = 'fa:16:3e:00:00:00'): string => {
  const octets = base.split(':')
  const fixed = octets[3] === '00' ? 3 : 4
  const drawn = [...randomBytes(6 - fixed)].map((byte) => byte.toString(16).padStart(2, '0'))
  return [...octets.slice(0, fixed), ...drawn].join(':')
}
