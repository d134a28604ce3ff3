/** How ToRs are, as numbers: said by the server that works on them, by nobody else. */
import type { TorStatus } from '#drivers/mechanism/vtep/tor.ts'
import { gauge, type Registry } from '#kernel/metrics.ts'

export interface TorMetrics {
  show(tor: string, status: TorStatus, networks: number): void
  /** Another server works on them now. */
  reset(): void
}

const REASONS = [
  'switch_missing',
  'port_missing',
  'vlan_taken',
  'vni_taken',
  'endpoint_unreachable',
  'refused',
] as const

/** Name → what it is, and how it follows from a status; absent while that is null. */
const GAUGES = {
  tor_connected: ["Whether the ToR's database is connected", ({ state }) => (state === 'unreachable' ? 0 : 1)],
  tor_in_sync: [
    'Whether the ToR holds all that it can of what it should',
    ({ state }) => (state === 'in_sync' ? 1 : 0),
  ],
  tor_vlan_bindings: ['VLANs bound to our networks on ports of the ToR', ({ held }) => held.vlanBindings],
  tor_remote_macs: ['MAC addresses behind other tunnel endpoints that the ToR was told', ({ held }) => held.remoteMacs],
  tor_reconciled_seconds: [
    "Seconds since the ToR's whole database was last compared with what it should hold; a minute where all is well",
    ({ reconciledAt }) => since(reconciledAt),
  ],
  tor_last_error_seconds: [
    'Seconds since the ToR was last found unreachable, or refused something',
    ({ lastError }) => since(lastError?.at ?? null),
  ],
  tor_repaired: ['How often what others changed in the ToR was put right', ({ repaired }) => repaired],
} as const satisfies Readonly<Record<string, readonly [string, (status: TorStatus) => number | null]>>

const since = (at: Date | null): number | null => at && Math.max(0, (Date.now() - at.getTime()) / 1000)

export function measure(registry: Registry): TorMetrics {
  const simple = Object.entries(GAUGES).map(([name, [help, of]]) => ({ one: gauge(registry, name, help, ['tor']), of }))
  const networks = gauge(registry, 'tor_networks', 'Networks that the ToR should hold', ['tor'])
  const problems = gauge(registry, 'tor_problems', 'Networks that are not, or not wholly, in the ToR', [
    'tor',
    'reason',
  ])
  return {
    show: (tor, status, wanted) => {
      for (const { one, of } of simple) {
        const value = of(status)
        if (value !== null) one.set({ tor }, value)
      }
      networks.set({ tor }, wanted)
      for (const reason of REASONS)
        problems.set({ tor, reason }, status.problems.filter((problem) => problem.reason === reason).length)
    },
    reset: () => {
      for (const one of [networks, problems, ...simple.map((each) => each.one)]) one.reset()
    },
  }
}
