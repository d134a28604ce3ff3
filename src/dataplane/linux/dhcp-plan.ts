/** From what DHCP should be and what stands on the host to the steps between them. Pure. */
import { confHash, type DhcpFiles, type DhcpWant, reloadHash } from './dhcp-want.ts'

/** What stands on the host for one network. */
export interface DhcpSeen {
  /** The namespace has its name. */
  readonly namespace: boolean
  /** The device, in the server's namespace or where the switch made it (`home`). */
  readonly link: {
    readonly at: 'namespace' | 'home'
    readonly mac: string
    readonly mtu: number
    readonly up: boolean
    readonly addresses: readonly string[]
  } | null
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
}

export type DhcpStep =
  | { readonly op: 'stop'; readonly pid: number }
  | { readonly op: 'add-namespace' }
  /** Gives the namespace that lost its name the name back, by a process in it. */
  | { readonly op: 'name-namespace'; readonly pid: number }
  | { readonly op: 'move-link' }
  | {
      readonly op: 'set-link'
      readonly mac: string
      readonly mtu: number
      readonly add: readonly string[]
      readonly remove: readonly string[]
    }
  | { readonly op: 'write'; readonly files: DhcpFiles }
  | { readonly op: 'start'; readonly confHash: string; readonly loaded: string }
  | { readonly op: 'reload'; readonly pid: number; readonly loaded: string }

/**
 * Steps in order: a server that must go, the namespace, the device in it, the files, the server. A healthy server is
 * never stopped; a change of leases or options only makes it read again. Throws when the switch has not made the
 * device yet: nothing can be done before.
 */
export function planDhcp(want: DhcpWant, files: DhcpFiles, seen: DhcpSeen): DhcpStep[] {
  const steps: DhcpStep[] = []
  const { server } = seen
  const nameless = server !== null && !server.inNamespace && !seen.namespace
  const keep = server !== null && server.confHash === confHash(files) && (server.inNamespace || nameless)
  if (server && !keep) steps.push({ op: 'stop', pid: server.pid })

  if (nameless && keep) steps.push({ op: 'name-namespace', pid: server.pid })
  else if (!seen.namespace) steps.push({ op: 'add-namespace' })

  if (!seen.link) {
    if (!(nameless && keep)) throw new Error(`the switch has not made interface ${want.device} yet`)
  } else {
    if (seen.link.at === 'home') steps.push({ op: 'move-link' })
    steps.push(...linkSteps(want, seen.link))
  }
  const same =
    seen.files !== null && Object.entries(files).every(([name, text]) => seen.files?.[name as keyof DhcpFiles] === text)
  if (!same) steps.push({ op: 'write', files })
  const loaded = reloadHash(files)
  if (!keep) steps.push({ op: 'start', confHash: confHash(files), loaded })
  else if (seen.loaded !== loaded) steps.push({ op: 'reload', pid: server.pid, loaded })
  return steps
}

function linkSteps(want: DhcpWant, link: NonNullable<DhcpSeen['link']>): DhcpStep[] {
  const has = link.at === 'home' ? [] : link.addresses
  const add = want.addresses.filter((address) => !has.includes(address))
  const remove = has.filter((address) => !want.addresses.includes(address))
  const right = link.at === 'namespace' && link.up && link.mac === want.mac && link.mtu === want.mtu
  if (right && add.length === 0 && remove.length === 0) return []
  return [{ op: 'set-link', mac: want.mac, mtu: want.mtu, add, remove }]
}
