/**
 * What is tested: the server on a database to throw away, simulated hosts, and the external network that clients
 * expect an operator to have made.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_FLAGS, NODE_VARIABLES } from '#launch/node-flags.ts'
import { startThrowawayPostgres } from '#launch/throwaway.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { SERVICE_USER } from './catalogue.ts'
import { ask, demand, type Json } from './http.ts'
import { PASSWORD } from './keystone.ts'
import { type Program, startProgram, waitForHttp } from './process.ts'

export interface CloudOptions {
  readonly root: string
  readonly folder: string
  readonly port: number
  readonly feedPort: number
  /** Of the API. */
  readonly url: string
  readonly workers: number
  readonly hosts: number
  /** URL of Keystone. */
  readonly keystone: string
}

export const PHYSICAL_NETWORKS = { public: 'br-ex', physnet1: 'br-physnet1' } as const

/** As the peer is set up: room enough, but counted; small where tests fill a quota to its end. */
const SETTINGS: Readonly<Record<string, string>> = {
  'tenant-network-types': 'vxlan',
  'network-vlan-ranges': 'physnet1:100:199',
  'tunnel-id-ranges': '1:10000',
  'quota-network': '100000',
  'quota-subnet': '100000',
  'quota-port': '100000',
  'quota-router': '100000',
  'quota-floatingip': '100000',
  'quota-security-group': '10',
  'quota-security-group-rule': '100',
  'quota-rbac-policy': '10',
  'log-level': 'warn',
}

const nodeArgv = (root: string, script: string, flags: readonly string[]): string[] => [
  process.execPath,
  ...NODE_FLAGS,
  join(root, 'bin', script),
  ...flags,
]

export interface Server {
  readonly databaseUrl: string
  /** As a loader of settings reads them. */
  readonly flags: readonly string[]
  /** SIGKILL to it and its workers; resolves when they are gone. */
  kill(): Promise<void>
  /** On the same database and ports; resolves when the API answers. */
  start(): Promise<void>
}

const flagsOf = ({ folder, port, feedPort, workers, keystone }: CloudOptions): string[] => {
  const settings = {
    ...SETTINGS,
    port,
    'feed-port': feedPort,
    workers,
    data: folder,
    identity: 'keystone',
    'keystone-auth-url': keystone,
    'keystone-username': SERVICE_USER,
    'keystone-password': PASSWORD,
  }
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
}

/** Starts PostgreSQL and the server; resolves when the API answers. */
export const startServer = async (stack: AsyncDisposableStack, options: CloudOptions): Promise<Server> => {
  const { root, folder, url } = options
  const { url: databaseUrl } = await startThrowawayPostgres()
  const flags = flagsOf(options)
  const launch = async (): Promise<Program> => {
    const program = startProgram(stack, {
      argv: nodeArgv(root, 'server.ts', flags),
      log: join(folder, 'server.log'),
      env: { ...NODE_VARIABLES, ...process.env, DEUTERON_DATABASE_URL: databaseUrl },
      cwd: folder,
    })
    await waitForHttp('the server', `${url}/healthz`, program)
    return program
  }
  let running = await launch()
  return {
    databaseUrl,
    flags,
    kill: () => running.stop('SIGKILL'),
    start: async () => {
      running = await launch()
    },
  }
}

export interface HostsOptions extends Pick<CloudOptions, 'root' | 'folder' | 'feedPort' | 'url' | 'hosts'> {
  /** Further flags of the agents. */
  readonly flags?: readonly string[]
}

/** Simulated hosts `host-1` … `host-N`; resolves when the server knows the agents of all of them. */
export const startHosts = async (
  stack: AsyncDisposableStack,
  { root, folder, feedPort, url, hosts, flags = [] }: HostsOptions,
  token: string,
): Promise<void> => {
  const names = Array.from({ length: hosts }, (_, index) => (hosts === 1 ? 'host' : `host-${index + 1}`))
  const lines: string[] = []
  for (const host of names) {
    const { enrolment } = await demand('POST', `${url}/v2.0/agents/enrolments`, {
      token,
      body: { enrolment: { host } },
    })
    lines.push(`${host} ${enrolment.secret}\n`)
  }
  const credentials = join(folder, 'credentials')
  writeFileSync(credentials, lines.join(''), { mode: 0o600 })
  const mappings = Object.entries(PHYSICAL_NETWORKS).map((pair) => pair.join(':'))
  startProgram(stack, {
    argv: nodeArgv(root, 'agent.ts', [
      '--dataplane=sim',
      '--host=host',
      `--hosts=${hosts}`,
      `--server=ws://127.0.0.1:${feedPort}`,
      `--credential-file=${credentials}`,
      `--bridge-mappings=${mappings.join(',')}`,
      `--state=${join(folder, 'agent')}`,
      '--log-level=warn',
      ...flags,
    ]),
    log: join(folder, 'agent.log'),
    env: process.env,
    cwd: folder,
  })
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) {
    const { agents = [] }: { agents?: Json[] } = (await ask('GET', `${url}/v2.0/agents`, { token })).body
    if (new Set(agents.map(({ host }) => host)).size >= hosts) return
  }
}

/** The id of the external network `public`, made when missing; null, with the reason, while the server knows none such. */
export const publicNetwork = async (
  url: string,
  token: string,
): Promise<{ readonly id: string | null; readonly reason: string }> => {
  const found = await demand('GET', `${url}/v2.0/networks?name=public`, { token })
  if (found.networks.length > 0) return { id: found.networks[0].id, reason: '' }
  const network = {
    name: 'public',
    'router:external': true,
    'provider:network_type': 'flat',
    'provider:physical_network': 'public',
  }
  const { status, body } = await ask('POST', `${url}/v2.0/networks`, { token, body: { network } })
  if (status !== 201) return { id: null, reason: `${status} ${JSON.stringify(body)}` }
  const subnet = {
    name: 'public-v4',
    network_id: body.network.id,
    ip_version: 4,
    cidr: '172.24.0.0/16',
    gateway_ip: '172.24.0.1',
    enable_dhcp: false,
    allocation_pools: [{ start: '172.24.0.10', end: '172.24.255.250' }],
  }
  await demand('POST', `${url}/v2.0/subnets`, { token, body: { subnet } })
  return { id: body.network.id, reason: '' }
}

/** Pools that everybody's subnets may come from, so that networks made automatically have some. */
const DEFAULT_POOLS = [
  { name: 'default-v4', prefixes: ['10.192.0.0/10'], default_prefixlen: 26 },
  { name: 'default-v6', prefixes: ['2001:db8:8000::/40'], default_prefixlen: 64 },
]

/** Makes the default subnet pools that are missing. */
export const defaultPools = async (url: string, token: string): Promise<void> => {
  const found: { subnetpools: Json[] } = await demand('GET', `${url}/v2.0/subnetpools?is_default=true`, { token })
  for (const pool of DEFAULT_POOLS) {
    if (found.subnetpools.some(({ name }) => name === pool.name)) continue
    const subnetpool = { ...pool, shared: true, is_default: true }
    await demand('POST', `${url}/v2.0/subnetpools`, { token, body: { subnetpool } })
  }
}

/** Aliases the server advertises. */
export const extensionsOf = async (url: string, token: string): Promise<string[]> => {
  const { extensions }: { extensions: Json[] } = await demand('GET', `${url}/v2.0/extensions`, { token })
  return extensions.map(({ alias }) => alias).sort()
}
