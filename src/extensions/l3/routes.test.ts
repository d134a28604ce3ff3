/** A router's routes: as sets, and which next hops are neighbours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ApiError } from '#kernel/errors.ts'
import { checkRoutes, minus, plus, type Route, routeList } from './routes.ts'

const route: fc.Arbitrary<Route> = fc.record({
  destination: fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '::/0'),
  nexthop: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1'),
})
const routes = fc.uniqueArray(route, { selector: (one) => JSON.stringify(one) })
const sorted = (all: readonly Route[]): string[] => all.map((one) => JSON.stringify(one)).sort()

test('plus and minus are union and difference, in the order of the routes that are there', () =>
  fc.assert(
    fc.property(routes, routes, (a, b) => {
      assert.deepEqual(
        sorted(plus(a, b)),
        sorted([...new Set([...sorted(a), ...sorted(b)])].map((one) => JSON.parse(one))),
      )
      assert.deepEqual(plus(a, b).slice(0, a.length), a)
      assert.deepEqual(sorted(minus(plus(a, b), b)), sorted(minus(a, b)))
      assert.deepEqual(plus(a, a), a)
      assert.deepEqual(minus(a, a), [])
    }),
  ))

test('a route is told apart by destination and next hop; its destination is a network', () => {
  const { parse } = routeList({})
  assert.deepEqual(parse(null), [])
  const given = [{ destination: '10.0.0.0/8', nexthop: '2001:DB8::1' }]
  assert.deepEqual(parse(given), [{ destination: '10.0.0.0/8', nexthop: '2001:db8::1' }])
  assert.throws(() => parse([...given, ...given]), /Duplicate items/)
  assert.throws(() => parse([{ destination: '10.0.0.1/8', nexthop: '10.0.0.2' }]), /'10\.0\.0\.0\/8' is recommended/)
  assert.throws(() => parse([{ destination: '10.0.0.1', nexthop: '10.0.0.2' }]), /not a valid IP subnet/)
  assert.throws(() => parse([{ destination: '10.0.0.0/8' }]), /'nexthop' is missing/)
})

test('a next hop is a neighbour, and not the router itself', () => {
  const type = (nexthop: string): string | undefined => {
    try {
      checkRoutes('r', [{ destination: '0.0.0.0/0', nexthop }], ['192.0.2.0/24', null], ['192.0.2.1', null])
      return undefined
    } catch (error) {
      return (error as ApiError).message.split(', ').at(-1)
    }
  }
  assert.equal(type('192.0.2.2'), undefined)
  assert.equal(type('192.0.2.1'), 'the nexthop is used by router')
  assert.equal(type('198.51.100.1'), 'the nexthop is not connected with router')
})
