/** How ToRs are, as numbers: said by the server that works on them, by nobody else. */
import type { TorStatus } from '#drivers/mechanism/vtep/tor.ts'
import { gauge, type Registry } from '#kernel/metrics.ts'

export interface TorMetrics {
  show(tor: string, status: TorStatus, networks: number): void
  /** Another server works on them now. */
  reset(): void
}

const REASONS = ['switch_missing', 'port_missing', 'vlan_taken', 'vni_taken', 'refused'] as const

export function measure(registry: Registry): TorMetrics {
  const connected = gauge(registry, 'tor_connected', "Whether the ToR's database is connected", ['tor'])
  const inSync = gauge(registry, 'tor_in_sync', 'Whether the ToR holds all that it can of what it should', ['tor'])
  const networks = gauge(registry, 'tor_networks', 'Networks that the ToR should hold', ['tor'])
  const problems = gauge(registry, 'tor_problems', 'Networks that are not, or not wholly, in the ToR', [
    'tor',
    'reason',
  ])
  const repaired = gauge(registry, 'tor_repaired', 'How often what others changed in the ToR was put right', ['tor'])
  return {
    show: (tor, status, wanted) => {
      connected.set({ tor }, status.state === 'unreachable' ? 0 : 1)
      inSync.set({ tor }, status.state === 'in_sync' ? 1 : 0)
      networks.set({ tor }, wanted)
      repaired.set({ tor }, status.repaired)
      for (const reason of REASONS)
        problems.set({ tor, reason }, status.problems.filter((problem) => problem.reason === reason).length)
    },
    reset: () => {
      for (const one of [connected, inSync, networks, problems, repaired]) one.reset()
    },
  }
}
