/**
 * JSON over HTTP to another OpenStack service: where it is and which token it takes are handed in; a token it refuses is
 * renewed once. Node's fetch cannot be given a certificate authority, so this is node:https.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** How a service is reached. Both may throw: the message is kept with the events that wait. */
export interface Access {
  /** Its address without a slash at the end. */
  endpoint(signal: AbortSignal): Promise<string>
  /** Null: it wants none. */
  token(signal: AbortSignal): Promise<string | null>
  /** The service refused this token. */
  refused(token: string): void
}

export interface TlsTrust {
  /** PEM; null: the authorities Node knows. */
  readonly ca: Buffer | null
  /** Any certificate will do. */
  readonly insecure: boolean
}

export interface ServiceRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below the endpoint. */
  readonly path: string
  readonly body?: unknown
  /** OpenStack-API-Version, as `placement 1.23`. */
  readonly version?: string
}

export interface ServiceAnswer {
  readonly status: number
  /** Parsed JSON; undefined when there is none to parse. */
  readonly body: unknown
}

/** @throws Error when there is no answer before `signal` aborts */
export type Service = (request: ServiceRequest, signal: AbortSignal) => Promise<ServiceAnswer>

const LONGEST_ANSWER = 8 * 1024 ** 2
const CONNECTIONS = { keepAlive: true, maxSockets: 4, timeout: 60_000 }

export function createService(access: Access, { ca, insecure }: TlsTrust): Service {
  const http = new HttpAgent(CONNECTIONS)
  const https = new HttpsAgent({ ...CONNECTIONS, rejectUnauthorized: !insecure, ...(ca && { ca }) })
  const once = async (request: ServiceRequest, signal: AbortSignal, token: string | null): Promise<ServiceAnswer> => {
    const url = `${await access.endpoint(signal)}${request.path}`
    const payload = request.body === undefined ? null : JSON.stringify(request.body)
    const headers = {
      accept: 'application/json',
      ...(token !== null && { 'x-auth-token': token }),
      ...(request.version !== undefined && { 'openstack-api-version': request.version }),
      ...(payload !== null && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
    }
    const secure = url.startsWith('https:')
    const options = { method: request.method, agent: secure ? https : http, signal, headers }
    return exchange((hear) => (secure ? httpsRequest : httpRequest)(url, options, hear), payload, signal)
  }
  return async (request, signal) => {
    const token = await access.token(signal)
    const answer = await once(request, signal, token)
    if (answer.status !== 401 || token === null) return answer
    access.refused(token)
    return once(request, signal, await access.token(signal))
  }
}

type Open = (hear: (response: IncomingMessage) => void) => ClientRequest

function exchange(open: Open, payload: string | null, signal: AbortSignal): Promise<ServiceAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(new Error(signal.aborted ? 'no answer in time' : `the connection failed (${error.code ?? error.message})`))
    const sent = open((response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > LONGEST_ANSWER) response.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.once('error', fail)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) }),
      )
    })
    sent.once('error', fail)
    sent.end(payload ?? undefined)
  })
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What a service says is wrong, in its words: OpenStack's services put them in several places. */
export function wordsOf({ status, body }: ServiceAnswer): string {
  const found = JSON.stringify(body ?? '').match(/"(?:message|detail|title)":\s*"((?:[^"\\]|\\.)*)"/)
  return found?.[1] ? `${status}: ${found[1].slice(0, 200)}` : `it answered ${status}`
}
