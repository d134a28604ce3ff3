/**
 * The lab's ground: one namespace a host, one for the underlay (a Linux bridge), a veth between each host and it.
 * `planSubstrate` is pure: what is wanted against what stands, to lines of `ip`; `applySubstrate` only runs them.
 */
import { readdir } from 'node:fs/promises'
import { ipBatch, run } from './exec.ts'
import { hostNamespace, UNDERLAY_MTU, underlayIndex, underlayMac, underlayNamespace } from './names.ts'

export interface SubstrateSeen {
  readonly namespaces: ReadonlySet<string>
  /** Devices in the underlay namespace: the bridge and the hosts' ends. */
  readonly underlay: ReadonlySet<string>
}

export interface SubstrateSteps {
  /** Lines for the underlay namespace that come first: ends whose namespace was deleted while processes still hold it. */
  readonly clear: readonly string[]
  /** Lines for `ip -batch` in the caller's namespace, in order. */
  readonly root: readonly string[]
  /** Lines for `ip -n NS -batch`. */
  readonly inside: ReadonlyMap<string, readonly string[]>
}

const BRIDGE = 'underlay'
export const underlayEnd = (host: string): string => `to-${host}`

/** Pure. Adds what is missing and leaves the rest alone; applied once, it plans nothing. */
export const planSubstrate = (lab: string, hosts: readonly string[], seen: SubstrateSeen): SubstrateSteps => {
  const clear: string[] = []
  const root: string[] = []
  const inside = new Map<string, string[]>()
  const into = (ns: string, ...lines: string[]): void => {
    inside.set(ns, [...(inside.get(ns) ?? []), ...lines])
  }
  const underlay = underlayNamespace(lab)
  if (!seen.namespaces.has(underlay)) root.push(`netns add ${underlay}`)
  const hasBridge = seen.namespaces.has(underlay) && seen.underlay.has(BRIDGE)
  if (!hasBridge)
    into(underlay, `link set lo up`, `link add ${BRIDGE} type bridge`, `link set ${BRIDGE} mtu ${UNDERLAY_MTU} up`)
  for (const host of hosts) {
    const ns = hostNamespace(lab, host)
    const fresh = !seen.namespaces.has(ns)
    if (fresh) root.push(`netns add ${ns}`)
    const end = underlayEnd(host)
    if (seen.underlay.has(end)) {
      if (!fresh) continue
      clear.push(`link del ${end}`)
    }
    const mac = underlayMac(underlayIndex(host))
    root.push(
      `link add eth0 netns ${ns} mtu ${UNDERLAY_MTU} address ${mac} type veth peer name ${end} netns ${underlay} mtu ${UNDERLAY_MTU}`,
    )
    into(ns, 'link set lo up', 'link set eth0 addrgenmode none up')
    into(underlay, `link set ${end} master ${BRIDGE} up`)
  }
  return { clear, root, inside }
}

export const namespacesNow = async (): Promise<Set<string>> =>
  new Set(await readdir('/var/run/netns').catch(() => [] as string[]))

/** The names of all devices of a namespace. */
export const devicesIn = async (ns: string): Promise<string[]> => {
  const links = JSON.parse(await run(['ip', '-n', ns, '-j', 'link'])) as { ifname: string }[]
  return links.map(({ ifname }) => ifname)
}

export const readSubstrate = async (lab: string): Promise<SubstrateSeen> => {
  const namespaces = await namespacesNow()
  const ns = underlayNamespace(lab)
  return { namespaces, underlay: new Set(namespaces.has(ns) ? await devicesIn(ns) : []) }
}

export const applySubstrate = async (lab: string, steps: SubstrateSteps): Promise<void> => {
  await ipBatch(underlayNamespace(lab), steps.clear)
  await ipBatch(null, steps.root)
  await Promise.all([...steps.inside].map(([ns, lines]) => ipBatch(ns, lines)))
}
