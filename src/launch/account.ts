/**
 * Which Unix account PostgreSQL and the server run under.
 *
 * PostgreSQL refuses to run as root. Started by root we use the owner of existing data, else the system user
 * `deuteron`, made when missing. Whether an account reaches a path is tried, not computed, so that access lists
 * and mount options count too.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { errnoOf, UserError } from './user-error.ts'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export const SERVICE_USER = 'deuteron'
export const SERVICE_HOME = '/var/lib/deuteron'

export const isRoot = (): boolean => process.geteuid?.() === 0

const passwd = (): Account[] =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))

/** The account of this process. PostgreSQL looks itself up by name, so a uid without a name is refused. */
export const currentAccount = (): Account => {
  try {
    const { username, uid, gid } = userInfo()
    return { name: username, uid, gid }
  } catch (cause) {
    throw new UserError(
      `User id ${process.geteuid?.()} has no name on this machine, and PostgreSQL needs one: run as a user that /etc/passwd lists, or use --database URL.`,
      { cause },
    )
  }
}

/** The system user we run under when root started us; made when missing. Needs root. */
export const serviceAccount = (): Account => {
  const find = (): Account | undefined => passwd().find(({ name }) => name === SERVICE_USER)
  const known = find()
  if (known) return known
  try {
    execFileSync(
      'useradd',
      [
        '--system',
        '--user-group',
        '--home-dir',
        SERVICE_HOME,
        '--no-create-home',
        '--shell',
        '/usr/sbin/nologin',
        SERVICE_USER,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
  } catch (cause) {
    const made = find() // another start may have been faster
    if (made) return made
    const why = errnoOf(cause) === 'ENOENT' ? 'useradd is not installed' : 'useradd failed'
    throw new UserError(
      `Cannot make the system user "${SERVICE_USER}" (${why}): make it by hand, or start Deuteron as an ordinary user.`,
      { cause },
    )
  }
  const made = find()
  if (!made) throw new Error(`useradd made no user ${SERVICE_USER}`)
  if (mkdirSync(SERVICE_HOME, { recursive: true, mode: 0o755 }) !== undefined)
    chownSync(SERVICE_HOME, made.uid, made.gid)
  return made
}

/** The account called `name`; the system user is made when missing. */
export const accountNamed = (name: string): Account => {
  if (name === SERVICE_USER && isRoot()) return serviceAccount()
  const found = passwd().find((account) => account.name === name)
  if (!found) throw new UserError(`There is no user "${name}" on this machine: make it, or name another with --user.`)
  return found
}

/** Who runs the cluster in `dataDir`: ourselves; started by root, the owner of what is there, else `user`. */
export const clusterAccount = (dataDir: string, user: string = SERVICE_USER): Account => {
  if (!isRoot()) return currentAccount()
  if (existsSync(dataDir)) {
    const { uid } = statSync(dataDir)
    const owner = passwd().find((account) => account.uid === uid)
    if (owner && owner.uid !== 0) return owner
  }
  const wanted = accountNamed(user)
  return wanted.uid === 0 ? serviceAccount() : wanted // PostgreSQL refuses to run as root
}

/** Options that make a child process run as `account`; empty when we already are that account. */
export const runAs = (account: Account): { uid?: number; gid?: number } =>
  process.geteuid?.() === account.uid ? {} : { uid: account.uid, gid: account.gid }

/** Whether `account` may enter the folder or run the file at `path`. */
export const reaches = (account: Account, path: string): boolean =>
  spawnSync('/bin/sh', ['-c', 'test -r "$0" && test -x "$0"', path], { ...runAs(account), cwd: '/' }).status === 0

/** Whether `account` may make files in the folder `path`. */
export const mayWrite = (account: Account, path: string): boolean =>
  spawnSync('/bin/sh', ['-c', 'test -w "$0" && test -x "$0"', path], { ...runAs(account), cwd: '/' }).status === 0

/**
 * Writes `path` with the rights of `account`, mode 0600, in one step. As root we never open a file in a folder that
 * someone else owns: a planted symbolic link would lead us astray.
 */
export const writeAs = (account: Account, path: string, text: string): void => {
  const script = 'umask 077 && cat > "$0.new" && mv -f "$0.new" "$0"'
  const done = spawnSync('/bin/sh', ['-c', script, path], { ...runAs(account), cwd: '/', input: text })
  if (done.status === 0) return
  const said = done.stderr.toString()
  const code = /No space left/i.test(said) ? 'ENOSPC' : /Permission denied/i.test(said) ? 'EACCES' : 'EIO'
  throw Object.assign(new Error(`cannot write ${path}: ${said.trim()}`), { code })
}
