/**
 * Drives endpoints in VM namespaces from outside: starts them, runs windows of traffic between every ordered pair, and
 * joins what both ends counted.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { inNamespace, sleep, urgent } from '../exec.ts'
import type { Answer, Command } from './endpoint.ts'
import { type FlowResult, joinFlow } from './tally.ts'

const PORT = 9001
const ENDPOINT = fileURLToPath(new URL('./endpoint.ts', import.meta.url))
/** What is still under way when sending stops has this long to arrive, ms. */
const GRACE = 400
/** After the last action traffic goes on for so long, ms: what an agent does late shows too. */
const SETTLE = 2_000

export interface ProbeVm {
  readonly name: string
  readonly namespace: string
  /** The address the others send to. */
  readonly address: string
}

export interface Path {
  readonly from: string
  readonly to: string
}

export interface WindowResult {
  readonly seconds: number
  readonly flows: readonly FlowResult[]
  /** TCP segments sent again during the window, by VM. */
  readonly retransmitted: Readonly<Record<string, number>>
}

interface Endpoint {
  readonly vm: ProbeVm
  readonly child: ChildProcess
  ask<K extends Answer['is']>(command: Command, is: K): Promise<Extract<Answer, { is: K }>>
  retransmitted: number
}

export interface ProbeSession extends AsyncDisposable {
  /**
   * Sends for at least `seconds`; `during`, if given, begins after a fifth of them and the window lasts until it is
   * done and two seconds have passed; it is told the milliseconds since the first packet when it asks. Rejects when a flow cannot start (no TCP connection) or when `during` fails.
   */
  window(seconds: number, during?: (sinceStart: () => number) => Promise<void>): Promise<WindowResult>
}

const startEndpoint = async (vm: ProbeVm): Promise<Endpoint> => {
  const argv = inNamespace(vm.namespace, await urgent([process.execPath, ENDPOINT, String(PORT)]))
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting: ((answer: Answer | Error) => void)[] = []
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(JSON.parse(line) as Answer))
  const fail = (why: string): void => {
    for (const take of waiting.splice(0)) take(new Error(`the probe in VM ${vm.name} ended: ${why}`))
  }
  child.on('error', (error) => fail(error.message))
  child.on('exit', (code, name) => fail(`${code ?? name}`))
  child.stdin.on('error', () => undefined)
  const next = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null) return reject(new Error(`the probe in VM ${vm.name} has ended`))
      waiting.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)))
    })
  await next()
  return {
    vm,
    child,
    retransmitted: 0,
    async ask(command, is) {
      const answered = next()
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const answer = await answered
      if (answer.is !== is) throw new Error(`the probe in VM ${vm.name} answered ${answer.is}, not ${is}`)
      return answer as never
    },
  }
}

type Received = Extract<Answer, { is: 'report' }>['flows'][number][1]
const NOTHING: Received = {
  unique: 0,
  duplicates: 0,
  reordered: 0,
  longestGap: 0,
  longestGapAt: 0,
  maxDelay: 0,
  meanDelay: 0,
  missing: [],
  highest: -1,
}

const closeEndpoints = async (endpoints: readonly Endpoint[]): Promise<void> => {
  for (const { child } of endpoints) child.stdin?.end()
  const gone = endpoints.map(({ child }) => child.exitCode ?? new Promise((done) => child.once('exit', done)))
  await Promise.race([Promise.all(gone), sleep(2_000)])
  for (const { child } of endpoints) child.kill('SIGKILL')
}

/** Begins every path of one run; flow numbers are positions in `paths`. */
const startFlows = async (
  endpoints: readonly Endpoint[],
  paths: readonly Path[],
  run: number,
  rate: number,
): Promise<void> => {
  const addresses = new Map(endpoints.map(({ vm }) => [vm.name, vm.address]))
  const starting = endpoints.map(async ({ vm, ask }) => {
    const flows = paths.flatMap(({ from, to }, flow) =>
      from === vm.name ? [{ flow, to: addresses.get(to) ?? '' }] : [],
    )
    const { error } = await ask({ do: 'start', run, rate, flows }, 'started')
    if (error !== null) throw new Error(`VM ${vm.name} cannot begin: ${error}`)
  })
  await Promise.all(starting)
}

/** Ends a run and joins what the two ends of each path counted. */
const finishFlows = async (
  endpoints: readonly Endpoint[],
  paths: readonly Path[],
  run: number,
): Promise<Omit<WindowResult, 'seconds'>> => {
  const stopped = await Promise.all(endpoints.map(({ ask }) => ask({ do: 'stop', run }, 'stopped')))
  const sent = new Map(stopped.flatMap(({ flows }) => flows))
  await sleep(GRACE)
  const received = new Map<number, Received>()
  const retransmitted: Record<string, number> = {}
  for (const endpoint of endpoints) {
    const report = await endpoint.ask({ do: 'report', run }, 'report')
    for (const [flow, counts] of report.flows) received.set(flow, counts)
    retransmitted[endpoint.vm.name] = report.retransmitted - endpoint.retransmitted
    endpoint.retransmitted = report.retransmitted
  }
  const flows = paths.flatMap(({ from, to }, flow) => {
    const counts = sent.get(flow)
    return counts ? [joinFlow(from, to, counts, received.get(flow) ?? NOTHING)] : []
  })
  return { flows, retransmitted }
}

/** Starts an endpoint in each VM that `paths` names. `rate` is packets a second and flow. */
export const openProbe = async (
  vms: readonly ProbeVm[],
  paths: readonly Path[],
  rate = 1000,
): Promise<ProbeSession> => {
  const used = vms.filter(({ name }) => paths.some(({ from, to }) => from === name || to === name))
  const endpoints = await Promise.all(used.map(startEndpoint))
  let runs = 0
  return {
    async window(seconds, during) {
      const run = ++runs
      await startFlows(endpoints, paths, run, rate)
      const from = performance.now()
      let failure: unknown = null
      const acting = async (): Promise<void> => {
        if (!during) return
        await sleep(seconds * 200)
        await during(() => performance.now() - from).catch((error: unknown) => (failure = error))
        await sleep(SETTLE)
      }
      await Promise.all([sleep(seconds * 1000), acting()])
      const lasted = (performance.now() - from) / 1000
      const result = await finishFlows(endpoints, paths, run)
      if (failure !== null) throw failure
      return { seconds: lasted, ...result }
    },
    [Symbol.asyncDispose]: () => closeEndpoints(endpoints),
  }
}
