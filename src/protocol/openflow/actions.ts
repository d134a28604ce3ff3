/**
 * Actions: text in the syntax of ovs-actions(7) → bytes of OpenFlow 1.5 (§7.2.6) and Nicira's extensions.
 *
 * Understood: output:N, output:field[a..b], in_port, local, all, flood, normal, controller, drop, resubmit, goto_table,
 * load, move, set_field, mod_dl_src/dst, ct, ct_clear, conjunction, group, meter, push_vlan, pop_vlan/strip_vlan,
 * dec_ttl, set_queue, clone, write_metadata. Anything else throws with the token named.
 */
import { createWriter, type Writer } from './bytes.ts'
import { writeCt } from './ct.ts'
import { type Field, fieldNamed, tlvHeader } from './fields.ts'
import { parseSubfield, type Subfield, splitArguments, type Token, tokenize } from './tokens.ts'
import { parseMasked, parseNumber, parsePort, parseValue, reservedPorts } from './values.ts'
import { parseMatch } from './match.ts'
import { memo } from './memo.ts'

const NICIRA = 0x00002320
const INSTRUCTION = { goto: 1, metadata: 2, apply: 4 } as const

/** Names that mean different fields after different matches. */
const MATCH_DEPENDENT = /\b(nw|tp|icmp)_/

/**
 * Bytes of the instructions that `text` means. `match` decides what `set_field:…->nw_src` and the like are about.
 * Throws with the token named.
 */
export const instructionBytes = (text: string, match = ''): Buffer =>
  remembered(MATCH_DEPENDENT.test(text) ? `${text}\n${match}` : text)

const remembered = memo(8192, (key) => {
  const [text = '', match = ''] = key.split('\n')
  const out = createWriter()
  writeInstructions(out, text, match)
  return Buffer.from(out.done())
})

function writeInstructions(out: Writer, text: string, match: string): void {
  const tokens = tokenize(text)
  const jumps = tokens.filter(({ name }) => name === 'goto_table')
  const metadata = tokens.filter(({ name }) => name === 'write_metadata')
  const rest = tokens.filter(({ name }) => name !== 'goto_table' && name !== 'write_metadata' && name !== 'drop')
  if (jumps.length > 1 || (jumps[0] && tokens.at(-1) !== jumps[0]))
    throw new Error(`goto_table must come last: ${text}`)
  if (tokens.length > 1 && tokens.some(({ name }) => name === 'drop')) throw new Error(`drop stands alone: ${text}`)
  if (rest.length > 0) {
    const start = out.length
    out.u16(INSTRUCTION.apply).u16(0).zeros(4)
    for (const token of rest) writeAction(out, token, match)
    out.setU16(start + 2, out.length - start)
  }
  for (const token of metadata) {
    const { value, mask } = named(token, () => parseMasked(fieldNamed('metadata'), token.value))
    out.u16(INSTRUCTION.metadata).u16(24).zeros(4).u64(value).u64(mask)
  }
  for (const token of jumps) out.u16(INSTRUCTION.goto).u16(8).u8(tableNumber(token)).zeros(3)
}

/** Bytes of a bare list of actions, as buckets carry them. */
export function writeActions(out: Writer, text: string): void {
  for (const token of tokenize(text)) if (token.name !== 'drop') writeAction(out, token, '')
}

const named = <T>(token: Token, parse: () => T): T => {
  try {
    return parse()
  } catch (error) {
    throw new Error(`action "${token.text}": ${(error as Error).message}`)
  }
}

const tableNumber = (token: Token): number => {
  const table = named(token, () => parseNumber(token.value))
  if (table > 254n) throw new Error(`action "${token.text}": not a table`)
  return Number(table)
}

function writeAction(out: Writer, token: Token, match: string): void {
  named(token, () => {
    const write = writers[token.name]
    if (!write) throw new Error('unknown action')
    write(out, token.value, match)
  })
}

type Write = (out: Writer, value: string, match: string) => void

/** An action of the standard: type, length, four bytes of body. */
const short =
  (type: number, body: (value: string) => number): Write =>
  (out, value) =>
    void out.u16(type).u16(8).u32(body(value))

const none = (value: string): number => {
  if (value !== '') throw new Error('takes no argument')
  return 0
}
const number = (value: string): number => Number(parseNumber(value))

const port =
  (name: string): Write =>
  (out, value) => {
    none(value)
    writeOutput(out, reservedPorts[name] ?? 0)
  }

function writeOutput(out: Writer, to: number, maxLength = 0): void {
  out.u16(0).u16(16).u32(to).u16(maxLength).zeros(6)
}

/** Starts a Nicira action; the returned function closes it: padding and length. */
export function nicira(out: Writer, subtype: number): () => void {
  const start = out.length
  out.u16(0xffff).u16(0).u32(NICIRA).u16(subtype)
  return () => {
    out.pad8(start)
    out.setU16(start + 2, out.length - start)
  }
}

const writers: Readonly<Record<string, Write>> = {
  output: (out, value) => {
    if (!value.includes('[')) return writeOutput(out, parsePort(value))
    const { field, first, count } = parseSubfield(value)
    const close = nicira(out, 15)
    out
      .u16((first << 6) | (count - 1))
      .u32(tlvHeader(field, false))
      .u16(0xffff)
    close()
  },
  in_port: port('in_port'),
  IN_PORT: port('in_port'),
  local: port('local'),
  LOCAL: port('local'),
  all: port('all'),
  flood: port('flood'),
  normal: port('normal'),
  NORMAL: port('normal'),
  controller: (out, value) => writeOutput(out, reservedPorts['controller'] ?? 0, value === '' ? 0xffff : number(value)),
  group: short(22, number),
  meter: short(29, number),
  set_queue: short(21, number),
  dec_ttl: short(24, none),
  pop_vlan: short(18, none),
  strip_vlan: short(18, none),
  push_vlan: short(17, (value) => (number(value) << 16) >>> 0),
  resubmit: writeResubmit,
  load: (out, value) => {
    const [text, to] = arrow(value)
    writeSet(out, parseSubfield(to), text)
  },
  set_field: (out, value, match) => {
    const [text, to] = arrow(value)
    writeSetField(out, fieldFor(to, match), text)
  },
  mod_dl_src: (out, value) => writeSetField(out, fieldNamed('eth_src'), value),
  mod_dl_dst: (out, value) => writeSetField(out, fieldNamed('eth_dst'), value),
  move: (out, value) => {
    const [from, to] = arrow(value).map(parseSubfield)
    if (!from || !to || from.count !== to.count) throw new Error('moves between ranges of one width')
    const start = out.length
    out.u16(28).u16(24).u16(from.count).u16(from.first).u16(to.first).zeros(2)
    out.u32(tlvHeader(from.field, false)).u32(tlvHeader(to.field, false)).pad8(start)
  },
  ct: (out, value) => writeCt(out, value, (inner) => writeActions(out, inner)),
  ct_clear: (out, value) => {
    none(value)
    nicira(out, 43)()
  },
  conjunction: (out, value) => {
    const [id = '', clause = ''] = splitArguments(value)
    const [k = 0, n = 0] = clause.split('/').map(number)
    if (!(k >= 1 && k <= n && n >= 2 && n <= 64))
      throw new Error('wants conjunction(id,k/n) with 1 <= k <= n, 2 <= n <= 64')
    const close = nicira(out, 34)
    out
      .u8(k - 1)
      .u8(n)
      .u32(number(id))
    close()
  },
  clone: (out, value) => {
    const close = nicira(out, 42)
    out.zeros(6)
    writeActions(out, value)
    close()
  },
}

/** `resubmit(,T)`, `resubmit(port,T)`, `resubmit:port`. */
function writeResubmit(out: Writer, value: string): void {
  const [inPort = '', table] = splitArguments(value)
  const close = nicira(out, 14)
  out
    .u16(inPort === '' ? 0xfff8 : parsePort(inPort) & 0xffff)
    .u8(table === undefined ? 0xff : number(table))
    .zeros(3)
  close()
}

function arrow(value: string): [from: string, to: string] {
  const at = value.indexOf('->')
  if (at < 0) throw new Error('wants …->field')
  return [value.slice(0, at).trim(), value.slice(at + 2).trim()]
}

/** nw_src, tp_dst and icmp_type mean what the flow's match makes of them. */
function fieldFor(name: string, match: string): Field {
  if (!/^(nw_(src|dst|proto)|tp_(src|dst)|icmp_(type|code))$/.test(name))
    return fieldNamed(name === 'in_port' ? 'nxm_in_port' : name)
  const fields = [...parseMatch(match)]
  const value = (wanted: string): bigint | undefined => fields.find(([field]) => field.name === wanted)?.[1].value
  if (name === 'nw_proto') return fieldNamed(value('eth_type') === 0x0806n ? 'arp_op' : 'ip_proto')
  if (name.startsWith('nw_') && value('eth_type') === 0x0806n)
    return fieldNamed(name === 'nw_src' ? 'arp_spa' : 'arp_tpa')
  if (name.startsWith('icmp_')) return fieldNamed(value('ip_proto') === 58n ? name.replace('icmp', 'icmpv6') : name)
  if (!name.startsWith('tp_')) return fieldNamed(name)
  const proto = { '6': 'tcp', '17': 'udp', '132': 'sctp' }[String(value('ip_proto'))]
  if (!proto) throw new Error(`${name} needs tcp, udp or sctp in the match`)
  return fieldNamed(`${proto}${name.slice(2)}`)
}

function writeSetField(out: Writer, field: Field, text: string): void {
  const { value, mask } = field.maskable
    ? parseMasked(field, text)
    : { value: parseValue(field, text), mask: field.full }
  if (value > field.full) throw new Error(`${field.name} has ${field.bits} bits`)
  writeSetTlv(out, field, value, mask)
}

/** `load` into some bits; all of them is a plain set. */
function writeSet(out: Writer, { field, first, count }: Subfield, text: string): void {
  const value = parseNumber(text)
  if (value >> BigInt(count) !== 0n) throw new Error(`does not fit into ${count} bits`)
  const mask = ((1n << BigInt(count)) - 1n) << BigInt(first)
  writeSetTlv(out, field, value << BigInt(first), mask)
}

function writeSetTlv(out: Writer, field: Field, value: bigint, mask: bigint): void {
  const start = out.length
  const masked = mask !== field.full
  out.u16(25).u16(0).u32(tlvHeader(field, masked)).uint(value, field.bytes)
  if (masked) out.uint(mask, field.bytes)
  out.pad8(start)
  out.setU16(start + 2, out.length - start)
}
