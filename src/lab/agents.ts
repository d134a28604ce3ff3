/** The agents of a lab: one real process a host, inside the host's network namespace, with a state folder of its own. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inNamespace, waitFor } from './exec.ts'
import { hostIndex, hostNamespace, type LabPaths, tunnelIp } from './names.ts'
import { ovsEnv } from './ovs.ts'
import {
  isAlive,
  isAliveIn,
  type ProcessRef,
  refFromPidFile,
  signal,
  startDetached,
  terminate,
  waitGone,
} from './processes.ts'
import { REPOSITORY } from './repository.ts'
import { physicalNetwork, torOf, TRUNK_BRIDGE } from './tor.ts'
import { rackNetwork } from './rack.ts'
import { type HostState, type Lab, readHost, writeHost } from './state.ts'

export const agentLog = (lab: Lab, host: string): string => join(lab.paths.host(host), 'agent.log')
export const agentStateDir = (lab: Lab, host: string): string => join(lab.paths.host(host), 'agent')
export const credentialFile = (lab: Lab, host: string): string => join(lab.paths.host(host), 'credential')

/** Pure: the agent's command line. */
export const agentArguments = (lab: Lab, host: string, build: string): string[] => {
  const { server, datapath } = lab.spec
  const tor = torOf(lab.spec, host)
  // Below a ToR a host knows VLANs only; the tunnels are the ToR's.
  const reach = tor
    ? `--bridge-mappings=${physicalNetwork(tor.name)}:${TRUNK_BRIDGE}`
    : `--tunneling-ip=${tunnelIp(hostIndex(host) ?? 0)}`
  const rack = rackNetwork(lab.spec, host)
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    join(build, 'bin/agent.ts'),
    `--host=${host}`,
    `--host-tag=${hostNamespace(lab.spec.name, host)}`,
    `--server=${server?.feeds.join(',') ?? ''}`,
    `--credential-file=${credentialFile(lab, host)}`,
    `--ovsdb=unix:${lab.paths.ovsdb(host)}`,
    `--state=${agentStateDir(lab, host)}`,
    reach,
    ...(rack === null ? [] : [`--bridge-mappings=${rack}:${TRUNK_BRIDGE}`]),
    `--datapath-type=${datapath}`,
    '--heartbeat-interval=5',
  ]
}

/** Starts the host's agent unless it runs; `build` is the source tree to run (default: the one it had, or ours). */
export const startAgent = async (lab: Lab, host: string, build?: string): Promise<HostState> => {
  const had = await readHost(lab.paths, host)
  const ns = hostNamespace(lab.spec.name, host)
  if (isAliveIn(had.agent, ns)) return had
  await terminate(had.agent)
  const tree = build ?? (had.build === '' ? REPOSITORY : had.build)
  if (!existsSync(join(tree, 'bin/agent.ts'))) throw new Error(`${tree} has no bin/agent.ts to run on ${host}`)
  await mkdir(agentStateDir(lab, host), { recursive: true })
  const argv = inNamespace(ns, agentArguments(lab, host, tree))
  const agent = await startDetached(argv, { log: agentLog(lab, host), env: ovsEnv(lab.paths.host(host)), cwd: tree })
  const state = { name: host, agent, build: tree }
  await writeHost(lab.paths, state)
  return state
}

/** Signals the agent and waits until it is gone; rejects when it does not go within 10 s. */
export const stopAgent = async (lab: Lab, host: string, name: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  const { agent } = await readHost(lab.paths, host)
  if (!signal(agent, name)) return
  if (!(await waitGone(agent, 10_000))) throw new Error(`the agent of ${host} ignores ${name} for 10 s`)
}

/** The last lines an agent logged, for an error message. */
export const agentSaid = async (lab: Lab, host: string, lines = 3): Promise<string> =>
  (await readFile(agentLog(lab, host), 'utf8').catch(() => '')).trim().split('\n').slice(-lines).join('\n')

/** Waits until `isUp` says the agent reported in; rejects with its last words when it ends or `timeout` ms pass. */
export const waitForAgent = async (
  lab: Lab,
  host: string,
  isUp: () => Promise<boolean>,
  timeout: number,
): Promise<void> => {
  const { agent } = await readHost(lab.paths, host)
  const up = await waitFor(async () => (!isAlive(agent) ? 'dead' : (await isUp()) ? 'up' : null), {
    timeout,
    every: 100,
  })
  if (up === 'up') return
  const what = up === 'dead' ? 'ended' : `did not report within ${timeout / 1000} s`
  throw new Error(`the agent of ${host} ${what}; the end of ${agentLog(lab, host)}:\n${await agentSaid(lab, host)}`)
}

/** What an agent keeps on its host beside its own process: a DHCP server a network, each in a namespace. */
export interface DhcpServer {
  readonly network: string
  readonly process: ProcessRef | null
}

/** The DHCP servers of a host, found by their folders (`dhcp/<network id>` in the agent's state); no agent is asked. */
export const dhcpServers = async (paths: LabPaths, host: string): Promise<DhcpServer[]> => {
  const root = join(paths.host(host), 'agent', 'dhcp')
  const networks = await readdir(root).catch(() => [] as string[])
  return Promise.all(
    networks.map(async (network) => {
      const ref = refFromPidFile(join(root, network, 'pid'))
      const command = await readFile(`/proc/${ref?.pid}/cmdline`, 'utf8').catch(() => '')
      return { network, process: command.includes(join(root, network)) ? ref : null }
    }),
  )
}
