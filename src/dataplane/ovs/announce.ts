/**
 * What is said for a port that has just come here: physical switches learn by it where its MAC is now, and its
 * neighbours there which MAC its addresses have. Hosts of ours need none of it: the feed tells them. Pure.
 */
import { parseIp } from '#kernel/ip.ts'
import type { PortObject } from '#wire/objects.ts'
import { gateOf } from './compile/port.ts'
import { jump, REG, set, TABLE } from './pipeline.ts'
import type { View } from './view.ts'

/** A frame, and the actions that send it. */
export interface Announcement {
  readonly actions: string
  readonly frame: Buffer
}

/** Nothing for ports that are not open here, or whose segment leaves this host by tunnels. */
export function announcementsOf(id: string, view: View): readonly Announcement[] {
  const port = view.object('port', id)
  const gate = port?.active ? gateOf(port, view) : null
  if (!port || !gate?.open || gate.domain.carrier?.kind !== 'provider') return []
  const actions = [set(REG.domain, gate.domain.key), jump(TABLE.encapsulate)].join(',')
  return framesOf(port).map((frame) => ({ actions, frame }))
}

/** RARP (RFC 903) for the MAC, ARP (RFC 5227 §3) and neighbour advertisements (RFC 4861 §7.2.6) for the addresses. */
export function framesOf({ mac_address, fixed_ips }: PortObject): readonly Buffer[] {
  const mac = Buffer.from(mac_address.replaceAll(':', ''), 'hex')
  const addresses = fixed_ips.flatMap(({ ip_address }) => parseIp(ip_address) ?? [])
  return [
    rarp(mac),
    ...addresses.map(({ version, value }) =>
      version === 4 ? garp(mac, bytesOf(value, 4)) : advertisement(mac, bytesOf(value, 16)),
    ),
  ]
}

const BROADCAST = Buffer.alloc(6, 0xff)
const NOBODY = Buffer.alloc(6)
const NOWHERE = Buffer.alloc(4)

const bytesOf = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')

const word = (value: number): Buffer => Buffer.from([value >> 8, value & 255])

/** Padded to the least an Ethernet frame has, its check sequence left out. */
export const ethernet = (to: Buffer, from: Buffer, type: number, ...body: Buffer[]): Buffer => {
  const frame = Buffer.concat([to, from, word(type), ...body])
  return frame.length < 60 ? Buffer.concat([frame, Buffer.alloc(60 - frame.length)]) : frame
}

/** Hardware type Ethernet, protocol IPv4, lengths 6 and 4. */
const RESOLUTION = Buffer.from([0, 1, 8, 0, 6, 4])

const rarp = (mac: Buffer): Buffer => ethernet(BROADCAST, mac, 0x8035, RESOLUTION, word(3), mac, NOWHERE, mac, NOWHERE)

const garp = (mac: Buffer, ip: Buffer): Buffer =>
  ethernet(BROADCAST, mac, 0x0806, RESOLUTION, word(1), mac, ip, NOBODY, ip)

const ALL_NODES = bytesOf(0xff02_0000_0000_0000_0000_0000_0000_0001n, 16)
const ICMPV6 = 58
/** It is the newest word on the address; nobody asked. */
const OVERRIDE = 0x20

function advertisement(mac: Buffer, ip: Buffer): Buffer {
  const message = Buffer.concat([Buffer.from([136, 0, 0, 0, OVERRIDE, 0, 0, 0]), ip, Buffer.from([2, 1]), mac])
  const pseudo = Buffer.concat([ip, ALL_NODES, word(0), word(message.length), Buffer.from([0, 0, 0, ICMPV6])])
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2)
  const header = Buffer.concat([Buffer.from([0x60, 0, 0, 0]), word(message.length), Buffer.from([ICMPV6, 255])])
  return ethernet(Buffer.from('333300000001', 'hex'), mac, 0x86dd, header, ip, ALL_NODES, message)
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
export function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
