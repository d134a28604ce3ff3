/** Where agents connect: WebSocket upgrades on `/agent`, over TCP, TLS or a unix socket. Nothing else is served. */
import { chmod, rm } from 'node:fs/promises'
import { createServer as createHttp, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, ListenOptions } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { parseIp } from '#kernel/ip.ts'

export interface ListenAt {
  readonly host?: string
  /** 0 takes any free one. */
  readonly port?: number
  /** Path of a unix socket; a left-over one is replaced. */
  readonly socket?: string
  /** PEM. Needed where `host` is not loopback, unless `plaintext` says that the wire is ours. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly plaintext?: boolean
}

export interface Listener {
  /** The TCP port, or null. */
  readonly port: number | null
  close(): Promise<void>
}

const MAX_MESSAGE = 32 * 1024 * 1024

/** Throws when an address cannot be taken, or would carry credentials in the clear. */
export async function listen(
  at: ListenAt,
  onConnection: (socket: WebSocket, authorization: string | undefined) => void,
): Promise<Listener> {
  const { host = '127.0.0.1', port, socket, tls } = at
  if (port !== undefined && !tls && !at.plaintext && !isLoopback(host))
    throw new Error(
      `agents on other machines would send their credentials in the clear to ${host}: give the feed a certificate`,
    )
  const upgrade = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, perMessageDeflate: false })
  const accept = (server: Server): Server => {
    server.on('upgrade', (request, stream, head) => {
      if (new URL(request.url ?? '/', 'http://feed').pathname !== '/agent')
        return stream.end('HTTP/1.1 404 Not Found\r\n\r\n')
      upgrade.handleUpgrade(request, stream, head, (client) => onConnection(client, request.headers.authorization))
    })
    server.on('request', (_, response) => response.writeHead(404).end('agents connect to /agent\n'))
    return server
  }
  const servers: Server[] = []
  if (port !== undefined) servers.push(await started(accept(tls ? createHttps(tls) : createHttp()), { host, port }))
  const tcp = servers[0]
  if (socket !== undefined) {
    await rm(socket, { force: true })
    servers.push(await started(accept(createHttp()), { path: socket }))
    await chmod(socket, 0o660)
  }
  return {
    port: tcp ? (tcp.address() as AddressInfo).port : null,
    close: async () => {
      upgrade.close()
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

const started = (server: Server, at: ListenOptions): Promise<Server> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, () => {
      server.off('error', reject)
      resolve(server)
    })
  })

function isLoopback(host: string): boolean {
  const ip = parseIp(host)
  return host === 'localhost' || ip?.value === 1n || (ip?.version === 4 && ip.value >> 24n === 127n)
}
