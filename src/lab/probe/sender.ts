/**
 * The sending half of an endpoint: UDP by the clock (what a late timer missed is sent at once, so the rate holds) and
 * a TCP conversation in which every message must come back as it was.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, isIPv6, type Socket } from 'node:net'
import { encodePacket, monotonic } from './packet.ts'
import type { Sent, TcpReport } from './tally.ts'

export interface SendOrder {
  readonly run: number
  readonly flow: number
  readonly to: string
  readonly port: number
  /** Packets a second. */
  readonly rate: number
}

export interface Sending {
  /** Stops and answers what was sent, once the last TCP echo is in or has been waited for 2 s. */
  stop(): Promise<Sent>
}

/** Begins a flow; rejects when the TCP connection does not come up within 5 s. */
export const startSending = async (order: SendOrder): Promise<Sending> => {
  const tcp = await startConversation(order)
  const socket = createSocket({ type: isIPv6(order.to) ? 'udp6' : 'udp4', sendBufferSize: 1 << 20 })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.connect(order.port, order.to, () => resolve())
  })
  const udp = startPacing(socket, order)
  return {
    async stop() {
      const sent = udp.stop()
      const report = await tcp.stop()
      socket.close()
      return { ...sent, tcp: report }
    },
  }
}

const startPacing = (socket: UdpSocket, { run, flow, rate }: SendOrder) => {
  const from = monotonic()
  let sequence = 0
  let errors = 0
  let last = from
  let longestPause = 0
  const count = (error: Error | null): void => {
    if (error) errors++
  }
  socket.on('error', () => errors++)
  const turn = (): void => {
    const now = monotonic()
    longestPause = Math.max(longestPause, now - last)
    last = now
    for (const due = ((now - from) * rate) / 1000; sequence < due; sequence++)
      socket.send(encodePacket({ run, flow, sequence, sentAt: monotonic() }), count)
  }
  const timer = setInterval(turn, Math.max(1, 1000 / rate))
  return {
    stop() {
      turn()
      clearInterval(timer)
      return { sent: sequence, errors, longestPause }
    },
  }
}

/** Milliseconds between two TCP messages, and their size: enough to notice a stall, little enough to leave UDP alone. */
const MESSAGE_EVERY = 5
const MESSAGE_SIZE = 256

const message = (number: number): Buffer => {
  const bytes = Buffer.alloc(MESSAGE_SIZE, number & 0xff)
  bytes.writeUInt32BE(number, 0)
  return bytes
}

const open = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    const late = setTimeout(() => socket.destroy(new Error(`no TCP connection to ${host} within 5 s`)), 5_000)
    socket.once('error', reject)
    socket.once('connect', () => {
      clearTimeout(late)
      socket.off('error', reject)
      resolve(socket)
    })
  })

const startConversation = async ({ to, port }: SendOrder): Promise<{ stop(): Promise<TcpReport> }> => {
  const counts = { messages: 0, echoed: 0, broken: 0, corrupt: 0, longestStall: 0 }
  const errors: string[] = []
  let stopping = false
  let last = monotonic()
  let pending = Buffer.alloc(0)
  let socket = await open(to, port)

  const take = (bytes: Buffer): void => {
    const now = monotonic()
    counts.longestStall = Math.max(counts.longestStall, now - last)
    last = now
    pending = Buffer.concat([pending, bytes])
    for (; pending.length >= MESSAGE_SIZE; pending = pending.subarray(MESSAGE_SIZE), counts.echoed++)
      if (!pending.subarray(0, MESSAGE_SIZE).equals(message(counts.echoed))) counts.corrupt++
  }
  const follow = (): void => {
    socket.on('data', take)
    socket.on('error', (error) => errors.push(error.message))
    socket.on('close', () => {
      if (stopping) return
      counts.broken++
      pending = Buffer.alloc(0)
      counts.echoed = counts.messages // what was under way is lost with the connection, which is counted as broken
      open(to, port).then(
        (again) => {
          socket = again
          follow()
        },
        (error: Error) => errors.push(error.message),
      )
    })
  }
  follow()
  const timer = setInterval(() => {
    if (socket.writable) socket.write(message(counts.messages++))
  }, MESSAGE_EVERY)
  return {
    async stop() {
      clearInterval(timer)
      for (const end = monotonic() + 2_000; counts.echoed < counts.messages && monotonic() < end; )
        await new Promise((resolve) => setTimeout(resolve, 5))
      counts.longestStall = Math.max(counts.longestStall, counts.echoed < counts.messages ? monotonic() - last : 0)
      stopping = true
      socket.destroy()
      return { ...counts, errors: errors.slice(0, 5) }
    },
  }
}
