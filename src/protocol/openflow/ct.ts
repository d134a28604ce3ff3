/** The `ct` and `nat` actions of ovs-actions(7): through the connection tracker, with translation. */
import { parseIp } from '#kernel/ip.ts'
import type { Writer } from './bytes.ts'
import { tlvHeader } from './fields.ts'
import { parseSubfield, splitArguments, tokenize } from './tokens.ts'
import { parseNumber } from './values.ts'

const NICIRA = 0x00002320
const COMMIT = 1
const FORCE = 2
const HELPERS: Readonly<Record<string, number>> = { ftp: 21, tftp: 69 }

interface Ct {
  flags: number
  zone: string
  table: number
  helper: number
  nat: string | null
  exec: string
}

/** `text`: `commit,force,zone=N|field[a..b],table=N,nat|nat(…),alg=ftp,exec(…)`. `writeExec` writes the inner actions. */
export function writeCt(out: Writer, text: string, writeExec: (actions: string) => void): void {
  const { flags, zone, table, helper, nat, exec } = parseCt(text)
  const start = out.length
  out.u16(0xffff).u16(0).u32(NICIRA).u16(35).u16(flags)
  if (/^(0x[0-9a-f]+|\d+)$/i.test(zone)) out.u32(0).u16(Number(zone))
  else {
    const { field, first, count } = parseSubfield(zone)
    if (count !== 16) throw new Error(`a zone has 16 bits: ${zone}`)
    out.u32(tlvHeader(field, false)).u16((first << 6) | (count - 1))
  }
  out.u8(table).zeros(3).u16(helper)
  if (nat !== null) writeNat(out, nat)
  writeExec(exec)
  out.setU16(start + 2, out.length - start)
}

function parseCt(text: string): Ct {
  const ct: Ct = { flags: 0, zone: '0', table: 0xff, helper: 0, nat: null, exec: '' }
  for (const part of splitArguments(text)) {
    const [, name = '', value] = /^(\w+)=(.*)$/.exec(part) ?? []
    if (part === 'commit') ct.flags |= COMMIT
    else if (part === 'force') ct.flags |= FORCE
    else if (name === 'zone' && value) ct.zone = value
    else if (name === 'table' && value) ct.table = Number(parseNumber(value))
    else if (name === 'alg' && HELPERS[value ?? '']) ct.helper = HELPERS[value ?? ''] ?? 0
    else {
      const token = name === '' ? tokenize(part)[0] : null
      if (token?.name === 'nat') ct.nat = token.value
      else if (token?.name === 'exec') ct.exec = token.value
      else throw new Error(`ct does not know ${part}`)
    }
  }
  if ((ct.flags & FORCE) !== 0 && (ct.flags & COMMIT) === 0) throw new Error('force needs commit')
  if (ct.exec !== '' && (ct.flags & COMMIT) === 0) throw new Error('exec needs commit')
  return ct
}

const NAT_FLAGS: Readonly<Record<string, number>> = { persistent: 4, hash: 8, random: 16 }

/** `text`: empty (translate as the connection is), or `src=range` or `dst=range` with `random`, `hash`, `persistent`. */
function writeNat(out: Writer, text: string): void {
  const start = out.length
  let flags = 0
  let range = { present: 0, write: (): void => undefined }
  for (const part of splitArguments(text)) {
    const [, side, addresses] = /^(src|dst)(?:=(.+))?$/.exec(part) ?? []
    if (side) flags |= side === 'src' ? 1 : 2
    else if (NAT_FLAGS[part] !== undefined) flags |= NAT_FLAGS[part]
    else throw new Error(`nat does not know ${part}`)
    if (addresses) range = natRange(out, addresses)
  }
  out.u16(0xffff).u16(0).u32(NICIRA).u16(36).zeros(2).u16(flags).u16(range.present)
  range.write()
  out.pad8(start)
  out.setU16(start + 2, out.length - start)
}

const BRACKETED = /^\[([0-9a-f:]+)\](?:-\[([0-9a-f:]+)\])?(?::([\d-]+))?$/i
const BARE6 = /^([0-9a-f]*:[0-9a-f:]*)(?:-([0-9a-f:]+))?$/i
const BARE4 = /^([\d.]+)(?:-([\d.]+))?(?::([\d-]+))?$/

/** `10.0.0.1`, `10.0.0.1-10.0.0.9`, each with `:port` or `:first-last`; IPv6 with ports: `[fd00::1]-[fd00::9]:80`. */
function natRange(out: Writer, text: string): { present: number; write: () => void } {
  const [, from = '', to, portText] = BRACKETED.exec(text) ?? BARE6.exec(text) ?? BARE4.exec(text) ?? []
  const ips = to === undefined ? [parseIp(from)] : [parseIp(from), parseIp(to)]
  const ports = portText === undefined ? [] : portText.split('-').map((one) => Number(parseNumber(one)))
  const [first] = ips
  if (!first || ips.some((ip) => ip?.version !== first.version)) throw new Error(`not a range: ${text}`)
  const [low, high] = first.version === 4 ? [1, 2] : [4, 8]
  const present = low | (ips.length > 1 ? high : 0) | (ports.length > 0 ? 16 : 0) | (ports.length > 1 ? 32 : 0)
  const write = (): void => {
    for (const ip of ips) if (ip) out.uint(ip.value, ip.version === 4 ? 4 : 16)
    for (const one of ports) out.u16(one)
  }
  return { present, write }
}
