/**
 * A frame through the tunnel to every other host we may send to, before there is anything to send.
 *
 * A user-space switch resolves a tunnel endpoint's MAC with the first frame that wants it, and drops frames for some
 * milliseconds meanwhile. So each host is greeted as soon as it is known, which is while a port is only expected here
 * or there, and again before the switch forgets it (15 minutes without traffic). The greeting carries key 0, which is
 * no network's: it ends in the first table of whoever hears it. Pure.
 */
import type { World } from '#wire/objects.ts'
import { type Announcement, ethernet } from './announce.ts'
import { setTunnelTarget } from './compile/network.ts'
import { set } from './pipeline.ts'
import type { LocalView } from './view.ts'

export const AGAIN_MS = 300_000

/** Local experiments (IEEE 802, 88-B5), from a locally administered address to itself. */
const MAC = Buffer.from('020000000001', 'hex')
const GREETING = ethernet(MAC, MAC, 0x88b5)

/** Tunnel addresses to greet: those not greeted yet, or so long ago that it is time again. `greeted`: when, by address. */
export function greetingsDue(world: World, greeted: ReadonlyMap<string, number>, now: number): readonly string[] {
  const addresses = new Set([...world.chassis.values()].flatMap(({ tunnel_ip }) => tunnel_ip ?? []))
  return [...addresses].filter((address) => now - (greeted.get(address) ?? -Infinity) >= AGAIN_MS)
}

/** Nothing on a host without tunnels; which kind of tunnel makes no difference to the endpoint's MAC. */
export function greetings(addresses: readonly string[], { tunnels }: LocalView): readonly Announcement[] {
  const [ofport] = tunnels.values()
  if (ofport === undefined) return []
  return addresses.map((address) => ({
    actions: [set('tun_id', 0), setTunnelTarget(address), `output:${ofport}`].join(','),
    frame: GREETING,
  }))
}
