/** Messages survive the way there and back; what is not a message is refused with the place of the fault. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeFromAgent, decodeFromServer, encode, encodeFrame, encodePut, WireError } from './codec.ts'
import type { FromAgent } from './messages.ts'
import { readableVersions } from './versions.ts'

const chassis = { id: 'h1', tunnel_ip: '192.0.2.1' }

test('messages from agents survive encoding', () => {
  const messages: FromAgent[] = [
    { type: 'ack', frame: 3 },
    { type: 'heartbeat', configurations: { tunneling_ip: null, devices: 2 }, started_at: '2026-01-01T00:00:00Z' },
    {
      type: 'hello',
      protocol: 1,
      host: 'h1',
      agent_version: '0.1.0',
      versions: readableVersions(),
      have: { 'port/a': '00' },
      position: null,
    },
  ]
  for (const message of messages) assert.deepEqual(decodeFromAgent(encode(message)), message)
})

test('a frame carries objects in the agreed version and yields the newest', () => {
  const old = {
    id: 'p',
    network_id: 'n',
    generation: 1,
    mac_address: 'fa:16:3e:00:00:01',
    admin_state_up: true,
    device_owner: '',
    vnic_type: 'normal',
    fixed_ips: [],
    port_security_enabled: true,
    security_groups: [],
    allowed_address_pairs: ['fa:16:3e:00:00:02 10.0.0.9'],
  }
  const put = [encodePut('chassis/h1', 'c0', chassis), encodePut('port/p', 'p0', old)]
  const raw = encodeFrame({ frame: 1, put, drop: ['port/gone'], position: '1.2.3', in_sync: true })
  const frame = decodeFromServer(raw, { chassis: 1, port: 1 })
  assert.ok(frame.type === 'frame')
  assert.deepEqual(frame.put[0], ['chassis/h1', 'c0', chassis])
  const pairs = [{ ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:02' }]
  const since = { dns_name: '', extra_dhcp_opts: [], active: true, device: null, segment_ids: [] }
  assert.deepEqual(frame.put[1]?.[2], { ...old, allowed_address_pairs: pairs, ...since })
  assert.throws(() => decodeFromServer(raw, { chassis: 1, port: 2 }), /port\/p in version 2: put\[1\]\[2\]/)
  assert.throws(() => decodeFromServer(raw, { chassis: 1 }), /type 'port' was not agreed on/)
})

test('faults name their place', () => {
  const fault = (value: unknown): string => {
    try {
      decodeFromAgent(typeof value === 'string' ? value : JSON.stringify(value))
    } catch (error) {
      assert.ok(error instanceof WireError)
      return error.message
    }
    return 'accepted'
  }
  assert.equal(fault('{'), 'a message is not JSON')
  assert.equal(fault('null'), 'type: expected one of hello, heartbeat, report, ack')
  assert.equal(fault({ type: 'toString' }), 'type: expected one of hello, heartbeat, report, ack')
  assert.equal(fault({ type: 'ack', frame: '1' }), 'frame: expected whole number')
  assert.equal(
    fault({ type: 'report', realizations: [{ kind: 'chassis' }] }),
    'realizations[0].kind: expected one of port, network, security_group, router',
  )
  assert.equal(fault({ type: 'heartbeat', configurations: [], started_at: '' }), 'configurations: expected an object')
})

test('no text makes the decoder throw anything but WireError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (raw) => {
      for (const decode of [decodeFromAgent, (text: string) => decodeFromServer(text, { port: 2 })]) {
        try {
          decode(raw)
        } catch (error) {
          assert.ok(error instanceof WireError, String(error))
        }
      }
    }),
  )
})
