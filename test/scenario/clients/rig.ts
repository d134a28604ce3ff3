/**
 * A cloud as clients see it: our API with the built-in identity, hosts that report, and programs of OpenStack run as
 * a user of it. What only Compute and Block Storage answer (`openstack quota` asks them too) a stand-in answers.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createBuiltin } from '#identity/builtin.ts'
import type { Identity, IdentityResponse } from '#identity/identity.ts'
import { silentLogger } from '#kernel/log.ts'
import { hostReports } from '../../lib/agents.ts'
import { type TestServer, testServer } from '../../lib/server.ts'

/** Debian's, for which the packages are built. */
const PYTHON = '/usr/bin/python3'

/** Why the clients cannot run on this machine, or false: for a test's `skip`. */
export const clientsMissing: string | false =
  spawnSync(PYTHON, ['-c', 'import openstackclient, openstack, neutronclient'], { stdio: 'ignore' }).status === 0
    ? false
    : 'the clients are not installed (apt-get install python3-openstackclient): nothing proves that they work'

export type User = 'admin' | 'demo'
export type Program = 'openstack' | 'neutron'

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface ClientCloud {
  readonly server: TestServer
  /** OS_… variables with which programs are this user in the project of the same name. */
  env(user: User): NodeJS.ProcessEnv
  /** One command, in a process that stays for the next. */
  run(program: Program, user: User, argv: readonly string[]): Promise<Said>
  /** A script beside this file, once, to its end. */
  python(script: string, user: User, args?: readonly string[]): Promise<Said>
}

export const HOSTS = ['v-host-1', 'v-host-2']

export async function clientCloud(stack: AsyncDisposableStack): Promise<ClientCloud> {
  const { identity, passwords } = await identityWithNeighbours(stack)
  const server = await testServer({
    identity,
    settings: {
      agentDownTime: 3600,
      quotaRbacPolicy: -1,
      networkVlanRanges: [
        { physical_network: 'physnet1', range: { first: 100, last: 199 } },
        { physical_network: 'physnet2', range: null },
      ],
    },
  })
  stack.defer(() => server.close())
  const bridge_mappings = { physnet1: 'br-one', physnet2: 'br-two' }
  const services = { dhcp: { dhcp_driver: 'sim' }, l3: { agent_mode: 'dvr_snat' }, bgp: {} }
  for (const host of HOSTS) await hostReports(server, host, { bridge_mappings, services })
  const env = (user: User): NodeJS.ProcessEnv => environment(server.url, user, passwords[user])
  const shells = new Map<string, Shell>()
  return {
    server,
    env,
    run: (program, user, argv) => {
      const key = `${program} ${user}`
      const shell = shells.get(key) ?? openShell(stack, program, env(user))
      shells.set(key, shell)
      return shell(argv)
    },
    python: (script, user, args = []) => toTheEnd(start(script, env(user), args)),
  }
}

const environment = (url: string, user: User, password: string): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OS_'))),
  OS_AUTH_URL: `${url}/identity/v3`,
  OS_USERNAME: user,
  OS_PASSWORD: password,
  OS_PROJECT_NAME: user,
  OS_USER_DOMAIN_NAME: 'Default',
  OS_PROJECT_DOMAIN_NAME: 'Default',
  OS_REGION_NAME: 'RegionOne',
  OS_IDENTITY_API_VERSION: '3',
  // Clients warn about their own age.
  PYTHONWARNINGS: 'ignore',
})

const start = (script: string, env: NodeJS.ProcessEnv, args: readonly string[] = []): ChildProcess =>
  spawn(PYTHON, [join(import.meta.dirname, script), ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })

const gather = (stream: ChildProcess['stdout'] | ChildProcess['stderr']): (() => string) => {
  let text = ''
  stream?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
  return () => text
}

const toTheEnd = (child: ChildProcess): Promise<Said> =>
  new Promise((resolve, reject) => {
    const [out, err] = [gather(child.stdout), gather(child.stderr)]
    child.stdin?.end()
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 1, out: out(), err: err() }))
  })

type Shell = (argv: readonly string[]) => Promise<Said>

function openShell(stack: AsyncDisposableStack, program: Program, env: NodeJS.ProcessEnv): Shell {
  const child = start('shell.py', env, [program])
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  stack.defer(async () => {
    child.kill()
    await gone
  })
  const err = gather(child.stderr)
  const answers = createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })[
    Symbol.asyncIterator
  ]()
  return async (argv) => {
    child.stdin?.write(`${JSON.stringify(argv)}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error(`the shell ended: ${err()}`)
    return JSON.parse(value) as Said
  }
}

/** The built-in identity with Compute and Block Storage in the catalog of its tokens. */
async function identityWithNeighbours(stack: AsyncDisposableStack) {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-clients-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const neighbours = await standIn(stack)
  const builtin = createBuiltin({ file: join(folder, 'identity.json'), publicUrl: null, log: silentLogger })
  const handle = async (request: Parameters<typeof builtin.handle>[0]): Promise<IdentityResponse> => {
    const response = await builtin.handle(request)
    // biome-ignore lint/suspicious/noExplicitAny: a token's body is looked into, not described again.
    const { token } = (response.body ?? {}) as { token?: any }
    if (!token?.catalog) return response
    const catalog = [...token.catalog, ...['compute', 'volumev3'].map((type) => entry(type, neighbours))]
    return { ...response, body: { token: { ...token, catalog } } }
  }
  const identity: Identity = { ...builtin, routes: { ...builtin.routes, handle } }
  const passwords = { admin: builtin.adminPassword() ?? '', demo: builtin.demoPassword() ?? '' }
  return { identity, passwords }
}

const entry = (type: string, url: string) => ({
  id: type,
  type,
  name: type,
  endpoints: ['public', 'internal', 'admin'].map((face) => ({
    id: `${type}-${face}`,
    interface: face,
    region: 'RegionOne',
    region_id: 'RegionOne',
    url: `${url}/${type}`,
  })),
})

/** Says that every quota is 10, and that there is one virtual machine. */
async function standIn(stack: AsyncDisposableStack): Promise<string> {
  const server = { id: 'vm-one', name: 'one' }
  const answerTo = (path: string): object | null => {
    const [, kind, id] = /\/os-quota-(class-)?sets\/([^/?]+)/.exec(path) ?? []
    if (id) return { [kind ? 'quota_class_set' : 'quota_set']: { id, instances: 10, volumes: 10 } }
    const [, asked] = /\/servers(\/(?!detail)[^?]*)?/.exec(path) ?? []
    if (asked !== undefined) return asked === '/vm-one' ? { server } : null
    if (path.includes('/servers')) return { servers: [server] }
    return null
  }
  const listener = createServer((request, response) => {
    const found = answerTo(request.url ?? '')
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ?? { itemNotFound: { message: 'not here', code: 404 } }))
    request.resume()
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  stack.defer(() => new Promise<void>((resolve) => listener.close(() => resolve())))
  stack.defer(() => listener.closeAllConnections())
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
}
