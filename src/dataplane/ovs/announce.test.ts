/** Frames that say where a port is, byte by byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checksum, framesOf } from './announce.ts'
import { port } from './worlds.testlib.ts'

const frames = framesOf(
  port('p1', {
    mac_address: '02:00:00:00:00:05',
    fixed_ips: [
      { subnet_id: 's4', ip_address: '10.0.0.5' },
      { subnet_id: 's6', ip_address: 'fd00::5' },
    ],
  }),
).map((frame) => frame.toString('hex'))

test('RARP names the MAC, ARP and a neighbour advertisement each address', () => {
  const mac = '020000000005'
  assert.deepEqual(frames, [
    `ffffffffffff${mac}8035000108000604${'0003'}${mac}00000000${mac}00000000`.padEnd(120, '0'),
    `ffffffffffff${mac}0806000108000604${'0001'}${mac}0a0000050000000000000a000005`.padEnd(120, '0'),
    `333300000001${mac}86dd60000000${'0020'}3aff${'fd00000000000000'}0000000000000005ff020000000000000000000000000001${frames[2]?.slice(108, 116)}20000000fd0000000000000000000000000000050201${mac}`,
  ])
})

test('the checksum of an advertisement makes its sum nothing', () => {
  const frame = Buffer.from(frames[2] ?? '', 'hex')
  const [source, target, message] = [frame.subarray(22, 38), frame.subarray(38, 54), frame.subarray(54)]
  const pseudo = Buffer.concat([source, target, Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58])])
  assert.equal(message[0], 136)
  assert.equal(checksum(Buffer.concat([pseudo, message])), 0)
})
