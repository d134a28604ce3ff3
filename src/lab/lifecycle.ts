/** `lab up`, `lab down` and `lab status` as functions: whole labs, from any state to the one wished for. */
import { existsSync } from 'node:fs'
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor } from './exec.ts'
import { startAgent, waitForAgent } from './agents.ts'
import { type Api, apiFromOpenrc } from './api.ts'
import { enrol, heardFrom } from './enrol.ts'
import { torProcess, torsOf } from './tor.ts'
import { bringUpHosts, hostNames, takeDown } from './hosts.ts'
import { labPaths } from './names.ts'
import { datapathIssue, ovsProcesses, vsctl } from './ovs.ts'
import { isAlive } from './processes.ts'
import { INTEGRATION_BRIDGE, unpluggedVms } from './vm.ts'
import { removeServer, serverLog, serverProcess, startServer } from './server.ts'
import {
  type Lab,
  type LabSpec,
  listVms,
  openLab,
  readHost,
  type ServerSpec,
  type Topology,
  type VmState,
  writeJson,
} from './state.ts'

export interface UpOptions {
  readonly name: string
  readonly hosts: number
  readonly datapath: 'netdev' | 'system'
  readonly topology?: Topology
  /** A server that runs already; `own` starts one; `none` makes bare Open vSwitch hosts. */
  readonly server: 'own' | 'none' | Omit<ServerSpec, 'own'>
}

export type Say = (line: string) => void

/** Refuses what cannot become the wished lab, in one sentence. */
const checkWish = async (had: LabSpec | null, wish: UpOptions): Promise<void> => {
  const issue = await datapathIssue(wish.datapath)
  if (issue !== null) throw new Error(issue)
  if (typeof wish.server === 'object' && !existsSync(wish.server.openrc))
    throw new Error(`there is no file ${wish.server.openrc}: --openrc says how to log in at ${wish.server.url}`)
  if (wish.topology !== undefined && wish.topology !== 'flat' && wish.hosts < 2)
    throw new Error(`topology ${wish.topology} needs at least 2 hosts: say --hosts 3`)
  if (!had) return
  const topology = had.topology ?? 'flat'
  if (topology !== (wish.topology ?? topology))
    throw new Error(`lab ${wish.name} has topology ${topology}; run \`deuteron lab down\` first to change it`)
  if (had.hosts > wish.hosts)
    throw new Error(`lab ${wish.name} has ${had.hosts} hosts; to have ${wish.hosts} run \`deuteron lab down\` first`)
  if (had.datapath !== wish.datapath)
    throw new Error(`lab ${wish.name} runs the ${had.datapath} datapath; run \`deuteron lab down\` first to change it`)
}

/**
 * Makes the lab, or mends what is left of it: processes that died are started, links that went are made, and what
 * stands is not touched. Answers once every agent has reported to the server.
 */
export const bringUp = async (root: string, wish: UpOptions, say: Say): Promise<Lab> => {
  const had = await openLab(root, wish.name)
  await checkWish(had?.spec ?? null, wish)
  const paths = labPaths(root, wish.name)
  await mkdir(paths.vms, { recursive: true })
  const bare: LabSpec = {
    version: 1,
    name: wish.name,
    datapath: wish.datapath,
    hosts: wish.hosts,
    topology: wish.topology ?? had?.spec.topology ?? 'flat',
    server: had?.spec.server ?? null,
  }
  await writeJson(paths.spec, bare)
  const began = performance.now()
  const since = (): string => `${((performance.now() - began) / 1000).toFixed(1)} s`

  const hosts = bringUpHosts({ spec: bare, paths }, wish.server !== 'none').then(() =>
    say(`${wish.hosts} hosts with Open vSwitch stand (${since()})`),
  )
  const [server] = await Promise.all([serverFor(wish, had?.spec.server ?? null, { spec: bare, paths }), hosts])
  const lab: Lab = { spec: { ...bare, server }, paths }
  for (const name of await unpluggedVms(lab))
    say(`VM ${name} lost its link; remove it with: deuteron lab vm del ${name}`)
  await writeJson(paths.spec, lab.spec)
  if (!server) return lab
  say(`the server serves ${server.url} (${since()})`)
  await bringUpAgents(lab)
  say(`${wish.hosts} agents have reported (${since()})`)
  if ((await waitForTors(lab)) > 0) say(`the ToRs are known (${since()})`)
  return lab
}

/** The server of the wish; a lab that was made with somebody else's server keeps it. */
const serverFor = async ({ server }: UpOptions, had: ServerSpec | null, lab: Lab): Promise<ServerSpec | null> => {
  if (server === 'none') return null
  if (server !== 'own') return { own: false, ...server }
  return had?.own === false ? had : startServer(lab)
}

const bringUpAgents = async (lab: Lab): Promise<void> => {
  const api = await labApi(lab)
  await Promise.all(
    hostNames(lab).map(async (host) => {
      await enrol(lab, api, host)
      const since = Date.now()
      const { agent } = await readHost(lab.paths, host)
      if ((await startAgent(lab, host)).agent?.pid === agent?.pid) return
      await waitForAgent(lab, host, () => heardFrom(api, host, since), 30_000)
      // An agent reports before it has made its bridge, and whoever plugs without the bridge plugs nothing.
      await vsctl(lab, host, ['--no-wait', 'wait-until', 'Bridge', INTEGRATION_BRIDGE, 'datapath_id!=[]'])
    }),
  )
}

/** Until then no port can be bound on a host below a ToR; answers how many. Somebody else's server may know nothing of ours. */
const waitForTors = async (lab: Lab): Promise<number> => {
  if (!lab.spec.server?.own) return 0
  const api = await labApi(lab)
  for (const { name } of torsOf(lab.spec)) {
    const known = await waitFor(() => heardFrom(api, name, Date.now() - 20_000), { timeout: 40_000, every: 200 })
    if (!known) throw new Error(`the server does not reach the database of ${name}; see ${serverLog(lab.paths)}`)
  }
  return torsOf(lab.spec).length
}

export const labApi = async (lab: Lab): Promise<Api> => {
  if (!lab.spec.server) throw new Error(`lab ${lab.spec.name} has no server: it was made with --bare`)
  return apiFromOpenrc(lab.spec.server.openrc)
}

/** Removes a lab with everything in it; answers false when there was nothing. Never fails on what is already gone. */
export const bringDown = async (root: string, name: string): Promise<boolean> => {
  const paths = labPaths(root, name)
  const spec = (await openLab(root, name).catch(() => null))?.spec ?? null
  const found = await takeDown(root, name)
  await removeServer(paths)
  await rm(paths.dir, { recursive: true, force: true })
  await rmdir(root).catch(() => undefined)
  return found || spec !== null
}

export interface HostStatus {
  readonly host: string
  readonly agentPid: number | null
  readonly ovsdb: boolean
  readonly vswitchd: boolean
  readonly build: string
}

export interface TorStatus {
  readonly tor: string
  readonly hosts: readonly string[]
  readonly ovsdb: boolean
  readonly vswitchd: boolean
  readonly emulator: boolean
}

export interface LabStatus {
  readonly spec: LabSpec
  readonly dir: string
  readonly serverPid: number | null
  readonly hosts: readonly HostStatus[]
  readonly tors: readonly TorStatus[]
  readonly vms: readonly (VmState & { readonly portStatus: string })[]
}

/** What of a lab is alive, and which status the server shows for each VM's port. */
export const readStatus = async (lab: Lab): Promise<LabStatus> => {
  const { spec, paths } = lab
  const hosts = await Promise.all(
    hostNames(lab).map(async (host) => {
      const { agent, build } = await readHost(paths, host)
      const { ovsdb, vswitchd } = ovsProcesses(paths.host(host))
      return {
        host,
        agentPid: isAlive(agent) ? agent.pid : null,
        ovsdb: isAlive(ovsdb),
        vswitchd: isAlive(vswitchd),
        build: build === '' ? '' : build,
      }
    }),
  )
  const tors = torsOf(spec).map(({ name, hosts: below }) => {
    const { ovsdb, vswitchd } = ovsProcesses(paths.host(name))
    const emulator = isAlive(torProcess(lab, name))
    return { tor: name, hosts: below, ovsdb: isAlive(ovsdb), vswitchd: isAlive(vswitchd), emulator }
  })
  const server = await serverProcess(paths)
  const vms = await listVms(paths)
  const ids = vms.map(({ portId }) => `id=${portId}`).join('&')
  const ports: readonly { id: string; status: string }[] =
    spec.server && vms.length > 0
      ? await labApi(lab)
          .then((api) => api.call('GET', `ports?fields=id&fields=status&${ids}`))
          .then((body) => body['ports'] as { id: string; status: string }[])
          .catch(() => [])
      : []
  const statusOf = (id: string): string =>
    ports.find((port) => port.id === id)?.status ?? (spec.server ? 'unknown' : '-')
  return {
    spec,
    dir: join(paths.dir),
    serverPid: isAlive(server) ? server.pid : null,
    hosts,
    tors,
    vms: vms.map((vm) => ({ ...vm, portStatus: statusOf(vm.portId) })),
  }
}
