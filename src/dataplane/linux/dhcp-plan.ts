/** From what DHCP should be and what stands on the host to the steps between them. Pure. */
import type { LinkFacts } from './port.ts'
import { confHash, type DhcpFiles, type DhcpWant, reloadHash } from './dhcp-want.ts'

/** What stands on the host for one network. */
export interface DhcpSeen {
  /** The namespace has its name. */
  readonly namespace: boolean
  /** The device, in the server's namespace or where the switch made it (`home`), which then counts. */
  readonly link: (LinkFacts & { readonly at: 'namespace' | 'home' }) | null
  /** A device of that name in the namespace that the switch has abandoned for the one at home. */
  readonly orphan: boolean
  /** A dnsmasq of ours for this network, whatever its configuration. */
  readonly server: {
    readonly pid: number
    readonly confHash: string
    /** It runs in the namespace that has the name; without a named one, in one of its own. */
    readonly inNamespace: boolean
  } | null
  /** Content now in the files; null when there is none. */
  readonly files: DhcpFiles | null
  /** `reloadHash` of what the running server has read for certain. */
  readonly loaded: string | null
  /** Leases the server must forget (`staleLeases`). */
  readonly stale: readonly string[]
}

export type DhcpStep =
  | { readonly op: 'stop'; readonly pid: number }
  | { readonly op: 'add-namespace' }
  /** Gives the namespace that lost its name the name back, by a process in it. */
  | { readonly op: 'name-namespace'; readonly pid: number }
  | { readonly op: 'drop-link' }
  | { readonly op: 'move-link' }
  | {
      readonly op: 'set-link'
      readonly mac: string
      readonly mtu: number
      readonly add: readonly string[]
      readonly remove: readonly string[]
    }
  | { readonly op: 'write'; readonly files: DhcpFiles }
  | { readonly op: 'forget'; readonly addresses: readonly string[] }
  | { readonly op: 'start'; readonly confHash: string; readonly loaded: string }
  | { readonly op: 'reload'; readonly pid: number; readonly loaded: string }

/** The device is neither in the namespace nor where the switch makes it. */
export class NoDeviceError extends Error {
  override readonly name = 'NoDeviceError'
  constructor(device: string) {
    super(`the switch has not made interface ${device} yet`)
  }
}

/**
 * Steps in order: a server that must go, the namespace, the device in it, the files, the server. A healthy server is
 * never stopped, but for a lease it must forget; a change of leases or options only makes it read again. Throws
 * `NoDeviceError` when the device is nowhere: nothing can be done before the switch makes it.
 */
export function planDhcp(want: DhcpWant, files: DhcpFiles, seen: DhcpSeen): DhcpStep[] {
  const { server, stale } = seen
  const hash = confHash(files)
  const nameless = server !== null && !server.inNamespace && !seen.namespace
  const fit = server !== null && server.confHash === hash && (server.inNamespace || nameless)
  const keep = fit && stale.length === 0
  // Its namespace may still hold the device.
  const renamed = fit && nameless
  if (!seen.link && !renamed) throw new NoDeviceError(want.device)

  const steps: DhcpStep[] = []
  if (renamed) steps.push({ op: 'name-namespace', pid: server.pid })
  if (server && !keep) steps.push({ op: 'stop', pid: server.pid })
  if (!seen.namespace && !renamed) steps.push({ op: 'add-namespace' })
  if (seen.link) steps.push(...linkSteps(want, seen.link, seen.orphan))
  if (!sameFiles(files, seen.files)) steps.push({ op: 'write', files })
  if (stale.length > 0) steps.push({ op: 'forget', addresses: stale })
  const loaded = reloadHash(files)
  if (!keep) steps.push({ op: 'start', confHash: hash, loaded })
  else if (seen.loaded !== loaded) steps.push({ op: 'reload', pid: server.pid, loaded })
  return steps
}

const sameFiles = (a: DhcpFiles, b: DhcpFiles | null): boolean =>
  b !== null && a.conf === b.conf && a.hosts === b.hosts && a.options === b.options && a.names === b.names

function linkSteps(want: DhcpWant, link: NonNullable<DhcpSeen['link']>, orphan: boolean): DhcpStep[] {
  const steps: DhcpStep[] = []
  if (orphan) steps.push({ op: 'drop-link' })
  if (link.at === 'home') steps.push({ op: 'move-link' })
  // A device loses its addresses on the way into another namespace.
  const has = link.at === 'home' ? [] : link.addresses
  const add = want.addresses.filter((address) => !has.includes(address))
  const remove = has.filter((address) => !want.addresses.includes(address))
  const right = link.at === 'namespace' && link.up && link.mac === want.mac && link.mtu === want.mtu
  if (right && add.length === 0 && remove.length === 0) return steps
  return [...steps, { op: 'set-link', mac: want.mac, mtu: want.mtu, add, remove }]
}
