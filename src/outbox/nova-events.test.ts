/** Which changes become which events: Neutron's transitions, by example and for every pair of states. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChangeRow } from '#store/change-reader.ts'
import { novaEvents } from './nova-events.ts'

const ALL = { status: true, data: true }
const PORT = '00000000-0000-4000-8000-000000000001'
const SERVER = '00000000-0000-4000-8000-00000000000a'
const port = (more: object = {}) => ({
  id: PORT,
  status: 'DOWN',
  device_id: SERVER,
  device_owner: 'compute:nova',
  fixed_ips: [],
  ...more,
})
const change = (before: object | null, after: object | null, kind = 'port'): ChangeRow =>
  ({ kind, id: PORT, before, after }) as unknown as ChangeRow
const names = (before: object | null, after: object | null, wishes = ALL): string[] =>
  novaEvents(change(before, after), new Map(), wishes).map(({ name, body }) =>
    body['status'] === 'failed' ? `${name} failed` : name,
  )

test('plugged only from DOWN, BUILD or nothing, to ACTIVE or ERROR; unplugged only from ACTIVE to DOWN', () => {
  const status = fc.constantFrom('ACTIVE', 'DOWN', 'BUILD', 'ERROR', 'N/A')
  fc.assert(
    fc.property(fc.option(status), status, (from, to) => {
      const expected =
        from === 'ACTIVE' && to === 'DOWN'
          ? ['network-vif-unplugged']
          : from !== null && from !== 'DOWN' && from !== 'BUILD'
            ? []
            : to === 'ACTIVE'
              ? ['network-vif-plugged']
              : to === 'ERROR'
                ? ['network-vif-plugged failed']
                : []
      assert.deepEqual(names(from && port({ status: from }), port({ status: to })), expected)
    }),
  )
})

test('a port tells the server it belongs to now; one that goes, the one it belonged to', () => {
  const other = port({ device_id: '00000000-0000-4000-8000-00000000000b', status: 'ACTIVE' })
  const [plugged] = novaEvents(change(port(), other), new Map(), ALL)
  assert.equal(plugged?.body['server_uuid'], other.device_id)
  assert.deepEqual(names(port(), null), ['network-vif-deleted'])
  assert.deepEqual(names(port(), port({ device_id: '', status: 'ACTIVE' })), [])
})

test('what Nova keeps of a port changes its network, what it does not keep says nothing', () => {
  assert.deepEqual(names(port(), port({ fixed_ips: [{ ip_address: '10.0.0.9' }] })), ['network-changed'])
  assert.deepEqual(names(port(), port({ 'binding:vif_type': 'ovs', status: 'ACTIVE' })), [
    'network-changed',
    'network-vif-plugged',
  ])
  assert.deepEqual(names(port(), port({ name: 'other', revision_number: 9 })), [])
  assert.deepEqual(names(null, port({ fixed_ips: [{}] })), [])
})

test('nothing that is not wished for', () => {
  const [before, after] = [port(), port({ status: 'ACTIVE', fixed_ips: [{}] })]
  assert.deepEqual(names(before, after, { status: true, data: false }), ['network-vif-plugged'])
  assert.deepEqual(names(before, after, { status: false, data: true }), ['network-changed'])
  assert.deepEqual(names(before, null, { status: true, data: false }), [])
})

test('a floating IP that moves tells both servers; one that is renamed, neither', () => {
  const second = { ...port(), id: '00000000-0000-4000-8000-000000000002' }
  const ports = new Map([PORT, second.id].map((id) => [id, { ...port(), id }]))
  const tags = (before: object | null, after: object | null): unknown[] =>
    novaEvents(change(before, after, 'floatingip'), ports, ALL).map(({ subject }) => subject)
  assert.deepEqual(tags({ port_id: PORT }, { port_id: second.id }), [PORT, second.id])
  assert.deepEqual(tags(null, { port_id: PORT }), [PORT])
  assert.deepEqual(tags({ port_id: PORT }, null), [PORT])
  assert.deepEqual(tags({ port_id: PORT }, { port_id: PORT, description: 'x' }), [])
  assert.deepEqual(tags({ port_id: null }, null), [])
})
