/**
 * Asks Keystone about one token: with our own, within a time that covers every attempt, and again after a while that
 * grows and is drawn at random, so that servers do not all come back at once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { OwnToken } from './own-token.ts'
import { type KeystoneToken, readToken } from './token.ts'
import { KeystoneFault, type Transport } from './transport.ts'

export interface ValidateOptions {
  readonly transport: Transport
  readonly own: OwnToken
  /** All attempts together. */
  readonly timeoutMs: number
  /** Attempts after the first. */
  readonly retries: number
}

/**
 * Null when Keystone refuses the token. `allowExpired` takes one whose time is over, as long as Keystone allows.
 * @throws KeystoneFault when Keystone says neither yes nor no
 */
export type Validate = (token: string, allowExpired: boolean) => Promise<KeystoneToken | null>

const FIRST_PAUSE_MS = 100

export function createValidate({ transport, own, timeoutMs, retries }: ValidateOptions): Validate {
  return async (token, allowExpired) => {
    const signal = AbortSignal.timeout(timeoutMs)
    for (let attempt = 0; ; attempt++) {
      try {
        return await ask(transport, own, { token, allowExpired }, signal)
      } catch (error) {
        if (!(error instanceof KeystoneFault) || !error.passing || attempt >= retries || signal.aborted) throw error
      }
      await pause(FIRST_PAUSE_MS * 2 ** attempt, signal)
    }
  }
}

/** Between half of `ms` and all of it. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms / 2 + (Math.random() * ms) / 2, undefined, { signal }).catch(() => {
    throw new KeystoneFault('it did not answer in time', false)
  })
}

interface Question {
  readonly token: string
  readonly allowExpired: boolean
}

/** One attempt; a token of our own that is not taken any more is replaced once. */
async function ask(transport: Transport, own: OwnToken, question: Question, signal: AbortSignal) {
  const first = await own.get(signal)
  const answer = await lookUp(transport, first, question, signal)
  if (answer.status !== 401) return verdict(answer)
  own.drop(first)
  return verdict(await lookUp(transport, await own.get(signal), question, signal))
}

const lookUp = (transport: Transport, own: string, { token, allowExpired }: Question, signal: AbortSignal) =>
  transport(
    {
      method: 'GET',
      path: `/auth/tokens?nocatalog${allowExpired ? '&allow_expired=1' : ''}`,
      // The last header says that we hold tokens to their access rules; without it Keystone refuses those that have any.
      headers: { 'x-auth-token': own, 'x-subject-token': token, 'openstack-identity-access-rules': '1' },
    },
    signal,
  )

function verdict({ status, body }: Awaited<ReturnType<Transport>>): KeystoneToken | null {
  if (status === 200) return readToken(body)
  if (status === 404) return null
  if (status === 401) throw new KeystoneFault("it refuses this server's own token", false)
  if (status === 403) {
    throw new KeystoneFault("this server's own user may not validate tokens: give it the role service or admin", false)
  }
  throw new KeystoneFault(`it answered ${status} when asked about a token`, status >= 429)
}
