/** Which changes make us look at a segment, and which do not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChangeRow } from '#store/change-reader.ts'
import { touched } from './placement-events.ts'

type Image = Readonly<Record<string, unknown>> | null
const told = (kind: string, before: Image, after: Image): string => {
  const row = { kind, id: 'id', before, after } as unknown as ChangeRow
  const { segments, subnets, physicalNetworks } = touched(row)
  return [...segments, ...subnets, ...physicalNetworks].join()
}

test('a segment: when it goes, or an operator names other hosts', () => {
  const one = { hosts: ['a'], name: '' }
  assert.equal(told('segment', null, one), '', 'it has no addresses yet')
  assert.equal(told('segment', one, { ...one, name: 'n' }), '')
  assert.equal(told('segment', one, { ...one, hosts: ['a', 'b'] }), 'id')
  assert.equal(told('segment', one, null), 'id')
})

test('a subnet on one: when what can be had of it changes', () => {
  const one = { segment_id: 's', allocation_pools: [], gateway_ip: null, enable_dhcp: true, name: '' }
  assert.equal(told('subnet', null, one), 's')
  assert.equal(told('subnet', one, null), 's')
  assert.equal(told('subnet', one, { ...one, name: 'n' }), '')
  for (const change of [{ allocation_pools: [1] }, { gateway_ip: '10.0.0.1' }, { enable_dhcp: false }])
    assert.equal(told('subnet', { ...one }, { ...one, ...change }), 's,s')
  assert.equal(told('subnet', { ...one, segment_id: null }, one), 's')
  assert.equal(told('subnet', null, { ...one, segment_id: null }), '')
})

test('a port with addresses that Nova does not count itself', () => {
  const one = { device_owner: 'network:f5', fixed_ips: [{ subnet_id: 'n' }], name: '' }
  const server = { ...one, device_owner: 'compute:nova' }
  assert.equal(told('port', null, one), 'n')
  assert.equal(told('port', one, { ...one, name: 'n' }), '')
  assert.equal(told('port', null, server), '')
  assert.equal(told('port', null, { ...one, device_owner: 'network:dhcp' }), '')
  assert.equal(told('port', server, one), 'n')
  assert.equal(told('port', { ...one, fixed_ips: [] }, one), 'n')
})

test('an agent: the physical networks it is, or was, plugged into', () => {
  const at = (mappings: object) => ({ host: 'h', configurations: mappings, alive: true })
  assert.equal(told('agent', null, at({ bridge_mappings: { a: 'br' } })), 'a')
  assert.equal(
    told('agent', at({ interface_mappings: { b: 'eth0' } }), at({ device_mappings: { c: ['eth1'] }, devices: 1 })),
    'b,c',
  )
  const same = at({ bridge_mappings: { a: 'br' } })
  assert.equal(told('agent', { ...same, alive: false }, same), '', 'its hosts stay while it is silent')
})
