/** A small client of the Networking API, with password identity or none, configured by an openrc file as the stock CLI is. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** The variables an openrc file exports. Understands `export NAME=value` with or without quotes, and comments. */
export const parseOpenrc = (text: string): Record<string, string> => {
  const variables: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line)
    if (!match) continue
    const value = (match[2] ?? '').trim()
    const quoted = /^(['"])(.*)\1$/.exec(value)
    variables[match[1] ?? ''] = quoted ? (quoted[2] ?? '') : value
  }
  return variables
}

export class ApiRefused extends Error {
  readonly status: number
  constructor(what: string, status: number, message: string) {
    super(`${what}: ${status} ${message}`)
    this.name = 'ApiRefused'
    this.status = status
  }
}

export type Json = Readonly<Record<string, unknown>>

export interface Api {
  /** Sends a request below /v2.0 and answers the parsed body; rejects with ApiRefused unless the status is 2xx. */
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: Json): Promise<Json>
}

const TIMEOUT = 10_000

const messageOf = (text: string): string => {
  try {
    const [error] = Object.values(JSON.parse(text) as Record<string, { message?: string }>)
    return error?.message ?? text
  } catch {
    return text.slice(0, 200)
  }
}

interface Session {
  readonly token: string
  readonly endpoint: string
}

const atRoot = (url: string): string => url.replace(/\/(v2\.0\/?)?$/, '')

const authenticate = async (rc: Readonly<Record<string, string>>): Promise<Session> => {
  if (rc['OS_AUTH_TYPE'] === 'none') return { token: '', endpoint: atRoot(rc['OS_ENDPOINT'] ?? '') }
  const domain = { name: rc['OS_USER_DOMAIN_NAME'] ?? 'Default' }
  const scope = {
    project: { name: rc['OS_PROJECT_NAME'], domain: { name: rc['OS_PROJECT_DOMAIN_NAME'] ?? 'Default' } },
  }
  const user = { name: rc['OS_USERNAME'], password: rc['OS_PASSWORD'], domain }
  const response = await fetch(`${rc['OS_AUTH_URL']?.replace(/\/$/, '')}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }),
    signal: AbortSignal.timeout(TIMEOUT),
  })
  const text = await response.text()
  if (!response.ok) throw new ApiRefused(`identity at ${rc['OS_AUTH_URL']}`, response.status, messageOf(text))
  const { token } = JSON.parse(text) as {
    token: { catalog?: { type: string; endpoints: { interface: string; url: string }[] }[] }
  }
  const network = token.catalog?.find(({ type }) => type === 'network')
  const url = network?.endpoints.find((endpoint) => endpoint.interface === 'public')?.url
  if (url === undefined) throw new Error(`the catalog of ${rc['OS_AUTH_URL']} has no public network endpoint`)
  return { token: response.headers.get('x-subject-token') ?? '', endpoint: atRoot(url) }
}

/** A client by the variables of an openrc file; the token is fetched at first use and again when it is refused. */
export const createApi = (rc: Readonly<Record<string, string>>): Api => {
  let session: Promise<Session> | null = null
  const send = async (method: string, path: string, body: Json | undefined): Promise<Response> => {
    const { token, endpoint } = await (session ??= authenticate(rc))
    return fetch(`${endpoint}/v2.0/${path}`, {
      method,
      headers: { ...(token ? { 'x-auth-token': token } : {}), ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(TIMEOUT),
    })
  }
  return {
    async call(method, path, body) {
      let response = await send(method, path, body)
      if (response.status === 401) {
        session = null
        response = await send(method, path, body)
      }
      const text = await response.text()
      if (!response.ok) throw new ApiRefused(`${method} ${path}`, response.status, messageOf(text))
      return text === '' ? {} : (JSON.parse(text) as Json)
    },
  }
}

export const apiFromOpenrc = async (path: string): Promise<Api> => createApi(parseOpenrc(await readFile(path, 'utf8')))

/** The parts of a port that a hypervisor needs. */
export interface PortFacts {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly status: string
  readonly device_id: string
  readonly 'binding:host_id': string
  readonly 'binding:vif_type': string
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[]
}
export interface SubnetFacts {
  readonly id: string
  readonly cidr: string
  readonly ip_version: 4 | 6
  readonly enable_dhcp: boolean
  readonly gateway_ip: string | null
  readonly ipv6_ra_mode: string | null
}

export const getPort = async (api: Api, id: string): Promise<PortFacts> =>
  (await api.call('GET', `ports/${encodeURIComponent(id)}`))['port'] as PortFacts

/** A port by id or by name; rejects with one sentence when none or several have that name. */
export const findPort = async (api: Api, idOrName: string): Promise<PortFacts> => {
  const { ports: byId } = await api.call('GET', `ports?id=${encodeURIComponent(idOrName)}`)
  const [found] = byId as PortFacts[]
  if (found) return found
  const { ports } = await api.call('GET', `ports?name=${encodeURIComponent(idOrName)}`)
  const named = ports as PortFacts[]
  if (named.length === 1 && named[0]) return named[0]
  throw new Error(
    named.length === 0 ? `there is no port ${idOrName}` : `${named.length} ports are called ${idOrName}: give the id`,
  )
}

/** Polls a port's status; answers the last one seen when `timeout` ms have passed. */
export const waitForStatus = async (api: Api, id: string, status: string, timeout: number): Promise<string> => {
  for (const end = performance.now() + timeout; ; await sleep(50)) {
    const port = await getPort(api, id)
    if (port.status === status || performance.now() > end) return port.status
  }
}
