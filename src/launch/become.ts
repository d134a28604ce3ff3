/** Turning this process into another program: same pid, so that whoever started us supervises that program. */
import { join } from 'node:path'
import type { Account } from './account.ts'
import { NODE_FLAGS, NODE_VARIABLES } from './node-flags.ts'
import type { Env } from './settings.ts'

/** Becomes `node script args`; as `account`, for good, when one is given. Returns never. */
export const become = (
  root: string,
  script: string,
  args: readonly string[],
  env: Env,
  account: Account | null,
): never => {
  if (account) {
    process.setgroups?.([account.gid])
    process.setgid?.(account.gid)
    process.setuid?.(account.uid)
  }
  const argv = [...NODE_FLAGS, join(root, script), ...args]
  const given = Object.entries({ ...NODE_VARIABLES, ...env }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  process.execve?.(process.execPath, [process.execPath, ...argv], Object.fromEntries(given))
  throw new Error('this Node.js cannot replace its process (process.execve)')
}
