/** Addresses in match text, and the senders a port may appear as. */
import {
  contains,
  formatIp,
  formatPrefix,
  linkLocal,
  networkOf,
  type Prefix,
  parseIp,
  parsePrefix,
} from '#kernel/ip.ts'
import type { PortObject } from '#wire/objects.ts'

/** A MAC address with an address or prefix that may be spoken for with it. */
export interface Sender {
  readonly mac: string
  readonly prefix: Prefix
}

/** What the port may send as: its fixed addresses, its allowed pairs, and the link-local address of each MAC. */
export function sendersOf(port: PortObject): readonly Sender[] {
  const fixed = port.fixed_ips.map(({ ip_address }) => ({ mac: port.mac_address, text: ip_address }))
  const pairs = port.allowed_address_pairs.map((pair) => ({ mac: pair.mac_address, text: pair.ip_address }))
  const senders = new Map<string, Sender>()
  for (const { mac, text } of [...fixed, ...pairs]) {
    const prefix = parsePrefix(text)
    if (prefix) add(senders, { mac, prefix: networkOf(prefix) })
  }
  for (const mac of macsOf(port)) add(senders, { mac, prefix: { ...linkLocal(mac), length: 128 } })
  return [...senders.values()]
}

const add = (senders: Map<string, Sender>, sender: Sender): void =>
  void senders.set(`${sender.mac} ${formatPrefix(sender.prefix)}`, sender)

/** The MAC addresses a port answers to, its own first. */
export const macsOf = (port: PortObject): readonly string[] => [
  ...new Set([port.mac_address, ...port.allowed_address_pairs.map((pair) => pair.mac_address)]),
]

/** `field=prefix`, or nothing when the prefix is everything. A host prefix is written as an address. */
export function prefixMatch(field: string, prefix: Prefix): readonly string[] {
  if (prefix.length === 0) return []
  const host = prefix.length === (prefix.version === 4 ? 32 : 128)
  return [`${field}=${host ? formatIp(prefix) : formatPrefix(networkOf(prefix))}`]
}

/** Whether the address or prefix `wide` holds the address `ip`. */
export function covers(wide: string, ip: string): boolean {
  const [prefix, address] = [parsePrefix(wide), parseIp(ip)]
  return prefix !== null && address !== null && contains(prefix, address)
}
