/**
 * Binding: ports that get a host, to the answer and to flows that are proven. In a lab of three real hosts, with
 * simulated hosts in number, and one port bound to and fro between two hosts. Beside them what Neutron took.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHosts } from '../conformance/cloud.ts'
import { subscribe } from '../test/lib/sse.ts'
import { ending } from './ends.ts'
import { plug, withRig } from './lab.ts'
import { type Answer, type Call, type Client, createClient, type Measured, measure, succeeded } from './load.ts'
import { login, meterOf, startServer } from './server.ts'
import { figures, table } from './table.ts'

export interface BindingBenchOptions {
  /** Multiplies the request counts. */
  readonly scale: number
  /** API processes of the server of the simulated hosts. */
  readonly workers: string
  /** How many hosts are simulated. */
  readonly hosts: number
  /** Needs root. */
  readonly lab: boolean
  readonly print: (text: string) => void
}

/** A Neutron 21.0.0 with ML2/OVS, two API workers, MariaDB with durable commits, on a machine of the same size. */
const PEER: readonly Measured[] = [
  { clients: 1, requests: 50, p50: 435, p95: 538, perSecond: 2.2, cpuMs: 410.6 },
  { clients: 8, requests: 100, p50: 1336.8, p95: 2120, perSecond: 5.8, cpuMs: 289.2 },
].map((one) => ({ name: 'Neutron: to the answer, nobody listens', p99: Number.NaN, failures: 0, ...one }))

/** No scenario takes longer, however slow the machine is. */
const SECONDS = 60
const ACTIVE_WITHIN_MS = 20_000
const REBINDS = 100

interface Port {
  readonly id: string
  readonly mac_address: string
  /** Hosts it may be bound on. */
  readonly hosts: readonly string[]
}

/** A server with hosts that listen. */
interface Ground {
  readonly name: string
  readonly client: Client
  readonly cpu: () => number
  /** How many requests a scenario makes. */
  readonly n: (count: number) => number
  readonly report: (measured: Measured) => void
}

interface Stretch {
  readonly network: string
  readonly project: string
  readonly hosts: readonly string[]
}

const bodyOf = ({ text }: Answer): Record<string, any> => JSON.parse(text || '{}') as Record<string, any>

async function demand(client: Client, call: Call): Promise<Record<string, any>> {
  const answer = await client.call(call)
  if (!succeeded(answer)) throw new Error(`${call.method} ${call.path}: ${answer.status} ${answer.text.slice(0, 300)}`)
  return bodyOf(answer)
}

/** A network with a subnet of 64,000 addresses, in a project of its own, for ports on these hosts. */
async function stretch(client: Client, name: string, hosts: readonly string[]): Promise<Stretch> {
  const { network } = await demand(client, {
    method: 'POST',
    path: '/networks',
    body: { network: { name, project_id: name } },
  })
  const subnet = { network_id: network.id, ip_version: 4, cidr: '10.0.0.0/16', enable_dhcp: false }
  await demand(client, { method: 'POST', path: '/subnets', body: { subnet } })
  return { network: network.id, project: name, hosts }
}

/** Ports without a host, dealt out to the networks; each is told a host of its network, all hosts in turn. */
async function makePorts(client: Client, over: readonly Stretch[], count: number): Promise<Port[]> {
  const made = await Promise.all(
    over.map(async ({ network, project, hosts }, index) => {
      const share = Math.floor(count / over.length) + (index < count % over.length ? 1 : 0)
      const ports: Port[] = []
      while (ports.length < share) {
        const one = { network_id: network, project_id: project }
        const some = Array.from({ length: Math.min(100, share - ports.length) }, () => one)
        const answer = await demand(client, { method: 'POST', path: '/ports', body: { ports: some } })
        for (const { id, mac_address } of answer['ports'] as Port[])
          ports.push({ id, mac_address, hosts: [hosts[ports.length % hosts.length] as string] })
      }
      return ports
    }),
  )
  // Neighbours in time are not neighbours in a network.
  return Array.from({ length: Math.max(...made.map((ports) => ports.length)) }, (_, index) =>
    made.flatMap((ports) => ports[index] ?? []),
  ).flat()
}

/** As Nova does it. */
const bind = ({ id }: Pick<Port, 'id'>, host: string): Call => ({
  method: 'PUT',
  path: `/ports/${id}`,
  body: { port: { 'binding:host_id': host, device_owner: 'compute:nova', device_id: id } },
})

const bindAll = (ports: readonly Port[]): Call[] => ports.map((port) => bind(port, port.hosts[0] as string))

/** A failed binding is answered 200, too. */
const bound = (answer: Answer): boolean => succeeded(answer) && bodyOf(answer)['port']?.['binding:vif_type'] === 'ovs'

async function run(ground: Ground, name: string, clients: number, calls: readonly Call[], client = ground.client) {
  const { cpu, report } = ground
  const options = { name: `${ground.name}: ${name}`, clients, calls, cpu, accept: bound, seconds: SECONDS }
  const { measured } = await measure(client, options)
  report(measured)
  return measured
}

interface Figures {
  readonly alone: Measured
  readonly crowd: Measured
}

/** Fresh ports, bound one after another and by 16 clients at once. */
async function toAnswer(ground: Ground, over: readonly Stretch[], name = 'to the answer'): Promise<Figures> {
  const { client, n } = ground
  const [warm, few, many] = [n(200), n(200), n(1500)]
  const ports = await makePorts(client, over, warm + few + many)
  // Every process compiles what it runs often.
  await measure(client, { name: 'warm-up', clients: 16, calls: bindAll(ports.slice(0, warm)), seconds: SECONDS })
  await sleep(500)
  const alone = await run(ground, name, 1, bindAll(ports.slice(warm, warm + few)))
  const crowd = await run(ground, name, 16, bindAll(ports.slice(warm + few)))
  return { alone, crowd }
}

/** One port to and fro: in turn, then by 16 clients who do not know of each other. */
async function rebind(ground: Ground, { network, project, hosts }: Stretch): Promise<void> {
  const [here, there] = hosts as readonly [string, string]
  const [port] = await makePorts(ground.client, [{ network, project, hosts: [here] }], 1)
  if (!port) throw new Error('no port was made')
  await demand(ground.client, bind(port, there))
  const calls = Array.from({ length: REBINDS }, (_, index) => bind(port, index % 2 === 0 ? here : there))
  await run(ground, 'one port to and fro', 1, calls)
  await run(ground, 'one port to and fro', 16, calls)
  const { port: now } = await demand(ground.client, { method: 'GET', path: `/ports/${port.id}` })
  if (!hosts.includes(now['binding:host_id']) || now['binding:vif_type'] !== 'ovs')
    throw new Error(`after the rebinds the port is ${now['binding:vif_type']} on ${now['binding:host_id']}`)
}

/** Whoever waits for a port's flows: an answer of its client comes when the port is ACTIVE. */
async function provenClient(
  { client }: Ground,
  at: { readonly url: string; readonly token: string },
  plugged: (port: Port & Record<string, string>) => Promise<void>,
): Promise<Client> {
  const watch = await subscribe(at.url, { query: '?kind=port', headers: { 'x-auth-token': at.token } })
  const call = async (request: Call): Promise<Answer> => {
    const began = performance.now()
    const answer = await client.call(request)
    if (!bound(answer)) return answer
    const { port } = bodyOf(answer)
    const active = watch.until(({ data }) => data.id === port.id && data.after?.status === 'ACTIVE', ACTIVE_WITHIN_MS)
    const late = (): Answer => ({ ...answer, status: 504, text: `port ${port.id} did not turn ACTIVE` })
    const done = active.then(() => answer, late)
    await plugged(port)
    return { ...(await done), ms: performance.now() - began }
  }
  return { call, close: () => watch.leave() }
}

/** From the request to the port's status ACTIVE, which is told when its flows are proven. */
async function toProven(
  ground: Ground,
  over: readonly Stretch[],
  proven: Client,
  name: string,
  [few, many]: readonly [number, number],
): Promise<Figures> {
  const warm = 16
  const ports = await makePorts(ground.client, over, warm + few + many)
  await measure(proven, { name: 'warm-up', clients: 4, calls: bindAll(ports.slice(0, warm)), seconds: SECONDS })
  const alone = await run(ground, name, 1, bindAll(ports.slice(warm, warm + few)), proven)
  const crowd = await run(ground, name, 16, bindAll(ports.slice(warm + few)), proven)
  proven.close()
  return { alone, crowd }
}

type Shared = Pick<Ground, 'n' | 'report'>

/** Three agents with userspace Open vSwitch. Interfaces are plugged when the binding is answered, as Nova does. */
async function inLab(shared: Shared): Promise<{ answer: Figures; proven: Figures }> {
  const found: { answer?: Figures; proven?: Figures } = {}
  await withRig('benchbind', async (rig) => {
    const { server } = rig.lab.spec
    if (!server) throw new Error('the lab has no server')
    const { token } = await login(server.url, rig.lab.paths.server)
    const client = createClient(server.url, token, 16)
    const { cpu } = await meterOf(rig.lab.paths.server)
    const ground: Ground = { ...shared, name: '3 real hosts', client, cpu }
    const { network } = await demand(client, { method: 'GET', path: `/networks/${rig.network}` })
    const over: Stretch = { network: network.id, project: network.project_id, hosts: ['h1', 'h2', 'h3'] }
    found.answer = await toAnswer(ground, [over])
    await rebind(ground, { ...over, hosts: ['h1', 'h2'] })
    const proven = await provenClient(ground, { url: server.url, token }, (port) =>
      plug(rig, port['binding:host_id'] as string, [port]),
    )
    found.proven = await toProven(ground, [over], proven, 'to proven flows', [shared.n(50), shared.n(320)])
    client.close()
  })
  return found as { answer: Figures; proven: Figures }
}

/** Hosts a network is on. */
const SPREAD = 10

/** Simulated agents in one process. `plugs`: they find every port plugged at once, and report it ACTIVE. */
async function withSimulated(
  { workers, hosts }: BindingBenchOptions,
  plugs: boolean,
  shared: Shared,
  work: (ground: Ground, over: readonly Stretch[], at: { url: string; token: string }) => Promise<void>,
): Promise<void> {
  await using server = await startServer(['--workers', workers, '--quota-port=-1', '--quota-network=-1'])
  const folder = await mkdtemp(join(tmpdir(), 'deuteron-bench-hosts-'))
  await using _ = ending(() => rm(folder, { recursive: true, force: true }))
  await using stack = new AsyncDisposableStack()
  const { url, feedPort, token, cpu } = server
  const flags = plugs ? [] : ['--no-auto-plug']
  await startHosts(stack, { root: join(import.meta.dirname, '..'), folder, feedPort, url, hosts, flags }, token)
  const client = createClient(url, token, 16)
  const ground: Ground = { ...shared, name: `${hosts} simulated hosts`, client, cpu }
  const names = Array.from({ length: hosts }, (_, index) => `host-${index + 1}`)
  const over = await Promise.all(
    Array.from({ length: Math.ceil(hosts / SPREAD) }, (_, index) =>
      stretch(client, `p${index}`, names.slice(index * SPREAD, (index + 1) * SPREAD)),
    ),
  )
  await work(ground, over, { url, token })
  client.close()
}

async function amongMany(options: BindingBenchOptions, shared: Shared): Promise<Figures> {
  let found: Figures | undefined
  await withSimulated(options, false, shared, async (ground, over) => {
    found = await toAnswer(ground, over)
    await rebind(ground, over[0] as Stretch)
    const everywhere = await stretch(
      ground.client,
      'everywhere',
      over.flatMap(({ hosts }) => hosts),
    )
    await toAnswer({ ...ground, n: (count) => ground.n(count / 2) }, [everywhere], 'to the answer, one network on all')
  })
  await withSimulated(options, true, shared, async (ground, over, at) => {
    const proven = await provenClient(ground, at, () => Promise.resolve())
    await toProven(ground, over, proven, 'to ACTIVE', [shared.n(200), shared.n(1500)])
  })
  return found as Figures
}

const aim = (what: string, value: number, limit: string, reached: boolean): string[] => [
  what,
  value.toFixed(1),
  limit,
  reached ? 'reached' : 'missed',
]

/** What binding is meant to reach, beside what it did. */
const aims = (place: string, { alone, crowd }: Figures): string[][] => [
  aim(`${place}: to the answer, 1 client, p50 ms`, alone.p50, '≤ 8', alone.p50 <= 8),
  aim(`${place}: 16 clients, per second`, crowd.perSecond, '≥ 400', crowd.perSecond >= 400),
]

export async function benchBinding(options: BindingBenchOptions): Promise<void> {
  const { scale, hosts, lab, print } = options
  const measured: Measured[] = []
  const shared: Shared = {
    n: (count) => Math.max(16, Math.round(count * scale)),
    report: (one) => {
      measured.push(one)
      process.stderr.write(`${one.name} ×${one.clients}: p50 ${one.p50.toFixed(2)} ms, ${one.perSecond.toFixed(0)}/s\n`)
    },
  }
  const real = lab ? await inLab(shared) : null
  const many = await amongMany(options, shared)
  print(figures([...measured, ...PEER]))
  const rows = [
    ...(real ? aims('3 real hosts', real.answer) : []),
    ...aims(`${hosts} simulated hosts`, many),
    ...(real
      ? [aim('to proven flows, 1 client, p50 ms', real.proven.alone.p50, '≤ 150', real.proven.alone.p50 <= 150)]
      : []),
  ]
  print(`\n${table(['aim', 'figure', 'limit', ''], rows)}\n`)
  if (!lab) print('SKIPPED: the lab part needs root')
}
