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
 * `what` names the thing for a person ("data folder"), `remedy` the way to choose another.
 */
export const fileFailure = (
  error: unknown,
  what: string,
  path: string,
  remedy = 'choose another with --data',
): unknown => {
  const hint = {
    EACCES: `is not writable for this user: ${remedy} or change its owner`,
    EPERM: `is not writable for this user: ${remedy} or change its owner`,
    EROFS: `lies on a read-only file system: ${remedy}`,
    ENOSPC: `lies on a full disk: free some space or ${remedy}`,
    EDQUOT: `lies on a disk whose quota is used up: free some space or ${remedy}`,
    ENOTDIR: `leads through something that is not a folder: ${remedy}`,
    ENOENT: `lies in a folder that does not exist: ${remedy}`,
    EEXIST: `is not a folder: ${remedy}`,
  }[errnoOf(error) ?? '']
  return hint === undefined ? error : new UserError(`The ${what} ${path} ${hint}.`, { cause: error })
}

/** What an unknown thrown thing says. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
