/** Requests to Keystone and to the server: JSON in, JSON out, a sentence when refused. */
import { UserError } from '#launch/user-error.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of two APIs, looked into by name.
export type Json = any

export interface Answer {
  readonly status: number
  readonly body: Json
  readonly headers: Headers
}

export interface Request {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Any answer; only a connection that fails throws. */
export const ask = async (
  method: string,
  url: string,
  { token, body, headers = {} }: Request = {},
): Promise<Answer> => {
  const answer = await fetch(url, {
    method,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { 'x-auth-token': token }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  const json = /json/.test(answer.headers.get('content-type') ?? '') && text !== ''
  return { status: answer.status, body: json ? JSON.parse(text) : text, headers: answer.headers }
}

/** The body of a 2xx answer; throws a UserError with what was answered otherwise. */
export const demand = async (method: string, url: string, request: Request = {}): Promise<Json> => {
  const { status, body } = await ask(method, url, request)
  if (status >= 200 && status < 300) return body
  throw new UserError(`${method} ${url} was answered ${status}: ${JSON.stringify(body)}`)
}
