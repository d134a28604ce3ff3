/**
 * A host without a switch: what a real one would hold, in memory. The only mutable place of the simulated data plane;
 * it outlives an agent, so that a "restarted" agent finds what the last one left.
 */
import type { WireKey } from '#wire/objects.ts'

/** What stands on the host for one object. */
export interface Standing {
  readonly kind: 'port' | 'network' | 'security_group' | 'router'
  readonly id: string
  /** Hash of all that went into it; another content needs another installation. */
  readonly content: string
}

export interface SimHost {
  readonly standing: ReadonlyMap<WireKey, Standing>
  readonly plugged: ReadonlySet<string>
  /** Every installation, renewal and removal since the host was made: what tests count. */
  readonly writes: number
  install(key: WireKey, standing: Standing): void
  remove(key: WireKey): void
  /** A VM's interface appears or vanishes, as Nova's os-vif would do it. */
  plug(portId: string): void
  unplug(portId: string): void
  /** A foreign hand removes what stands for the object. */
  tamper(key: WireKey): void
  /** The next `times` installations of this object fail with the message. */
  failNext(key: WireKey, message: string, times?: number): void
  /** Who hears of plugs and foreign changes; the newest subscriber replaces the last, null ends it. */
  watch(changed: ((change: HostChange) => void) | null): void
}

export type HostChange =
  | { readonly what: 'plugged' | 'unplugged'; readonly portId: string }
  | { readonly what: 'tampered'; readonly key: WireKey }

export function createSimHost(): SimHost {
  const standing = new Map<WireKey, Standing>()
  const plugged = new Set<string>()
  const failures = new Map<WireKey, { message: string; left: number }>()
  let writes = 0
  let changed: ((change: HostChange) => void) | null = null

  return {
    standing,
    plugged,
    get writes() {
      return writes
    },
    install: (key, what) => {
      const failure = failures.get(key)
      if (failure && failure.left > 0) {
        failure.left--
        throw new Error(failure.message)
      }
      writes++
      standing.set(key, Object.freeze(what))
    },
    remove: (key) => {
      if (standing.delete(key)) writes++
    },
    plug: (portId) => {
      plugged.add(portId)
      changed?.({ what: 'plugged', portId })
    },
    unplug: (portId) => {
      plugged.delete(portId)
      changed?.({ what: 'unplugged', portId })
    },
    tamper: (key) => {
      if (standing.delete(key)) changed?.({ what: 'tampered', key })
    },
    failNext: (key, message, times = 1) => void failures.set(key, { message, left: times }),
    watch: (subscriber) => {
      changed = subscriber
    },
  }
}
