/** `deuteron conformance`: real Keystone and tempest against the server, compared with what a real Neutron did. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { checkPort } from '#launch/server-process.ts'
import { messageOf, UserError } from '#launch/user-error.ts'
import { fillCatalogue, logIn } from './catalogue.ts'
import { type CloudOptions, extensionsOf, publicNetwork, startHosts, startServer } from './cloud.ts'
import { startKeystone } from './keystone.ts'
import { type Options, parseOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { type Comparison, regressions, reportOf } from './report.ts'
import { classOf, formatRows, parseRows, type Row, type Rows } from './results.ts'
import { listTests, prepareTempest, runTests } from './tempest.ts'

const HERE = import.meta.dirname
const ROOT = resolve(HERE, '..')
const PASSED = join(HERE, 'passed.tsv')

const say = (line = ''): void => {
  process.stdout.write(`${line}\n`)
}

/** Three ports side by side that nobody uses now. */
const freePorts = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  try {
    for (const next of [port, port + 1, port + 2]) await checkPort('127.0.0.1', next, '--port')
    return port
  } catch {
    return freePorts()
  }
}

/** The ports of an earlier run on this folder are taken again: Keystone's catalogue names them. */
const choosePort = async ({ port }: Options, folder: string): Promise<number> => {
  const file = join(folder, 'port')
  const chosen = port ?? (existsSync(file) ? Number(readFileSync(file, 'utf8')) : await freePorts())
  for (const next of [chosen, chosen + 1, chosen + 2]) await checkPort('127.0.0.1', next, '--port')
  writeFileSync(file, String(chosen))
  return chosen
}

interface Cloud {
  readonly keystone: string
  readonly url: string
  readonly token: string
}

/** Keystone on `port`, the API on the next, agents on the one after that. */
const startCloud = async (stack: AsyncDisposableStack, options: Options, folder: string): Promise<Cloud> => {
  const port = await choosePort(options, folder)
  const url = `http://127.0.0.1:${port + 1}`
  say('starting Keystone …')
  const home = join(folder, 'keystone')
  const keystone = await startKeystone(stack, { folder: home, port, log: join(folder, 'keystone.log') })
  await fillCatalogue(keystone.url, url)
  const token = await logIn(keystone.url, 'admin', 'admin')
  say('starting the server and its hosts …')
  const cloud: CloudOptions = {
    root: ROOT,
    folder,
    port: port + 1,
    feedPort: port + 2,
    url,
    workers: options.workers,
    hosts: options.hosts,
    keystone: keystone.url,
  }
  await startServer(stack, cloud)
  await startHosts(stack, cloud, token)
  return { keystone: keystone.url, url, token }
}

/** The tests asked for. */
const chooseTests = (all: readonly string[], { only, list, rerunFailures }: Options, earlier: Rows): string[] => {
  const listed =
    list === null
      ? null
      : new Set(
          readFileSync(list, 'utf8')
            .split('\n')
            .map((line) => line.split('\t')[0]),
        )
  const failed = new Set([...earlier].flatMap(([test, { status }]) => (status === 'fail' ? [test] : [])))
  return all.filter(
    (test) =>
      (only === null || only.test(test)) &&
      (listed === null || listed.has(test)) &&
      (!rerunFailures || failed.has(test) || failed.has(`setUpClass (${classOf(test)})`)),
  )
}

const readPassed = (): Set<string> =>
  new Set(
    existsSync(PASSED)
      ? readFileSync(PASSED, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [],
  )

/** Adds what passed to the ratchet. */
const record = (passed: ReadonlySet<string>, ours: Rows): void => {
  const now = [...ours].flatMap(([test, { status }]) => (status === 'success' ? [test] : []))
  writeFileSync(PASSED, `${[...new Set([...passed, ...now])].sort().join('\n')}\n`)
}

const runIn = async (folder: string, options: Options): Promise<number> => {
  await using stack = new AsyncDisposableStack()
  const stop = onInterrupt(stack)
  const results = join(folder, 'results.tsv')
  const earlier = existsSync(results) ? parseRows(readFileSync(results, 'utf8')) : new Map<string, Row>()
  const cloud = await startCloud(stack, options, folder)
  const network = await publicNetwork(cloud.url, cloud.token)
  if (network.id === null) say(`no external network: ${network.reason}`)
  const extensions = await extensionsOf(cloud.url, cloud.token)
  const tempest = join(folder, 'tempest')
  mkdirSync(tempest, { recursive: true })
  prepareTempest({ folder: tempest, keystone: cloud.keystone, publicNetwork: network.id, extensions })
  const planned = chooseTests(listTests(tempest), options, earlier)
  if (planned.length === 0) throw new UserError('No test is chosen: look at --only and --list.', { exitCode: 2 })
  say(`${planned.length} tests; ${extensions.length} extensions; logs in ${folder}`)
  const progress = createProgress(planned.length, join(folder, 'failures'))
  const { concurrency, minutes } = options
  const how = await runTests(stack, {
    folder: tempest,
    tests: planned,
    concurrency,
    minutes,
    onFinished: progress.take,
  })
  progress.end()
  if (how === 'time limit') say(`cut off after ${minutes} minutes; what had finished counts`)
  const ours = new Map([...(options.rerunFailures ? earlier : []), ...progress.rows])
  writeFileSync(results, formatRows(ours))
  const peer = parseRows(readFileSync(join(HERE, 'peer.tsv'), 'utf8'))
  const comparison: Comparison = { planned, ours: progress.rows, peer, passed: readPassed() }
  writeFileSync(join(folder, 'report.txt'), `${reportOf(comparison, Number.POSITIVE_INFINITY).join('\n')}\n`)
  say(`\n${reportOf(comparison, 5).join('\n')}`)
  if (options.record) record(comparison.passed, progress.rows)
  if (options.stay) {
    say(`\nKeystone ${cloud.keystone}, API ${cloud.url}, user admin, password secret; Ctrl-C ends them`)
    await stop
  }
  return regressions(comparison).length === 0 ? 0 : 1
}

/** Ctrl-C and SIGTERM end what was started, then us. */
const onInterrupt = (stack: AsyncDisposableStack): Promise<never> => {
  const alive = setInterval(() => undefined, 1 << 30)
  stack.defer(() => clearInterval(alive))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(130)))
  }
  return new Promise(() => undefined)
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
