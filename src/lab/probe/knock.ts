/**
 * Small TCP and UDP tools for a VM. `knock.ts listen PORT …` accepts TCP and echoes UDP until its input ends;
 * `knock.ts tcp|udp HOST PORT MS` exits with 0 when the other side answers in time, with 1 when it does not.
 */
import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6 } from 'node:net'

const listen = async (ports: readonly number[]): Promise<void> => {
  for (const port of ports) {
    const server = createServer((socket) => socket.on('error', () => undefined).end('hello\n'))
    await new Promise<void>((done) => server.listen(port, '::', done))
    const udp = createSocket('udp6')
    udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address))
    await new Promise<void>((done) => udp.bind(port, '::', done))
  }
  process.stdout.write('listening\n')
  process.stdin.resume().on('end', () => process.exit(0))
}

const knock = (kind: string, host: string, port: number, timeout: number): void => {
  setTimeout(() => process.exit(1), timeout)
  const open = (): never => process.exit(0)
  if (kind === 'tcp') {
    connect({ host, port })
      .on('data', open)
      .on('error', () => process.exit(1))
    return
  }
  const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4').on('message', open)
  const send = (): void => udp.send('hello', port, host)
  send()
  setInterval(send, 100)
}

const [what = '', ...rest] = process.argv.slice(2)
if (what === 'listen') await listen(rest.map(Number))
else knock(what, rest[0] ?? '', Number(rest[1]), Number(rest[2]))
