/** The names of VLAN devices above which macvtap devices are made: Nova makes them, the server and the host expect them. */
import { createHash } from 'node:crypto'

/** Linux allows 15 characters; the longest tag takes 5 of them. */
const LONGEST = 10
const HASH = 6

/** The name of an interface's VLAN device; that of a long one ends in a hash, the same in Neutron's macvtap agent. */
export function vlanDevice(name: string, vlan: number | null): string {
  const hash = createHash('sha1').update(name).digest('hex').slice(0, HASH)
  return `${name.length <= LONGEST ? name : name.slice(0, LONGEST - HASH) + hash}.${vlan}`
}
