/**
 * The policy in force while its files change: looked at every few seconds, read anew when they differ. Files that cannot
 * be used change nothing: the rules before stay in force, and the log says so once.
 *
 * Whoever asks always asks the rules of now; an answer kept elsewhere would outlive them.
 */
import type { Logger } from '#kernel/log.ts'
import { fingerprint, type PolicySources, readPolicies } from './file.ts'
import { PolicyError } from './load.ts'
import { createPolicy, type Policy, type PolicyOptions } from './policy.ts'

export interface LivePolicyOptions extends Pick<PolicyOptions, 'enforceNewDefaults' | 'enforceScope' | 'defaults'> {
  readonly sources: PolicySources
  readonly log: Logger
  /** Milliseconds between two looks at the files. */
  readonly every?: number
}

export interface LivePolicy extends Disposable {
  readonly policy: Policy
  /** Looks now; true when new rules came into force. */
  refresh(): boolean
}

/** @throws PolicyError when the files cannot be used at the start */
export function livePolicy({ sources, log, every = 5000, ...options }: LivePolicyOptions): LivePolicy {
  const load = (): Policy => {
    const policy = createPolicy({ ...options, overrides: readPolicies(sources).overrides })
    for (const rule of policy.unused()) log.warn({ rule }, 'the policy file has a rule that nothing uses')
    for (const { formerly, name } of policy.renamed())
      log.warn({ rule: formerly, now: name }, 'the policy file calls a rule by a former name')
    return policy
  }
  const look = (): string => {
    try {
      return fingerprint(sources)
    } catch (error) {
      return String(error)
    }
  }
  // Looked at before it is read: what changes in between is read again.
  let seen = look()
  let current = load()
  const refresh = (): boolean => {
    const now = look()
    if (now === seen) return false
    seen = now
    try {
      current = load()
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error
      log.error({ problems: error.problems }, 'the policy files cannot be used: the rules before them stay in force')
      return false
    }
    log.info({ ...sources }, 'the policy files changed: their rules are in force')
    return true
  }
  const watched = sources.file !== null || sources.dir !== null
  const timer = watched ? setInterval(refresh, every).unref() : undefined
  return {
    policy: asking(() => current),
    refresh,
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

const asking = (current: () => Policy): Policy => ({
  has: (rule) => current().has(rule),
  allows: (rule, caller, target) => current().allows(rule, caller, target),
  residual: (rule, caller) => current().residual(rule, caller),
  explain: (rule, caller, target) => current().explain(rule, caller, target),
  effective: () => current().effective(),
  unused: () => current().unused(),
  renamed: () => current().renamed(),
  isAdmin: (caller) => current().isAdmin(caller),
})
