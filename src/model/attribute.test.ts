/** Kinds of attributes: what they accept, in which canonical form, and what they say of the rest. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  address,
  type Attribute,
  cidr,
  dictionary,
  flag,
  list,
  mac,
  oneOf,
  optional,
  parseUuid,
  Reject,
  structure,
  text,
  uuid,
  whole,
} from './attribute.ts'

const item = { schema: { type: 'string', format: 'uuid' }, parse: parseUuid }
const point = structure<{ x: string; y?: string }>({ x: { ...text(), required: true }, y: text() })
const kinds: Readonly<Record<string, Attribute<never> | Attribute<any>>> = {
  text: text(),
  short: text({ max: 3 }),
  oneOf: oneOf(['a', 'b']),
  flag: flag(),
  whole: whole({ min: -5, max: 5 }),
  version: whole({ of: [4, 6] }),
  uuid: uuid(),
  address: address(),
  cidr: cidr(),
  mac: mac(),
  list: list(item, { unique: true, max: 3 }),
  structure: point,
  dictionary: dictionary({ max: 50 }),
  optional: optional(uuid()),
}

const refusal = (kind: Attribute<any>, value: unknown): string => {
  try {
    kind.parse(value)
  } catch (error) {
    if (error instanceof Reject) return error.message
    throw error
  }
  return assert.fail(`${JSON.stringify(value)} was accepted`)
}

describe('every kind', () => {
  for (const [name, kind] of Object.entries(kinds) as [string, Attribute<unknown>][]) {
    test(`${name}: refuses with a sentence or answers a value it accepts unchanged`, () => {
      fc.assert(
        fc.property(
          fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.integer(), fc.ipV4(), fc.ipV6(), fc.uuid()),
          (value) => {
            let parsed: unknown
            try {
              parsed = kind.parse(value)
            } catch (error) {
              assert.ok(error instanceof Reject && error.message !== '', String(error))
              return
            }
            assert.deepEqual(kind.parse(parsed), parsed)
            assert.deepEqual(JSON.parse(JSON.stringify(parsed)), parsed)
          },
        ),
        { numRuns: 300 },
      )
    })
    test(`${name}: null only where it may be`, () => {
      if (kind.nullable) assert.equal(kind.parse(null), null)
      else if (name !== 'dictionary') refusal(kind, null)
    })
  }
})

describe('in Neutron’s words', () => {
  test('texts', () => {
    assert.equal(refusal(text({ max: 3 }), 'abcd'), "'abcd' exceeds maximum length of 3")
    assert.equal(text({ max: 3 }).parse('😀😀😀'), '😀😀😀')
    assert.equal(refusal(text(), 1), '1 is not a valid string')
    for (const bad of ['\u0000', '\ud800', 'a\udfff']) refusal(text(), bad)
  })
  test('choices, flags and numbers', () => {
    assert.equal(refusal(oneOf(['a', 'b']), 'c'), "'c' is not in ['a', 'b']")
    assert.equal(oneOf(['IPv4'], { ignoreCase: true }).parse('ipv4'), 'IPv4')
    for (const yes of [true, 1, 'true', 'True', '1']) assert.equal(flag().parse(yes), true)
    for (const no of [false, 0, 'false', 'False', '0']) assert.equal(flag().parse(no), false)
    assert.equal(refusal(flag(), 2), '2 cannot be converted to boolean')
    assert.equal(refusal(whole({ min: 0 }), -1), '-1 should be non-negative')
    assert.equal(refusal(whole({ max: 5 }), 6), "6 is too large - must be no larger than '5'")
    assert.equal(refusal(whole({ of: [4, 6] }), 5), "'5' is not in [4, 6]")
    assert.equal(whole().parse('-12'), -12)
  })
  test('addresses, prefixes and MACs become canonical', () => {
    assert.equal(address().parse('2001:DB8:0:0::1'), '2001:db8::1')
    assert.equal(cidr().parse('10.0.0.9/24'), '10.0.0.0/24')
    assert.equal(refusal(cidr(), '10.0.0.0'), "'10.0.0.0' is not a valid IP subnet")
    assert.equal(cidr({ bareAddress: true }).parse('10.0.0.1'), '10.0.0.1/32')
    assert.equal(mac().parse('FA-16-3E-00-00-0A'), 'fa:16:3e:00:00:0a')
    for (const bad of ['10.0.0.256', '1.2.3', '010.0.0.1', 'fe80::1%eth0', '']) refusal(address(), bad)
  })
  test('lists and structures', () => {
    const [a, b] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b']
    assert.deepEqual(list(item, { unique: true }).parse([a, b]), [a, b])
    assert.match(refusal(list(item, { unique: true }), [a, a.toUpperCase()]), /^Duplicate items in the list/)
    assert.match(refusal(list(item, { max: 1 }), [a, b]), /more than 1 items/)
    assert.match(refusal(point, { x: 'a', z: 1 }), /unexpected keys 'z'/)
    assert.match(refusal(point, { y: 'a' }), /'x' is missing/)
    refusal(dictionary({ max: 10 }), { a: 'x'.repeat(10) })
    refusal(dictionary(), { a: { b: ['\ud800'] } })
    refusal(dictionary(), { '\u0000': 1 })
  })
})

test('a default does not stand in for a value that was given', () => {
  assert.equal(optional(text()).default, null)
  assert.equal(optional(text(), {}).default, undefined)
  assert.equal(text({ default: 'x' }).default, 'x')
})
