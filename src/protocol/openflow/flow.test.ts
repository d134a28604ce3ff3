/** Text → bytes against bytes worked out by hand from OpenFlow 1.5, refusals, and framing. No switch needed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { instructionBytes } from './actions.ts'
import { createWriter } from './bytes.ts'
import { createMessageFramer } from './frames.ts'
import { matchKey, parseMatch } from './match.ts'
import { writeChange, writeMessage } from './messages.ts'
import { matchTexts } from './samples.testlib.ts'

const canonicalActions = (text: string): string => instructionBytes(text).toString('hex')
const hex = (parts: readonly string[]): string => parts.join('').replaceAll(' ', '')

test('a flow mod, byte by byte', () => {
  const out = createWriter()
  const flow = {
    table: 7,
    priority: 300,
    cookie: 0x0102030405060708n,
    match: 'reg3=1,tcp',
    actions: 'output:5,goto_table:9',
  }
  writeChange(out, 0x2a, { op: 'add', flow })
  const expected = hex([
    '06 0e 0068 0000002a', // OpenFlow 1.5, flow mod, 104 bytes, xid
    '0102030405060708 0000000000000000', // cookie, mask
    '07 00 0000 0000 012c', // table, add, timeouts, priority
    'ffffffff ffffffff ffffffff 0000 0000', // buffer, port, group, flags, importance
    '0001 0017 80000a02 0800 80001401 06 00010604 00000001 00', // OXM match: eth_type, ip_proto, reg3; padded to 24
    '0004 0018 00000000 0000 0010 00000005 0000 000000000000', // apply actions: output
    '0001 0008 09 000000', // goto table
  ])
  assert.equal(out.done().toString('hex'), expected)
})

test('actions, byte by byte', () => {
  const apply = (length: string, body: string): string => hex(['0004', length, '00000000', body])
  assert.equal(canonicalActions('drop'), '')
  assert.equal(canonicalActions(''), '')
  assert.equal(canonicalActions('resubmit(,3)'), apply('0018', 'ffff 0010 00002320 000e fff8 03 000000'))
  assert.equal(canonicalActions('load:5->NXM_NX_REG0[3..9]'), apply('0018', '0019 0010 00010108 00000028 000003f8'))
  assert.equal(canonicalActions('conjunction(5,1/2)'), apply('0018', 'ffff 0010 00002320 0022 00 02 00000005'))
  const ct =
    'ct(commit,force,zone=NXM_NX_REG1[0..15],table=7,nat(src=10.0.0.1-10.0.0.9:5-9,random),exec(set_field:1->ct_mark))'
  const nat = 'ffff 0020 00002320 0024 0000 0011 0033 0a000001 0a000009 0005 0009 00000000'
  const exec = '0019 0010 0001d604 00000001 00000000'
  assert.equal(
    canonicalActions(ct),
    apply('0050', `ffff 0048 00002320 0023 0003 00010204 000f 07 000000 0000 ${nat} ${exec}`),
  )
})

test('one match, many ways to write it', () => {
  const same = (...texts: string[]): void => {
    const [first, ...rest] = texts.map((text) => matchKey(parseMatch(text)))
    for (const key of rest) assert.equal(key, first, texts.join(' | '))
  }
  same('tcp,tp_dst=80', 'dl_type=0x800,nw_proto=6,tcp_dst=80', 'tp_dst=0x50/0xffff,tcp', 'ip,nw_proto=6,tcp_dst=80')
  same('ip,nw_src=10.1.2.3/8', 'ip,nw_src=10.0.0.0/255.0.0.0', 'nw_src=10.0.0.0/8,ip')
  same('', 'reg1=0/0', 'reg3=7/0x0')
  same('xreg1=0x100000002', 'reg2=1,reg3=2')
  same('ct_state=+trk-new', 'ct_state=0x20/0x21')
  same('in_port=LOCAL', 'in_port=65534', 'in_port=0xfffffffe')
  same('arp,nw_dst=10.0.0.1', 'arp,arp_tpa=10.0.0.1')
  same('dl_vlan=5', 'vlan_vid=0x1005', 'vlan_tci=0x1005/0x1fff')
  same('dl_vlan_pcp=3,dl_vlan=5', 'dl_vlan=5,dl_vlan_pcp=3', 'vlan_tci=0x7005')
  same('icmp6,icmp_type=135', 'icmp6,icmpv6_type=135', 'icmp6,tp_src=135')
})

test('what is not understood is refused by name', () => {
  const refusedMatch: [text: string, token: RegExp][] = [
    ['reg16=1', /reg16=1: unknown field/],
    ['tcp,bogus', /bogus: needs a value/],
    ['tp_dst=80', /tp_dst=80: needs tcp/],
    ['nw_src=10.0.0.1', /ipv4_src needs ip/],
    ['ip,nw_src=fd00::1', /not an address for ipv4_src/],
    ['reg1=0x1ffffffff', /reg1 has 32 bits/],
    ['ct_state=+trkk', /unknown flag \+trkk/],
    ['ct_zone=1/3', /ct_zone takes no mask/],
    ['reg1=1,reg1=2', /reg1 given twice/],
    ['tcp,udp', /given twice/],
    ['tcp,nw_frag=later,tp_dst=1', /not in later fragments/],
  ]
  for (const [text, token] of refusedMatch) assert.throws(() => parseMatch(text), token, text)
  const refusedActions: [text: string, token: RegExp][] = [
    ['output:1,frobnicate', /"frobnicate": unknown action/],
    ['goto_table:3,output:1', /goto_table must come last/],
    ['load:8->reg1[0..2]', /does not fit into 3 bits/],
    ['move:reg1[]->eth_src[]', /one width/],
    ['ct(table=3,bogus=1)', /ct does not know bogus=1/],
    ['ct(commit', /brackets do not match/],
    ['conjunction(1,3/2)', /1 <= k <= n/],
    ['output:reg1[0..40]', /bits 0\.\.31/],
    ['drop,output:1', /drop stands alone/],
    ['set_field:1->nowhere', /unknown field: nowhere/],
  ]
  for (const [text, token] of refusedActions) assert.throws(() => canonicalActions(text), token, text)
})

test('the order of tokens does not matter', () => {
  fc.assert(
    fc.property(matchTexts, (text) => {
      const tokens = text.split(',')
      assert.equal(matchKey(parseMatch(tokens.toReversed().join(','))), matchKey(parseMatch(text)))
    }),
  )
})

test('a writer that grows anywhere writes what a large one writes', () => {
  const fill = (size: number): string => {
    const out = createWriter(size)
    out.u8(1).u16(2).u32(3).u64(4n).uint(5n, 16).uint(6n, 3).zeros(5).bytes(Buffer.from('abc')).pad8()
    return out.done().toString('hex')
  }
  for (let size = 1; size < 64; size++) assert.equal(fill(size), fill(4096))
})

test('any cut of the stream gives the same messages', () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 })
  fc.assert(
    fc.property(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (messages, sizes) => {
      const out = createWriter()
      messages.forEach((body, i) => writeMessage(out, 2, i, () => out.bytes(body)))
      const bytes = out.done()
      const frame = createMessageFramer()
      const got: string[] = []
      for (let at = 0; at < bytes.length; ) {
        const size = sizes.next().value ?? 1
        got.push(...frame(bytes.subarray(at, at + size)).map((message) => message.toString('hex', 8)))
        at += size
      }
      assert.deepEqual(
        got,
        messages.map((body) => Buffer.from(body).toString('hex')),
      )
    }),
  )
  assert.throws(() => createMessageFramer()(Buffer.from('0600000700000000', 'hex')), /7 bytes/)
})
