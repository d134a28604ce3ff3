/** Identifiers: UUIDs as the API writes them, and MAC addresses. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'

export const newId = (): string => randomUUID()

/** The UUID (version 5, RFC 9562) that a name always has in a namespace, which is a UUID itself. */
export const namedId = (namespace: string, name: string): string => {
  const bytes = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

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
