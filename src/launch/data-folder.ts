/**
 * The folder of one installation: its lock, and the files that let a client log in.
 *
 *   deuteron.yaml   settings (written by people)      postgres/     the embedded database
 *   identity.json   users of the built-in identity    server.log    what the server says
 *   openrc, clouds.yaml   how to reach it             up.lock       who runs it
 */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Account, isRoot, mayWrite, reaches, writeAs } from './account.ts'
import { type PidLock, takePidLock } from './processes.ts'
import { fileFailure, UserError } from './user-error.ts'

const OURS =
  /^(deuteron\.yaml|identity\.json.*|openrc|clouds\.yaml|postgres(\.log(\.1)?|\.new)?|server\.(log(\.1)?|pid)|up\.lock.*)$/

const IDENTITY = /^identity\.json/

/** A file that a server left which had to run as root: gives it to `account`. Links are left as they are. */
const handOver = (path: string, { uid, gid }: Account): void => {
  if (!lstatSync(path).isFile()) return
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const file = fstatSync(descriptor)
    if (file.isFile() && file.uid === 0 && file.nlink === 1) fchownSync(descriptor, uid, gid)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the folder when missing and checks that `account` can use it; answers its real path. */
export const prepareDataFolder = (path: string, account: Account): string => {
  let real: string
  try {
    const made = mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined
    real = realpathSync(path)
    if (made || (isRoot() && statSync(real).uid === 0 && readdirSync(real).every((name) => OURS.test(name)))) {
      lchownSync(real, account.uid, account.gid)
    }
    for (const name of readdirSync(real)) if (isRoot() && IDENTITY.test(name)) handOver(join(real, name), account)
  } catch (error) {
    throw fileFailure(error, 'data folder', path)
  }
  if (mayWrite(account, real)) return real
  if (isRoot() && !reaches(account, real)) {
    throw new UserError(
      `User "${account.name}", under which everything runs when root starts it, cannot reach ${real}: choose a folder below /var/lib or /srv with --data, or open the folders above it (chmod o+x).`,
    )
  }
  throw new UserError(
    `The data folder ${real} is not writable for user "${account.name}": choose another with --data, or change its owner (chown ${account.name} ${real}).`,
  )
}

/** Takes the folder for this process; refuses while another holds it. */
export const lockDataFolder = (folder: string): PidLock => {
  try {
    const lock = takePidLock(join(folder, 'up.lock'))
    if (!('heldBy' in lock)) return lock
    throw new UserError(
      `Another deuteron (pid ${lock.heldBy}) runs on ${folder}: stop it first (kill ${lock.heldBy}), or choose another folder with --data and another --port.`,
    )
  } catch (error) {
    throw fileFailure(error, 'data folder', folder)
  }
}

/**
 * The administrator's password as the built-in identity drew it at its first start; null once it was changed, for
 * then only its owner knows it.
 */
export const drawnPassword = (identityFile: string): string | null => {
  const { initial } = JSON.parse(readFileSync(identityFile, 'utf8')) as { initial?: { admin?: string } }
  return initial?.admin ?? null
}

/** How a client reaches the server; without a password nobody asks for one. */
export interface Access {
  readonly url: string
  readonly password: string | null
}

const openrcVariables = ({ url, password }: Access): Record<string, string> =>
  password === null
    ? { OS_AUTH_TYPE: 'none', OS_ENDPOINT: url, OS_REGION_NAME: 'RegionOne' }
    : {
        OS_AUTH_URL: `${url}/identity/v3`,
        OS_USERNAME: 'admin',
        OS_PASSWORD: password,
        OS_PROJECT_NAME: 'admin',
        OS_USER_DOMAIN_NAME: 'Default',
        OS_PROJECT_DOMAIN_NAME: 'Default',
        OS_REGION_NAME: 'RegionOne',
        OS_IDENTITY_API_VERSION: '3',
      }

/** A file to `source`; variables of another cloud are taken back first, for they would win or confuse. */
export const openrc = (access: Access): string => {
  const lines = Object.entries(openrcVariables(access)).map(
    ([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`,
  )
  const others = 'for name in $(env | sed -n "s/^\\(OS_[A-Z0-9_]*\\)=.*/\\1/p"); do unset "$name"; done'
  return ['# Written by "deuteron up". Use: source openrc', others, 'unset name', ...lines, ''].join('\n')
}

/** clouds.yaml with one cloud, `deuteron`. */
export const cloudsYaml = ({ url, password }: Access): string => {
  const auth =
    password === null
      ? ['    auth_type: none', '    auth:', `      endpoint: ${url}`]
      : [
          '    auth:',
          `      auth_url: ${url}/identity/v3`,
          '      username: admin',
          `      password: ${JSON.stringify(password)}`,
          '      project_name: admin',
          '      user_domain_name: Default',
          '      project_domain_name: Default',
          '    identity_api_version: 3',
        ]
  return [
    '# Written by "deuteron up". Use: openstack --os-cloud deuteron …',
    'clouds:',
    '  deuteron:',
    ...auth,
    '    region_name: RegionOne',
    '',
  ].join('\n')
}

/** Writes openrc and clouds.yaml (mode 0600) into the data folder. */
export const writeAccess = (folder: string, access: Access, account: Account): void => {
  try {
    writeAs(account, join(folder, 'openrc'), openrc(access))
    writeAs(account, join(folder, 'clouds.yaml'), cloudsYaml(access))
  } catch (error) {
    throw fileFailure(error, 'data folder', folder)
  }
}
