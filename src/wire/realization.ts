/** What a host reports upwards: what is really in place. */

/** `unsupported`: this host's data plane does not do such objects; trying again would not help. */
export type RealizationState = 'pending' | 'done' | 'error' | 'unsupported'

/** One report; the server keeps the newest per (host, kind, id), outside the change log. */
export interface Realization {
  readonly kind: 'port' | 'network' | 'security_group' | 'router'
  readonly id: string
  /** The generation of the desired object that this speaks of. */
  readonly generation: number
  readonly state: RealizationState
  /**
   * One sentence when `state` is error or unsupported; when it is done, what was repaired after a foreign change, or
   * what was left out that does not keep the object from working; else null.
   */
  readonly message: string | null
  /** True when something foreign had to be put right (a deleted flow, port or namespace). */
  readonly repaired: boolean
  /** RFC 3339, host clock. */
  readonly at: string
}
