/**
 * The program that runs inside a VM's namespace: sends numbered UDP packets and a TCP conversation to other endpoints
 * and counts what arrives from them. Commands come as JSON lines on standard input, answers go to standard output;
 * it ends when its input does. Usage: node endpoint.ts PORT
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { decodePacket, monotonic } from './packet.ts'
import { type Sending, startSending } from './sender.ts'
import { createTally, type Received, type Sent, type Tally } from './tally.ts'

export interface FlowOrder {
  readonly flow: number
  readonly to: string
}

export type Command =
  | { readonly do: 'start'; readonly run: number; readonly rate: number; readonly flows: readonly FlowOrder[] }
  | { readonly do: 'stop'; readonly run: number }
  | { readonly do: 'report'; readonly run: number }

export type Answer =
  | { readonly is: 'ready' }
  | { readonly is: 'started'; readonly run: number; readonly error: string | null }
  | { readonly is: 'stopped'; readonly run: number; readonly flows: readonly (readonly [number, Sent])[] }
  | {
      readonly is: 'report'
      readonly run: number
      readonly flows: readonly (readonly [number, Received])[]
      /** TCP segments sent again in this namespace since it began. */
      readonly retransmitted: number
    }

/** `Tcp: … RetransSegs …` of this namespace (proc(5), /proc/net/snmp). */
const retransmittedSegments = (): number => {
  const [names = '', values = ''] = readFileSync('/proc/self/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('RetransSegs')] ?? 0)
}

const serve = async (port: number): Promise<void> => {
  const tallies = new Map<string, Tally>()
  const answer = (value: Answer): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

  const receiver = createSocket({ type: 'udp6', recvBufferSize: 4 << 20 })
  receiver.on('message', (bytes) => {
    const packet = decodePacket(bytes)
    if (!packet) return
    const key = `${packet.run}/${packet.flow}`
    const tally = tallies.get(key) ?? createTally()
    tallies.set(key, tally)
    tally.add(packet, monotonic())
  })
  const echo = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => receiver.bind(port, '::', resolve))
  await new Promise<void>((resolve) => echo.listen(port, '::', resolve))

  const running = new Map<number, readonly (readonly [number, Sending])[]>()
  const obey = async (command: Command): Promise<void> => {
    switch (command.do) {
      case 'start': {
        const { run, rate, flows } = command
        const begun = flows.map(
          async ({ flow, to }) => [flow, await startSending({ run, flow, to, port, rate })] as const,
        )
        try {
          running.set(run, await Promise.all(begun))
          return answer({ is: 'started', run, error: null })
        } catch (error) {
          return answer({ is: 'started', run, error: (error as Error).message })
        }
      }
      case 'stop': {
        const flows = running.get(command.run) ?? []
        const reports = await Promise.all(flows.map(async ([flow, sending]) => [flow, await sending.stop()] as const))
        return answer({ is: 'stopped', run: command.run, flows: reports })
      }
      case 'report': {
        const mine = [...tallies].filter(([key]) => key.startsWith(`${command.run}/`))
        const flows = mine.map(([key, tally]) => [Number(key.split('/')[1]), tally.read()] as const)
        for (const [key] of mine) tallies.delete(key)
        return answer({ is: 'report', run: command.run, flows, retransmitted: retransmittedSegments() })
      }
    }
  }
  answer({ is: 'ready' })
  for await (const line of createInterface({ input: process.stdin })) await obey(JSON.parse(line) as Command)
  process.exit(0)
}

if (import.meta.main) await serve(Number(process.argv[2]))
