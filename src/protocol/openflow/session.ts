/**
 * A connection to one bridge that comes back: after a restart of the switch, or when the bridge is made anew.
 *
 * `onUp` is told with a fresh client, whose switch may have lost every flow; `onDown` when it is gone. What was under
 * way then has failed and is not repeated: whoever keeps the desired state reads back and plans again.
 */
import { createSignal, defaultRetry, keepConnected, type Retry } from '../socket.ts'
import { connectSwitch, type SwitchClient, type SwitchOptions } from './client.ts'

export interface SwitchSession {
  /** The working client; null while there is none. */
  readonly client: SwitchClient | null
  onUp(listener: (client: SwitchClient) => void): () => void
  onDown(listener: (reason: Error) => void): () => void
  close(): Promise<void>
}

export function createSwitchSession(
  options: Omit<SwitchOptions, 'signal'> & { readonly retry?: Retry },
): SwitchSession {
  const [up, down] = [createSignal<SwitchClient>(), createSignal<Error>()]
  const stop = new AbortController()
  let client: SwitchClient | null = null

  const session = async (): Promise<void> => {
    const connection = await connectSwitch({ ...options, signal: stop.signal })
    client = connection
    up.tell(connection)
    const reason = await connection.closed
    client = null
    if (reason) down.tell(reason)
  }
  const running = keepConnected(session, {
    retry: options.retry ?? defaultRetry,
    signal: stop.signal,
    onFailure: (error) => options.log.warn({ target: options.target, reason: error.message }, 'switch unreachable'),
  })
  return {
    get client() {
      return client
    },
    onUp: (listener) => {
      if (client) listener(client)
      return up.add(listener)
    },
    onDown: down.add,
    close: async () => {
      stop.abort()
      await running
    },
  }
}
