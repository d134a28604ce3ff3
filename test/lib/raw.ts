/** Bytes sent to a server as they are, for requests that no client library would make. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
  /** All that came, for several answers on one connection. */
  readonly text: string
  /** How long it took until the server closed the connection. */
  readonly seconds: number
}

/** Sends each piece, `pauseMs` between two; resolves when the server closes. Throws when it has not after `withinMs`. */
export async function exchange(
  url: string,
  pieces: readonly (string | Buffer)[],
  { pauseMs = 0, withinMs = 10_000 }: { readonly pauseMs?: number; readonly withinMs?: number } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const since = Date.now()
  let text = ''
  socket.on('data', (bytes) => (text += bytes.toString('latin1')))
  // Who is refused while still sending gets a reset.
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
  await send(socket, pieces, pauseMs)
  const inTime = await Promise.race([closed.then(() => true), sleep(withinMs, false, { ref: false })])
  socket.destroy()
  if (!inTime) throw new Error(`the connection stayed open; so far: ${text.slice(0, 200) || 'nothing'}`)
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
  return { status, head, body: rest.join('\r\n\r\n'), text, seconds: (Date.now() - since) / 1000 }
}

async function send(socket: Socket, pieces: readonly (string | Buffer)[], pauseMs: number): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    socket.write(piece)
    if (pauseMs > 0) await sleep(pauseMs)
  }
}
