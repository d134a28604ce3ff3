/**
 * HTTP to Keystone: JSON in and out over connections that are kept, each request within its time. Node's fetch cannot
 * be given a certificate authority, so this is node:https.
 */
import { readFileSync } from 'node:fs'
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** Keystone gave no answer that can be used. The message is for the log and the client: it names no token. */
export class KeystoneFault extends Error {
  override readonly name = 'KeystoneFault'
  /** Whether asking again at once may help. */
  readonly passing: boolean

  constructor(message: string, passing: boolean) {
    super(message)
    this.passing = passing
  }
}

export interface KeystoneRequest {
  readonly method: 'GET' | 'POST'
  /** Below `/v3`, with the query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
}

export interface KeystoneAnswer {
  readonly status: number
  /** Of the token that was issued. */
  readonly subjectToken: string | null
  /** Parsed JSON; undefined when there is none to parse. */
  readonly body: unknown
}

/** @throws KeystoneFault when there is no answer before `signal` aborts, or it is too long */
export type Transport = (request: KeystoneRequest, signal: AbortSignal) => Promise<KeystoneAnswer>

export interface TransportOptions {
  /** With or without `/v3`. */
  readonly authUrl: string
  /** PEM file of the authority that signed Keystone's certificate; null: those Node knows. */
  readonly cafile: string | null
  /** Any certificate will do. */
  readonly insecure: boolean
}

/** A token with a large catalogue has some hundred KiB, and we ask for none. */
const LONGEST_ANSWER = 1024 ** 2
const CONNECTIONS = { keepAlive: true, maxSockets: 32, timeout: 30_000 }

/** @throws Error that says what to do when the authority's file cannot be read */
export function createTransport({ authUrl, cafile, insecure }: TransportOptions): Transport {
  const base = versioned(authUrl)
  const tls = { rejectUnauthorized: !insecure, ...(cafile === null ? {} : { ca: authority(cafile) }) }
  const secure = base.startsWith('https:')
  const agent = secure ? new HttpsAgent({ ...CONNECTIONS, ...tls }) : new HttpAgent(CONNECTIONS)
  const open = secure ? httpsRequest : httpRequest
  return ({ method, path, headers = {}, body }, signal) => {
    const payload = body === undefined ? null : JSON.stringify(body)
    const typed =
      payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
    const options = { method, agent, signal, headers: { accept: 'application/json', ...typed, ...headers } }
    return exchange((hear) => open(`${base}${path}`, options, hear), payload, signal)
  }
}

const authority = (cafile: string): Buffer => {
  try {
    return readFileSync(cafile)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`keystone_cafile ${cafile} cannot be read (${code}): name a PEM file that this user may read.`)
  }
}

/** The version's own address; keystone_auth_url is given both ways. */
export const versioned = (authUrl: string): string => `${authUrl.replace(/\/+$/, '').replace(/\/v3$/, '')}/v3`

type Open = (hear: (response: IncomingMessage) => void) => ClientRequest

function exchange(open: Open, payload: string | null, signal: AbortSignal): Promise<KeystoneAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(
        error instanceof KeystoneFault
          ? error
          : signal.aborted
            ? new KeystoneFault('it did not answer in time', false)
            : new KeystoneFault(`the connection failed (${error.code ?? error.message})`, true),
      )
    const sent = open((response: IncomingMessage) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > LONGEST_ANSWER) return response.destroy(new KeystoneFault('its answer is too long', false))
        return chunks.push(chunk)
      })
      response.once('error', fail)
      response.once('end', () => {
        const subject = response.headers['x-subject-token']
        resolve({
          status: response.statusCode ?? 0,
          subjectToken: typeof subject === 'string' ? subject : null,
          body: parsed(Buffer.concat(chunks).toString('utf8')),
        })
      })
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
