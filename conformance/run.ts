/** `deuteron conformance`: real Keystone and tempest against the server, compared with what a real Neutron did. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { messageOf, UserError } from '#launch/user-error.ts'
import { fillCatalogue, logIn } from './catalogue.ts'
import {
  type CloudOptions,
  defaultPools,
  extensionsOf,
  publicNetwork,
  type Server,
  startHosts,
  startServer,
} from './cloud.ts'
import { inconsistencies } from './consistency.ts'
import { injectFaults } from './faults.ts'
import { startKeystone } from './keystone.ts'
import { killNowAndThen } from './kill.ts'
import { type Options, parseOptions } from './options.ts'
import { choosePorts } from './ports.ts'
import { createProgress } from './progress.ts'
import { type Comparison, regressions, reportOf, serverErrors } from './report.ts'
import { formatRows, parseRows, type Row, type Rows } from './results.ts'
import { chooseTests, readIds, recordPassed } from './selection.ts'
import { listTests, prepareTempest, runTests } from './tempest.ts'

const HERE = import.meta.dirname
/** Of an earlier run on the same folder. */
const LOGS = ['server.log', 'agent.log', 'keystone.log', 'keystone.log.out']
const PASSED = join(HERE, 'passed.tsv')

const say = (line = ''): void => {
  process.stdout.write(`${line}\n`)
}

interface Cloud {
  readonly keystone: string
  readonly url: string
  readonly token: string
  readonly server: Server
}

/** Keystone on the first port, the API on the next, agents on the one after that. */
const startCloud = async (stack: AsyncDisposableStack, options: Options, folder: string): Promise<Cloud> => {
  const port = await choosePorts(options.port, folder)
  const url = `http://127.0.0.1:${port + 1}`
  say('starting Keystone …')
  const home = join(folder, 'keystone')
  const { url: keystone } = await startKeystone(stack, { folder: home, port, log: join(folder, 'keystone.log') })
  await fillCatalogue(keystone, url)
  const token = await logIn(keystone, 'admin', 'admin')
  say('starting the server and its hosts …')
  const { workers, hosts } = options
  const root = resolve(HERE, '..')
  const cloud: CloudOptions = { root, folder, port: port + 1, feedPort: port + 2, url, workers, hosts, keystone }
  const server = await startServer(stack, cloud)
  await startHosts(stack, cloud, token)
  return { keystone, url, token, server }
}

/** Writes tempest's configuration; answers the tests to run. */
const prepare = async (cloud: Cloud, options: Options, folder: string, earlier: Rows): Promise<string[]> => {
  const network = await publicNetwork(cloud.url, cloud.token)
  await defaultPools(cloud.url, cloud.token)
  if (network.id === null) say(`no external network: ${network.reason}`)
  const extensions = await extensionsOf(cloud.url, cloud.token)
  mkdirSync(folder, { recursive: true })
  prepareTempest({ folder, keystone: cloud.keystone, publicNetwork: network.id, extensions })
  const listed = options.list === null ? null : readIds(options.list)
  const planned = chooseTests(listTests(folder), { ...options, listed }, earlier)
  if (planned.length === 0) throw new UserError('No test is chosen: look at --only and --list.', { exitCode: 2 })
  say(`${planned.length} tests; ${extensions.length} extensions; logs in ${resolve(folder, '..')}`)
  return planned
}

/** Runs the tests, with whatever goes wrong meanwhile on purpose; answers what became of them. */
const test = async (
  stack: AsyncDisposableStack,
  { server }: Cloud,
  { concurrency, minutes, faults: oneOf, kill: seconds }: Options,
  folder: string,
  planned: readonly string[],
): Promise<{ ours: Rows; cut: boolean }> => {
  const faults = oneOf > 0 ? await injectFaults(stack, server.databaseUrl, oneOf) : null
  const killer = seconds > 0 ? killNowAndThen(server, seconds) : null
  const progress = createProgress(planned.length, join(folder, 'failures'))
  const tempest = join(folder, 'tempest')
  const how = await runTests(stack, {
    folder: tempest,
    tests: planned,
    concurrency,
    minutes,
    onFinished: progress.take,
  })
  progress.end()
  if (how === 'time limit') say(`cut off after ${minutes} minutes`)
  if (killer) say(`the server was killed ${await killer.stop()} times`)
  if (faults) say(`${await faults.count()} transactions were made to fail`)
  return { ours: progress.rows, cut: how === 'time limit' }
}

/** Whether all is well: nothing lost that passed before, and the database is consistent. */
const judge = async (
  { server }: Cloud,
  { kill, record }: Options,
  folder: string,
  comparison: Comparison,
): Promise<boolean> => {
  const wrong = await inconsistencies(server)
  const database = wrong.length === 0 ? ['the database is consistent'] : ['the database is INCONSISTENT', ...wrong]
  const errors = serverErrors(readFileSync(join(folder, 'server.log'), 'utf8'))
  const report = (most: number): string => [...reportOf(comparison, most), '', ...errors, ...database].join('\n')
  writeFileSync(join(folder, 'report.txt'), `${report(Number.POSITIVE_INFINITY)}\n`)
  say(`\n${report(5)}`)
  if (record) recordPassed(PASSED, comparison.ours)
  // A client whose server is killed sees that: then only the database is judged.
  return wrong.length === 0 && (kill > 0 || regressions(comparison).length === 0)
}

const runIn = async (folder: string, options: Options): Promise<number> => {
  await using stack = new AsyncDisposableStack()
  endOnSignals(stack)
  for (const name of LOGS) rmSync(join(folder, name), { force: true })
  const results = join(folder, 'results.tsv')
  const earlier = existsSync(results) ? parseRows(readFileSync(results, 'utf8')) : new Map<string, Row>()
  const cloud = await startCloud(stack, options, folder)
  const planned = await prepare(cloud, options, join(folder, 'tempest'), earlier)
  const { ours, cut } = await test(stack, cloud, options, folder, planned)
  writeFileSync(results, formatRows(new Map([...(options.rerunFailures ? earlier : []), ...ours])))
  const peer = parseRows(readFileSync(join(HERE, 'peer.tsv'), 'utf8'))
  const good = await judge(cloud, options, folder, { planned, ours, peer, passed: readIds(PASSED), cut })
  if (options.stay) {
    say(`\nKeystone ${cloud.keystone}, API ${cloud.url}, user admin, password secret; Ctrl-C ends them`)
    await new Promise(() => undefined)
  }
  return good ? 0 : 1
}

/** Ctrl-C and SIGTERM end what was started, then us; until then we stay. */
const endOnSignals = (stack: AsyncDisposableStack): void => {
  const alive = setInterval(() => undefined, 60_000)
  stack.defer(() => clearInterval(alive))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(130)))
  }
}

const main = async (): Promise<number> => {
  const options = parseOptions(process.argv.slice(2))
  const folder = options.state === null ? mkdtempSync(join(tmpdir(), 'deuteron-conformance-')) : resolve(options.state)
  mkdirSync(folder, { recursive: true })
  try {
    return await runIn(folder, options)
  } finally {
    if (options.state === null && !options.keep) rmSync(folder, { recursive: true, force: true })
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  const known = error instanceof UserError
  process.stderr.write(`deuteron conformance: ${known ? messageOf(error) : (error as Error).stack}\n`)
  process.exitCode = known ? error.exitCode : 70
}
