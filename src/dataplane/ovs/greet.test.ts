/** Whom a host greets, and when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGAIN_MS, greetings, greetingsDue } from './greet.ts'
import { edit, mutable } from './worlds.testlib.ts'
import { emptyLocalView } from './view.ts'

const world = (...ips: (string | null)[]) => {
  const it = mutable({ ...mutable(), chassis: new Map() } as never)
  for (const [i, tunnel_ip] of ips.entries()) edit(it, { key: `chassis/h${i}`, object: { id: `h${i}`, tunnel_ip } })
  return it
}

test('each address is greeted once when it is new, and again when it is time', () => {
  const known = world('172.31.0.2', null, '172.31.0.3', '172.31.0.3')
  assert.deepEqual(greetingsDue(known, new Map(), 5), ['172.31.0.2', '172.31.0.3'])
  const greeted = new Map([
    ['172.31.0.2', 0],
    ['172.31.0.3', 1],
  ])
  assert.deepEqual(greetingsDue(known, greeted, AGAIN_MS - 1), [])
  assert.deepEqual(greetingsDue(known, greeted, AGAIN_MS), ['172.31.0.2'])
})

test('a greeting goes through a tunnel, in no network, by the underlay’s IP version', () => {
  const local = { ...emptyLocalView(), tunnels: new Map([['vxlan', 9]]) }
  assert.deepEqual(
    greetings(['172.31.0.2', 'fd00::2'], local).map(({ actions }) => actions),
    [
      'set_field:0x0->tun_id,set_field:172.31.0.2->tun_dst,output:9',
      'set_field:0x0->tun_id,set_field:fd00::2->tun_ipv6_dst,output:9',
    ],
  )
  assert.deepEqual(greetings(['172.31.0.2'], emptyLocalView()), [])
})
