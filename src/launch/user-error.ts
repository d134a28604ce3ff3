/** Failures that a person can mend: one sentence that says what to do, printed without a stack. */

export class UserError extends Error {
  override readonly name = 'UserError'
  /** Exit code of the command that fails with it. */
  readonly exitCode: number

  constructor(message: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.exitCode = options.exitCode ?? 1
  }
}

/** The system's code of a failed call (`ENOSPC`, `EACCES`, …), or null for any other value. */
export const errnoOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null

/**
 * Turns a failed file operation on `path` into a sentence; every other error comes back as it is.
 * `what` names the thing for a person: "data folder".
 */
export const fileFailure = (error: unknown, what: string, path: string): unknown => {
  const hint = {
    EACCES: 'is not writable for this user: choose another with --data or change its owner',
    EPERM: 'is not writable for this user: choose another with --data or change its owner',
    EROFS: 'lies on a read-only file system: choose another with --data',
    ENOSPC: 'lies on a full disk: free some space or choose another with --data',
    EDQUOT: 'lies on a disk whose quota is used up: free some space or choose another with --data',
    ENOTDIR: 'leads through something that is not a folder: choose another with --data',
    EEXIST: 'is not a folder: choose another with --data',
  }[errnoOf(error) ?? '']
  return hint === undefined ? error : new UserError(`The ${what} ${path} ${hint}.`, { cause: error })
}

/** What an unknown thrown thing says. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
