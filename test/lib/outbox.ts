/** The outbox step by step, on a clock that tests move: reading, delivering, and a server's ports to have something to say. */
import { randomUUID } from 'node:crypto'
import { recordPortStatus } from '#core/hosts/port-status.ts'
import { silentLogger } from '#kernel/log.ts'
import { createDeliverer, type Deliverer } from '#outbox/deliver.ts'
import { derive, type DeriveOptions, establish } from '#outbox/derive.ts'
import type { Destination } from '#outbox/event.ts'
import { createNova } from '#outbox/nova.ts'
import { createQueue, type Queue } from '#outbox/queue.ts'
import { type Access, createService, type Service } from '#outbox/service.ts'
import { type TestServer, testServer } from './server.ts'

export const openAccess = (url: string): Access => ({
  endpoint: async () => url,
  token: async () => null,
  refused: () => undefined,
})

export const serviceAt = (url: string, access: Access = openAccess(url)): Service =>
  createService(access, { ca: null, insecure: false })

export interface Rig {
  readonly queue: Queue
  /** Milliseconds the outbox's clock is ahead. */
  now(): number
  pass(ms: number): void
  derive(): Promise<number>
  deliverer(destination: Destination, timeoutMs?: number): Deliverer
  /** Delivers until nothing is due, letting pauses pass on the clock; at most `ms` of it. */
  settle(deliverer: Deliverer, ms?: number): Promise<void>
  readonly nova: (url: string, access?: Access) => Destination
}

/** A server with its outbox, and a network with room for many servers' ports. */
export async function outboxGround(): Promise<{ server: TestServer; rig: Rig; network: string }> {
  const server = await testServer({ settings: { quotaPort: -1 } })
  const rig = await outboxRig(server)
  const network = String((await server.admin.make('network', {}))['id'])
  await server.admin.make('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/16' })
  return { server, rig, network }
}

export async function outboxRig(server: TestServer, options: Partial<DeriveOptions> = {}): Promise<Rig> {
  let ahead = 0
  const { database } = server
  const queue = createQueue({ database, ahead: () => ahead })
  const deriving: DeriveOptions = {
    database,
    nova: { status: true, data: true },
    placement: false,
    log: silentLogger,
    ...options,
  }
  await establish(deriving)
  const pass = (ms: number): void => {
    ahead += ms
  }
  return {
    queue,
    now: () => ahead,
    pass,
    derive: async () => (await derive(deriving)).events,
    deliverer: (destination, timeoutMs = 2000) =>
      createDeliverer({ queue, destination, timeoutMs, gatherMs: 0, log: silentLogger }),
    settle: async (deliverer, ms = 3_600_000) => {
      for (const end = ahead + ms; ahead < end; ) {
        const wait = await deliverer.step()
        if (wait === null && (await isIdle(server))) return
        pass(wait ?? 1000)
      }
    },
    nova: (url, access) => createNova(serviceAt(url, access)),
  }
}

const isIdle = async (server: TestServer): Promise<boolean> => {
  const [row] = await server.database.query(
    "select 1 from outbox_events where state in ('pending', 'delivering') limit 1",
  )
  return row === undefined
}

export interface OutboxRow {
  readonly id: string
  readonly subject: string
  readonly name: string
  readonly state: string
  readonly attempts: number
  readonly answer: string | null
}

export const eventsOf = (server: TestServer, subject?: string): Promise<OutboxRow[]> =>
  server.database.query<OutboxRow & Record<string, unknown>>(
    'select id, subject, name, state, attempts, answer from outbox_events where $1::uuid is null or subject = $1 order by position',
    [subject ?? null],
  )

export interface Plugged {
  readonly port: string
  readonly server: string
}

/** A port of a Nova server on host h1, not yet realized. */
export async function serverPort(server: TestServer, network: string, more: object = {}): Promise<Plugged> {
  const device_id = randomUUID()
  const port = await server.admin.make('port', {
    network_id: network,
    device_owner: 'compute:nova',
    device_id,
    'binding:host_id': 'h1',
    ...more,
  })
  return { port: String(port['id']), server: device_id }
}

/** What the host says of its flows. */
export const proves = (server: TestServer, ports: readonly string[], up = true): Promise<string[]> =>
  recordPortStatus(
    server.core,
    ports.map((id) => ({ id, host: 'h1' })),
    up,
  )
