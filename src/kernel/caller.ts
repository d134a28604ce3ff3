/** Who makes a request: what identity found out, policy decides on, and the change log writes down. */
export interface Caller {
  readonly userId: string
  readonly userName: string
  /** Null for a token without project scope. */
  readonly projectId: string | null
  readonly projectName: string | null
  readonly domainId: string | null
  readonly systemScope: 'all' | null
  /** Lower case, implied roles included (admin implies manager, manager member, member reader). */
  readonly roles: readonly string[]
  /** Roles of the X-Service-Token, empty without one. */
  readonly serviceRoles: readonly string[]
  readonly expiresAt: Date
}
