/** Options of ports: how they are written, which are left out, and that no value is more than a value. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DhcpOptionObject, PortObject } from '#wire/objects.ts'
import { type Asked, askedBy, MAC_TAGS, optionLine, sayLeftOut } from './dhcp-options.ts'

type Given = readonly [name: string, value: string, version?: 4 | 6]
const optionOf = ([opt_name, opt_value, ip_version = 4]: Given): DhcpOptionObject => ({
  opt_name,
  opt_value,
  ip_version,
})
const MINE = 'fa:16:3e:00:00:01'
const OTHER = 'fa:16:3e:00:00:02'
const ask = (...options: DhcpOptionObject[]): Asked =>
  askedBy({ id: 'p-1', mac_address: MINE, extra_dhcp_opts: options } as unknown as PortObject, new Set([MINE, OTHER]))
const bodies = (...given: Given[]): string[] => ask(...given.map(optionOf)).options.map(({ body }) => body)
const whyNot = (...given: Given): string | undefined => ask(optionOf(given)).leftOut[0]?.why

test('the tags of a port are those of its MAC, and every MAC has them', () => {
  const [option] = ask(optionOf(['67', 'x'])).options
  assert.ok(option)
  assert.equal(optionLine(option), 'tag:m0fa,tag:m116,tag:m23e,tag:m300,tag:m400,tag:m501,67,x')
  assert.equal(MAC_TAGS.length, 6 * 256)
  assert.ok(MAC_TAGS.includes('dhcp-mac=set:m23e,*:*:3e:*:*:*'))
})

test('names, numbers, IPv6, tags of boot clients, empty values', () => {
  assert.deepEqual(bodies(['tftp-server', '10.0.0.1'], ['67', 'a.0'], ['server-ip-address', '10.0.0.1']), [
    'option:tftp-server,10.0.0.1',
    '67,a.0',
    'option:server-ip-address,10.0.0.1',
  ])
  assert.deepEqual(bodies(['dns-server', 'fd00::1', 6], ['59', 'tftp://[fd00::1]/a', 6]), [
    'option6:dns-server,fd00::1',
    'option6:59,tftp://[fd00::1]/a',
  ])
  assert.deepEqual(bodies(['tag:ipxe,67', 'http://x/a'], ['tag:!ipxe6,bootfile-url', 'x', 6]), [
    'tag:ipxe,67,http://x/a',
    'tag:!ipxe6,option6:bootfile-url,x',
  ])
  assert.deepEqual(bodies(['router', ''], ['classless-static-route', '  ']), [
    'option:router',
    'option:classless-static-route',
  ])
  assert.deepEqual(bodies(['ntp-server', '10.0.0.1,10.0.0.2']), ['option:ntp-server,10.0.0.1,10.0.0.2'])
})

test("a client identifier stands in the host's line, unless it would take another port's requests", () => {
  assert.deepEqual(ask(optionOf(['client-id', '01:02:03'])).clientIds, { 4: '01:02:03' })
  assert.deepEqual(ask(optionOf(['61', 'a,b c'])).clientIds, { 4: 'a","b" "c' })
  assert.deepEqual(bodies(['61', '7', 6]), ['option6:61,7'])
  for (const id of [OTHER, `01:${OTHER}`, `01:${OTHER.toUpperCase()}`])
    assert.equal(whyNot('client-id', id), "it is another port's")
  assert.deepEqual(ask(optionOf(['client-id', `01:${MINE}`])).clientIds, { 4: `01:${MINE}` })
  assert.match(whyNot('client-id', '') ?? '', /1 to 255 bytes/)
})

test('what is no option is left out, and said in one sentence', () => {
  for (const name of ['', 'a b', 'router,dhcp-script', 'tag:x,67', 'option:router', 'x\ny', '-x', '"', 'encap:175'])
    assert.match(whyNot(name, 'x') ?? '', /neither the name nor the number/, name)
  assert.match(whyNot('0', 'x') ?? '', /no option of that number/)
  assert.match(whyNot('256', 'x') ?? '', /no option of that number/)
  assert.equal(whyNot('256', 'x', 6), undefined)
  assert.match(whyNot('67', 'a\nb') ?? '', /control characters/)
  assert.match(whyNot('67', '€'.repeat(400)) ?? '', /too long/)
  const { options, leftOut } = ask(
    ...(
      [
        ['a b', '1'],
        ['67', 'x'],
        ['0', '2'],
      ] as const
    ).map(optionOf),
  )
  assert.equal(options.length, 1)
  assert.equal(
    sayLeftOut(leftOut),
    "DHCP option 'a b' is left out: it is neither the name nor the number of an option; 1 more are left out",
  )
  assert.equal(sayLeftOut([]), null)
})

/** As dnsmasq reads a line: quotes hide what they hold, white space before `#` begins a comment. Hidden: U+E000 on. */
function read(line: string): string {
  let out = ''
  let white = true
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? ''
    if (char === '"') {
      for (at++; line[at] !== '"'; at++) {
        assert.ok(at < line.length, 'a quote that does not end')
        if (line[at] === '\\' && '"tnebr\\'.includes(line[at + 1] ?? '')) at++
        out += String.fromCharCode(0xe000 + line.charCodeAt(at))
      }
      white = false
    } else if (white && char === '#') return out
    else {
      white = /\s/.test(char)
      out += white ? ' ' : char
    }
  }
  return out
}
const shown = (text: string): string =>
  text.replaceAll(/[\ue000-\ue0ff]/g, (char) => String.fromCharCode(char.charCodeAt(0) - 0xe000))

test('whatever a tenant writes is one line of one option, and reads as written', () => {
  const nasty = fc.oneof(fc.constantFrom(...'"\\#, :=\n\t\r\u0000'), fc.constantFrom('tag:', 'option:', 'a', 'n', '€'))
  const text = fc.array(nasty, { maxLength: 30 }).map((parts) => parts.join(''))
  const name = fc.oneof(text, fc.constantFrom('67', 'router', 'client-id', 'tag:ipxe,67'))
  fc.assert(
    fc.property(name, text, fc.constantFrom(4 as const, 6 as const), (opt_name, opt_value, ip_version) => {
      const { options, leftOut, clientIds } = ask({ opt_name, opt_value, ip_version })
      const id = clientIds[ip_version]
      assert.equal(options.length + leftOut.length + Object.keys(clientIds).length, 1)
      if (id !== undefined) {
        const [marked, rest] = read(`mac,id:${id},host`).split('id:')
        assert.deepEqual([marked, rest?.split(',').length], ['mac,', 2], 'no comma of its own')
        assert.equal(shown(rest ?? ''), `${opt_value},host`)
      }
      for (const { body } of options) {
        assert.ok(!body.includes('\n') && Buffer.byteLength(body) <= 900)
        const words = read(body).split(',')
        if (/^tag:!?ipxe6?$/.test(words[0] ?? '')) words.shift()
        assert.match(words[0] ?? '', /^(option6?:)?[\w+-]+$/)
        if (opt_value.trim() !== '') assert.equal(shown(words.slice(1).join(',')), opt_value)
      }
    }),
    { numRuns: 500 },
  )
})
