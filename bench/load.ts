/** A small HTTP load generator: kept connections, a fixed number of clients, every answer checked. */
import { Agent, request } from 'node:http'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** Milliseconds from writing the request to the last byte of the answer. */
  readonly ms: number
}

export interface Client {
  call(call: Call): Promise<Answer>
  close(): void
}

/** `connections` sockets, kept open. */
export function createClient(url: string, token: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const { hostname, port } = new URL(url)
  const call = ({ method, path, body }: Call): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers = {
        'x-auth-token': token,
        ...(payload !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
        }),
      }
      const began = performance.now()
      const sent = request({ agent, hostname, port, method, path: `/v2.0${path}`, headers }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('end', () => {
          const ms = performance.now() - began
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString(), ms })
        })
      })
      sent.on('error', reject)
      sent.end(payload)
    })
  return { call, close: () => agent.destroy() }
}

export interface Measured {
  readonly name: string
  readonly clients: number
  readonly requests: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly perSecond: number
  /** Milliseconds the server's process computed, per request; null when not measured. */
  readonly cpuMs: number | null
  /** Answers that were not accepted. */
  readonly failures: number
}

export interface MeasureOptions {
  readonly name: string
  readonly clients: number
  readonly calls: readonly Call[]
  /** CPU milliseconds used so far by the server. */
  readonly cpu?: () => number
  /** Whether an answer is what was wanted; by default: any of status 2xx. */
  readonly accept?: (answer: Answer) => boolean
  /** No call begins after so many seconds; the figures are of those that did. */
  readonly seconds?: number
}

export const succeeded = ({ status }: Answer): boolean => status >= 200 && status <= 299

/** Runs the calls, at most `clients` at a time; answers the figures and the bodies in the order of the calls. */
export async function measure(
  client: Client,
  options: MeasureOptions,
): Promise<{ measured: Measured; answers: Answer[] }> {
  const { name, clients, calls, cpu, accept = succeeded, seconds: limit = Number.POSITIVE_INFINITY } = options
  const answers: Answer[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < calls.length && performance.now() < began + limit * 1000) {
      const index = next++
      answers[index] = await client.call(calls[index] as Call)
    }
  }
  const cpuBefore = cpu?.() ?? 0
  const began = performance.now()
  await Promise.all(Array.from({ length: clients }, worker))
  const seconds = (performance.now() - began) / 1000
  const times = answers.map((one) => one.ms).sort((a, b) => a - b)
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN
  const bad = answers.filter((one) => !accept(one))
  if (bad[0])
    console.error(
      `${name}: ${bad.length} of ${answers.length} failed, first: ${bad[0].status} ${bad[0].text.slice(0, 300)}`,
    )
  const cpuMs = cpu ? (cpu() - cpuBefore) / answers.length : null
  const measured = {
    name,
    clients,
    requests: answers.length,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    perSecond: answers.length / seconds,
    cpuMs,
    failures: bad.length,
  }
  return { measured, answers }
}
