/** Where a service is, by Keystone's catalogue (`GET /v3/auth/catalog`). Pure. */
export interface Wanted {
  /** As `compute`. */
  readonly type: string
  readonly interface: 'public' | 'internal' | 'admin'
  /** Null: any. */
  readonly region: string | null
}

interface Endpoint {
  readonly interface: string
  readonly region_id?: string | null
  readonly region?: string | null
  readonly url: string
}

/** Without a slash at the end. @throws Error that says what the catalogue lacks */
export function endpointIn(body: unknown, { type, interface: side, region }: Wanted): string {
  const { catalog = [] } = (body ?? {}) as { catalog?: readonly { type: string; endpoints: readonly Endpoint[] }[] }
  const endpoints = catalog.filter((one) => one.type === type).flatMap((one) => one.endpoints)
  const found = endpoints.find(
    (one) => one.interface === side && (region === null || (one.region_id ?? one.region) === region),
  )
  if (found) return found.url.replace(/\/+$/, '')
  const where = region === null ? '' : ` in region ${region}`
  throw new Error(`Keystone's catalogue has no ${side} endpoint of ${type}${where}`)
}
