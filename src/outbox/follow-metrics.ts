/** How drivers that follow the change log are, as numbers: said by the server that tells them, by nobody else. */
import { counter, gauge, type Registry } from '#kernel/metrics.ts'

export interface FollowMetrics {
  /** The driver is told a change that was committed then; null: it has taken all there is. */
  standsAt(driver: string, committed: string | null): void
  failed(driver: string): void
  /** Another server tells it now. */
  left(driver: string): void
}

export function measure(registry: Registry): FollowMetrics {
  /** By driver, milliseconds. */
  const since = new Map<string, number | null>()
  const lag = gauge(registry, 'driver_follow_lag_seconds', 'Age of the change a driver stands at', ['driver'], () => {
    lag.reset()
    const now = Date.now()
    for (const [driver, at] of since) lag.set({ driver }, at === null ? 0 : Math.max(0, now - at) / 1000)
  })
  const failures = counter(registry, 'driver_follow_failures_total', 'How often a driver failed at a change', [
    'driver',
  ])
  return {
    standsAt: (driver, committed) => since.set(driver, committed === null ? null : Date.parse(committed)),
    failed: (driver) => failures.inc({ driver }),
    left: (driver) => since.delete(driver),
  }
}
