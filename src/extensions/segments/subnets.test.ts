/** Subnets on segments: who may stand where, and the routes between them, whatever the order they come and go in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { associationChange, mixture, routesWithPeers, type SegmentSubnet } from './subnets.ts'

const made = (index: number, segment: number | null, own: SegmentSubnet['host_routes'] = []): SegmentSubnet => ({
  id: `s${index}`,
  network_id: 'n',
  segment_id: segment === null ? null : `segment${segment}`,
  ip_version: 4,
  cidr: `10.0.${index}.0/24`,
  gateway_ip: `10.0.${index}.1`,
  host_routes: own,
})
const network = fc
  .array(fc.nat(3), { minLength: 1, maxLength: 8 })
  .map((segments) => segments.map((segment, index) => made(index, segment)))
const routed = (subnets: readonly SegmentSubnet[]): SegmentSubnet[] =>
  subnets.map((one) => ({ ...one, host_routes: routesWithPeers(one, subnets) }))

test('each subnet has one route to each subnet of the other segments, and deciding again changes nothing', () => {
  fc.assert(
    fc.property(network, (subnets) => {
      const once = routed(subnets)
      for (const { id, segment_id, gateway_ip, host_routes } of once) {
        const others = subnets.filter((one) => one.id !== id && one.segment_id !== segment_id)
        assert.deepEqual(host_routes.map((one) => one.destination).sort(), others.map((one) => one.cidr).sort())
        assert.ok(host_routes.every((one) => one.nexthop === gateway_ip))
      }
      assert.deepEqual(routed(once), once)
    }),
  )
})

test('a subnet that goes takes the routes to it along, and no others', () => {
  fc.assert(
    fc.property(network, fc.nat(7), (subnets, pick) => {
      const gone = subnets[pick % subnets.length] as SegmentSubnet
      const rest = routed(subnets).filter((one) => one.id !== gone.id)
      const after = rest.map((one) => ({ ...one, host_routes: routesWithPeers(one, rest, { cidr: gone.cidr }) }))
      assert.deepEqual(after, routed(subnets.filter((one) => one.id !== gone.id)))
    }),
  )
})

test('a new gateway replaces the routes through the old one; own routes stay, and a wider one is enough', () => {
  const peers = [made(1, 1), made(2, 2)]
  const own = { destination: '192.0.2.0/24', nexthop: '10.0.0.7' }
  const before = { ...made(0, 0), host_routes: routesWithPeers(made(0, 0, [own]), peers) }
  const moved = { ...before, gateway_ip: '10.0.0.254' }
  assert.deepEqual(routesWithPeers(moved, peers, { gateway: '10.0.0.1' }), [
    own,
    { destination: '10.0.1.0/24', nexthop: '10.0.0.254' },
    { destination: '10.0.2.0/24', nexthop: '10.0.0.254' },
  ])
  assert.deepEqual(routesWithPeers({ ...moved, gateway_ip: null }, peers, { gateway: '10.0.0.1' }), [own])
  const wide = [{ destination: '10.0.0.0/16', nexthop: '10.0.0.9' }]
  assert.deepEqual(routesWithPeers({ ...made(0, 0), host_routes: wide }, peers), wide)
})

test('all subnets of a network stand on segments or none does, those that only routers use apart', () => {
  assert.equal(mixture([made(0, 0), made(1, 1)]), null)
  assert.equal(mixture([made(0, null), made(1, null)]), null)
  assert.equal(mixture([made(0, 0), made(1, null)])?.type, 'SubnetsNotAllAssociatedWithSegments')
  assert.equal(mixture([made(0, 0), { ...made(1, null), service_types: ['network:routed'] }]), null)
})

test('a subnet is put on a segment once, while it and the segment are alone', () => {
  const lone = made(0, null)
  assert.equal(associationChange(lone, [lone], 1), null)
  assert.equal(associationChange(lone, [lone], 2)?.type, 'NoUpdateSubnetWhenMultipleSegmentsOnNetwork')
  assert.equal(associationChange(lone, [lone, made(1, null)], 1)?.type, 'SubnetsNotAllAssociatedWithSegments')
  assert.equal(associationChange(made(0, 0), [made(0, 0)], 1)?.type, 'SubnetSegmentAssociationChangeNotAllowed')
})
