/**
 * A private Open vSwitch for tests: its own ovsdb-server and ovs-vswitchd with sockets in a folder of its own, so that
 * neither the machine's switch nor another test's is touched. Bridges must have `datapath_type=netdev`.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'

let started = 0

export interface PrivateOvs {
  /** Name of the network namespace the switch runs in. */
  readonly netns: string
  readonly dir: string
  /** OVSDB target: `unix:<dir>/db.sock`. */
  readonly dbSock: string
  /** OpenFlow target of a bridge: `unix:<dir>/<bridge>.mgmt`. */
  mgmt(bridge: string): string
  /** `ovs-vsctl` with these arguments; answers its output. */
  vsctl(...args: string[]): Promise<string>
  /** `ovs-ofctl -O OpenFlow15 <command> <mgmt of bridge> …`; answers its output. */
  ofctl(command: string, bridge: string, ...args: string[]): Promise<string>
  /** `ovs-appctl` to ovs-vswitchd. */
  appctl(...args: string[]): Promise<string>
  readonly pids: { readonly ovsdb: number; readonly vswitchd: number }
  stopDb(): Promise<void>
  startDb(): Promise<void>
  stopSwitch(): Promise<void>
  startSwitch(): Promise<void>
  stop(): Promise<void>
}

/** Why this machine cannot run a private switch; null when it can. For `test(…, { skip: ovsMissing() ?? false })`. */
export function ovsMissing(): string | null {
  if (process.getuid?.() !== 0) return 'needs root: ovs-vswitchd opens network devices'
  for (const program of ['ovsdb-server', 'ovs-vswitchd', 'ovs-vsctl', 'ovs-ofctl', 'ovsdb-tool']) {
    const found = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((dir) => existsSync(join(dir, program)))
    if (!found) return `needs Open vSwitch: ${program} is not installed (apt install openvswitch-switch)`
  }
  return existsSync(SCHEMA) ? null : `needs Open vSwitch: ${SCHEMA} is missing`
}

/**
 * Starts both daemons, in the network namespace `netns`; without one, in a new namespace that goes with `stop` (bridges
 * are devices, and their names would clash with those of another test). A `dir` that is given is kept by `stop`.
 */
export async function startOvs(options: { dir?: string; netns?: string } = {}): Promise<PrivateOvs> {
  const { dir } = options
  const netns = options.netns ?? `ovs-${process.pid}-${++started}`
  if (options.netns === undefined) {
    execFileSync('ip', ['netns', 'add', netns])
    execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up'])
  }
  const home = dir ?? mkdtempSync(join(tmpdir(), 'ovs-'))
  const at = (name: string): string => join(home, name)
  const env = {
    ...process.env,
    PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
    OVS_RUNDIR: home,
    OVS_LOGDIR: home,
    OVS_DBDIR: home,
    OVS_SYSCONFDIR: home,
  }
  const run = async (program: string, args: readonly string[]): Promise<string> => {
    return (await exec('ip', ['netns', 'exec', netns, program, ...args], { env, timeout: 20_000, maxBuffer: 64 << 20 }))
      .stdout
  }
  const daemon = (name: string, program: string, args: readonly string[]): Promise<string> =>
    run(program, [
      ...args,
      `--unixctl=${at(`${name}.ctl`)}`,
      `--pidfile=${at(`${name}.pid`)}`,
      `--log-file=${at(`${name}.log`)}`,
      '-vconsole:off',
      '--detach',
      '--no-chdir',
    ])
  const pid = (name: string): number => Number(readFileSync(at(`${name}.pid`), 'utf8'))
  const startDb = async (): Promise<void> => {
    const remotes = [`--remote=punix:${at('db.sock')}`, '--remote=db:Open_vSwitch,Open_vSwitch,manager_options']
    await daemon('ovsdb', 'ovsdb-server', [at('conf.db'), ...remotes])
  }
  const startSwitch = async (): Promise<void> => void (await daemon('vsw', 'ovs-vswitchd', [`unix:${at('db.sock')}`]))
  const stopDaemon = async (name: string): Promise<void> => {
    if (!existsSync(at(`${name}.pid`))) return
    const running = pid(name)
    await run('ovs-appctl', ['-t', at(`${name}.ctl`), 'exit']).catch(() => kill(running))
    while (alive(running)) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const vsctl = (...args: string[]): Promise<string> =>
    run('ovs-vsctl', ['--timeout=10', `--db=unix:${at('db.sock')}`, ...args])

  const stop = async (): Promise<void> => {
    await stopDaemon('vsw')
    await stopDaemon('ovsdb')
    if (options.netns === undefined) execFileSync('ip', ['netns', 'del', netns])
    if (dir === undefined) rmSync(home, { recursive: true, force: true })
  }
  try {
    if (!existsSync(at('conf.db'))) execFileSync('ovsdb-tool', ['create', at('conf.db'), SCHEMA], { env })
    await startDb()
    await vsctl('--no-wait', 'init')
    await startSwitch()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    netns,
    dir: home,
    dbSock: `unix:${at('db.sock')}`,
    mgmt: (bridge) => `unix:${at(`${bridge}.mgmt`)}`,
    vsctl,
    ofctl: (command, bridge, ...args) =>
      run('ovs-ofctl', ['-O', 'OpenFlow15', command, `unix:${at(`${bridge}.mgmt`)}`, ...args]),
    appctl: (...args) => run('ovs-appctl', ['-t', at('vsw.ctl'), ...args]),
    get pids() {
      return { ovsdb: pid('ovsdb'), vswitchd: pid('vsw') }
    },
    startDb,
    stopDb: () => stopDaemon('ovsdb'),
    startSwitch,
    stopSwitch: () => stopDaemon('vsw'),
    stop,
  }
}

const kill = (pid: number): string => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
  return ''
}

/** A process that has ended may stand in the list for seconds, until whoever adopted it takes note. */
const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
