/**
 * What a lab remembers between commands: one small JSON file an object (the lab, a host, a VM, a server), each written
 * whole and renamed into place. Commands that run side by side touch different files, so no lock is needed.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type LabPaths, labPaths, underlayIndex } from './names.ts'
import type { ProcessRef } from './processes.ts'

export type Topology = 'flat' | 'hpb' | 'racks'

export interface LabSpec {
  readonly version: 1
  readonly name: string
  readonly datapath: 'netdev' | 'system'
  readonly hosts: number
  /** `flat`, the default: every host ends tunnels. `hpb`: ToRs above the first two, see tor.ts. `racks`: see rack.ts. */
  readonly topology?: Topology
  /** Null: the lab runs without server and agents (bare Open vSwitch hosts). */
  readonly server: ServerSpec | null
}

export interface ServerSpec {
  /** True: the lab started it and takes it down. */
  readonly own: boolean
  /** The API's address. */
  readonly url: string
  readonly openrc: string
  /** Where agents find a feed: `ws+unix:/path:/agent` or `ws://…`; more than one with several servers. */
  readonly feeds: readonly string[]
}

export interface HostState {
  readonly name: string
  readonly agent: ProcessRef | null
  /** The source tree the agent was started from. */
  readonly build: string
}

export interface VmState {
  readonly name: string
  readonly host: string
  readonly portId: string
  readonly networkId: string
  readonly mac: string
  readonly tap: string
  readonly mtu: number
  readonly vmUuid: string
  /** Addresses with prefix length, as the VM has them. */
  readonly addresses: readonly string[]
}

export interface Lab {
  readonly spec: LabSpec
  readonly paths: LabPaths
}

/** Parses a JSON file; null when it does not exist. */
export const readJson = async <T>(path: string): Promise<T | null> => {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new Error(`${path} is not readable: ${(error as Error).message}; \`lab down\` removes the lab`, {
      cause: error,
    })
  }
}

/** Writes a JSON file whole: beside it first, then renamed over it. */
export const writeJson = async (path: string, value: unknown): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const beside = `${path}.${randomBytes(4).toString('hex')}`
  await writeFile(beside, `${JSON.stringify(value, null, 2)}\n`)
  await rename(beside, path)
}

/** The lab of that name; null when there is none. */
export const openLab = async (root: string, name: string): Promise<Lab | null> => {
  const paths = labPaths(root, name)
  const spec = await readJson<LabSpec>(paths.spec)
  return spec ? { spec, paths } : null
}

export const listLabs = async (root: string): Promise<string[]> =>
  (await readdir(root, { withFileTypes: true }).catch(() => [])).filter((e) => e.isDirectory()).map((e) => e.name)

const hostFile = (paths: LabPaths, name: string): string => join(paths.host(name), 'host.json')

export const readHost = async (paths: LabPaths, name: string): Promise<HostState> =>
  (await readJson<HostState>(hostFile(paths, name))) ?? { name, agent: null, build: '' }

export const writeHost = (paths: LabPaths, host: HostState): Promise<void> =>
  writeJson(hostFile(paths, host.name), host)

/** The hosts and ToRs that have a folder, in the order of their numbers. */
export const hostsOnDisk = async (paths: LabPaths): Promise<string[]> =>
  (await readdir(paths.hosts).catch(() => []))
    .filter((name) => underlayIndex(name) > 0)
    .toSorted((a, b) => underlayIndex(a) - underlayIndex(b))

export const readVm = (paths: LabPaths, name: string): Promise<VmState | null> => readJson<VmState>(paths.vm(name))
export const writeVm = (paths: LabPaths, vm: VmState): Promise<void> => writeJson(paths.vm(vm.name), vm)
export const forgetVm = (paths: LabPaths, name: string): Promise<void> => rm(paths.vm(name), { force: true })

export const listVms = async (paths: LabPaths): Promise<VmState[]> => {
  const files = (await readdir(paths.vms).catch(() => [])).filter((file) => file.endsWith('.json')).toSorted()
  const vms = await Promise.all(files.map((file) => readJson<VmState>(join(paths.vms, file))))
  return vms.flatMap((vm) => vm ?? [])
}
