/**
 * Debian packages that commands need beside Node: looked for, announced, installed. Their services are kept from
 * starting: Deuteron runs what it needs itself, in the places it chose.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isRoot } from './account.ts'
import { UserError } from './user-error.ts'

/** Hosts and VMs as namespaces on one machine, driven by the stock client. */
const LAB = [
  'openvswitch-switch',
  'openvswitch-vtep',
  'iproute2',
  'dnsmasq-base',
  'udhcpc',
  'isc-dhcp-client',
  'iputils-ping',
  'iputils-arping',
  'nftables',
  'conntrack',
  'ethtool',
  'tcpdump',
  'procps',
  'python3-openstackclient',
]

/** A Keystone and the API tests of OpenStack Networking. */
const CONFORMANCE = [
  'keystone',
  'uwsgi-core',
  'uwsgi-plugin-python3',
  'tempest',
  'neutron-tempest-plugin',
  'python3-stestr',
  'util-linux',
]

/** Package sets by what needs them. */
export const PACKAGES = {
  lab: LAB,
  /** What `deuteron agent --dataplane ovs` calls. */
  agent: ['openvswitch-switch', 'iproute2', 'dnsmasq-base', 'nftables', 'conntrack'],
  /** What `deuteron conformance` runs. */
  conformance: CONFORMANCE,
  /** Everything `deuteron test all` runs. */
  test: [...LAB, 'util-linux', 'mount', 'openssl', 'keystone'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type PackageSet = keyof typeof PACKAGES

const POLICY = '/usr/sbin/policy-rc.d'
const KEPT = `${POLICY}.deuteron-kept`

/** The packages of `set` that are not installed. On a system without dpkg all of them. */
export const missingPackages = (set: PackageSet): string[] => {
  const names = PACKAGES[set]
  const asked = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...names], {
    encoding: 'utf8',
  })
  const installed = new Set(
    (asked.stdout ?? '')
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  )
  return names.filter((name) => !installed.has(name))
}

/**
 * Installs what is missing of `set`, after one line that says so. Answers what was installed.
 * Throws a UserError that names the packages when we are not root or this is no Debian.
 */
export const ensurePackages = async (
  set: PackageSet,
  announce: (line: string) => void = toStderr,
): Promise<string[]> => {
  const missing = missingPackages(set)
  if (missing.length === 0) return []
  const names = missing.join(' ')
  if (spawnSync('apt-get', ['--version']).status !== 0) {
    throw new UserError(
      `These programs are missing, and this is no Debian where we could install them: ${names} (Debian's names).`,
    )
  }
  if (!isRoot())
    throw new UserError(
      `These Debian packages are missing: run "apt-get install ${names}" as root, or this command as root.`,
    )
  announce(`installing Debian packages: ${names} …`)
  using _guard = keepServicesOff()
  await apt(['update', '-qq'])
  await apt(['install', '-y', '-qq', '--no-install-recommends', ...missing])
  const still = missingPackages(set)
  if (still.length > 0)
    throw new UserError(`apt-get did not install ${still.join(', ')}: install them by hand and try again.`)
  return missing
}

const toStderr = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** While held, Debian starts no service on installation; what an administrator had set is put back. */
const keepServicesOff = (): Disposable => {
  const ours = '#!/bin/sh\n# Deuteron, while it installs packages\nexit 101\n'
  const interrupted = existsSync(POLICY) && readFileSync(POLICY, 'utf8') === ours
  if (existsSync(POLICY) && !interrupted) renameSync(POLICY, KEPT)
  writeFileSync(POLICY, ours)
  chmodSync(POLICY, 0o755)
  const restore = (): void => {
    if (existsSync(KEPT)) renameSync(KEPT, POLICY)
    else rmSync(POLICY, { force: true })
  }
  return { [Symbol.dispose]: restore }
}

/** Runs apt-get with its complaints visible; a failure shows its last lines. */
const apt = (args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'l' }
    const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    const hear = (chunk: Buffer): void => {
      said = `${said}${chunk.toString('utf8')}`.slice(-4000)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) return resolve()
      const last = said.trim().split('\n').slice(-3).join(' ')
      reject(
        new UserError(
          `"apt-get ${args[0]}" failed (exit code ${code}): ${last} Check the network and /etc/apt, then try again.`,
        ),
      )
    })
  })
