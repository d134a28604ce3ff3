/**
 * Traffic tools that run inside a VM's namespace, one process a role.
 *
 *   serve PORT…                 TCP and UDP echo on both IP versions
 *   ask tcp|udp ADDRESS PORT    exit 0 when an echo comes back within a second
 *   hold ADDRESS PORT           a TCP connection that says a line every 20 ms; prints "echo N" for each answer
 *   send ADDRESS PORT COUNT     sequence-numbered UDP, one each millisecond; prints how many were sent
 *   resolve udp|tcp SERVER NAME asks a name server for the A or AAAA record (by the server's IP version); prints it
 *   receive PORT                counts sequence numbers, on both IP versions; prints { received, lost, duplicated } on SIGTERM
 */
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const [role = '', ...args] = process.argv.slice(2)

const familyOf = (address: string): 'udp4' | 'udp6' => (address.includes(':') ? 'udp6' : 'udp4')

function serve(ports: readonly number[]): void {
  for (const port of ports) {
    createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(port, '::')
    const udp = createSocket('udp6')
    udp.on('message', (message, peer) => udp.send(message, peer.port, peer.address))
    udp.bind(port, '::')
  }
  process.stdout.write('ready\n')
}

function ask(kind: string, address: string, port: number): void {
  setTimeout(() => process.exit(1), 1000)
  if (kind === 'tcp') {
    const socket = connect(port, address, () => socket.write('x'))
    socket.on('data', () => process.exit(0)).on('error', () => process.exit(1))
    return
  }
  const socket = createSocket(familyOf(address))
  socket.on('message', () => process.exit(0)).on('error', () => process.exit(1))
  const send = (): void => socket.send('x', port, address)
  send()
  setInterval(send, 200)
}

function hold(address: string, port: number): void {
  let answers = 0
  const socket = connect(port, address, () => setInterval(() => socket.write('x'), 20))
  socket.on('data', () => process.stdout.write(`echo ${++answers}\n`))
  socket.on('error', (error) => {
    process.stdout.write(`${error.message}\n`)
    process.exit(1)
  })
}

/** Catches up when a timer was late, so that the mean rate is one a millisecond. */
function send(address: string, port: number, count: number): void {
  const socket = createSocket(familyOf(address))
  const begin = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    while (sent < count && performance.now() - begin >= sent) {
      const packet = Buffer.alloc(64)
      packet.writeUInt32BE(sent++)
      socket.send(packet, port, address)
    }
    if (sent < count) return
    clearInterval(timer)
    process.stdout.write(`${sent}\n`)
    // What was handed over last leaves before the socket goes.
    setTimeout(() => socket.close(), 100)
  }, 1)
}

function receive(port: number): void {
  const socket = createSocket({ type: 'udp6', recvBufferSize: 4 << 20 })
  const seen = new Set<number>()
  let duplicated = 0
  socket.on('message', (message) => {
    const number = message.readUInt32BE()
    if (seen.has(number)) duplicated++
    seen.add(number)
  })
  process.once('SIGTERM', () => {
    const highest = Math.max(-1, ...seen)
    process.stdout.write(`${JSON.stringify({ received: seen.size, lost: highest + 1 - seen.size, duplicated })}\n`)
    process.exit(0)
  })
  socket.bind(port, () => process.stdout.write('ready\n'))
}

/** One question (RFC 1035 §4); TCP puts the length before it. The answer to print is the last record's data. */
function resolve(kind: string, server: string, name: string): void {
  setTimeout(() => process.exit(1), 1000)
  const v6 = server.includes(':')
  const labels = name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)])
  const header = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const question = Buffer.concat([header, ...labels, Buffer.from([0, 0, v6 ? 28 : 1, 0, 1])])
  const answered = (message: Buffer): void => {
    const answers = message.readUInt16BE(6)
    const data = message.subarray(-(v6 ? 16 : 4))
    const text = v6 ? (data.toString('hex').match(/..../g) ?? []).join(':') : data.join('.')
    process.stdout.write(`${answers === 0 ? 'no such name' : text}\n`)
    process.exit(0)
  }
  if (kind === 'tcp') {
    const socket = connect(53, server, () => socket.write(Buffer.concat([Buffer.from([0, question.length]), question])))
    socket.on('data', (bytes) => answered(bytes.subarray(2))).on('error', () => process.exit(1))
    return
  }
  const socket = createSocket(familyOf(server))
  socket.on('message', answered).on('error', () => process.exit(1))
  socket.send(question, 53, server)
}

switch (role) {
  case 'resolve':
    resolve(args[0] ?? '', args[1] ?? '', args[2] ?? '')
    break
  case 'serve':
    serve(args.map(Number))
    break
  case 'ask':
    ask(args[0] ?? '', args[1] ?? '', Number(args[2]))
    break
  case 'hold':
    hold(args[0] ?? '', Number(args[1]))
    break
  case 'send':
    send(args[0] ?? '', Number(args[1]), Number(args[2]))
    break
  case 'receive':
    receive(Number(args[0]))
    break
  default:
    throw new Error(`no role '${role}'`)
}
