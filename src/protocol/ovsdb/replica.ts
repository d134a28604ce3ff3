/**
 * A copy of some OVSDB tables that stays right across lost connections.
 *
 * Promised: `tables` is the database at one transaction; a listener gets every row that differs from what it was told
 * last, with its old and new self, whether the server replayed the gap (`resumed`) or sent everything (`snapshot`).
 * Not promised: that every state in between is seen. Reconnects by itself until closed.
 */
import type { Logger } from '#kernel/log.ts'
import { createSignal, defaultRetry, keepConnected, type Retry, type TlsIdentity } from '../socket.ts'
import {
  connectOvsdb,
  type MonitorKind,
  type MonitorSpec,
  type OpResult,
  type OvsdbClient,
  type RowChange,
  type Tables,
} from './client.ts'
import type { Op } from './ops.ts'
import type { Row } from './schema.ts'

export interface ReplicaOptions {
  readonly target: string
  readonly tls?: TlsIdentity
  readonly database: string
  readonly tables: MonitorSpec
  readonly log: Logger
  readonly retry?: Retry
  readonly probeMs?: number
}

export interface ReplicaEvent {
  readonly kind: MonitorKind
  readonly changes: readonly RowChange[]
}

export interface OvsdbReplica {
  /** Rows of a table by UUID; throws when it is not monitored. `R` names the columns asked for. */
  table<R extends Row = Row>(name: string): ReadonlyMap<string, R>
  /** Listeners run in order of subscription, while `tables` holds the new state. Returns the unsubscribe. */
  onChange(listener: (event: ReplicaEvent) => void): () => void
  onUp(listener: () => void): () => void
  onDown(listener: (reason: Error) => void): () => void
  readonly connected: boolean
  /** Why there is no connection now; null while there is one, and before the first attempt has ended. */
  readonly failure: Error | null
  /** Resolves when the tables are filled for the first time. Rejects when closed before. */
  readonly ready: Promise<void>
  /** As `OvsdbClient.transact`; rejects at once while there is no connection. */
  transact(ops: readonly Op[]): Promise<readonly OpResult[]>
  close(): Promise<void>
}

export function createReplica(options: ReplicaOptions): OvsdbReplica {
  const tables: Tables = new Map(Object.keys(options.tables).map((table) => [table, new Map()]))
  const [changed, up, down] = [createSignal<ReplicaEvent>(), createSignal<void>(), createSignal<Error>()]
  const stop = new AbortController()
  const ready = Promise.withResolvers<void>()
  ready.promise.catch(() => undefined)
  let client: OvsdbClient | null = null
  let since: string | null = null
  let failure: Error | null = null

  const session = async (): Promise<void> => {
    const connection = await connectOvsdb({ ...options, signal: stop.signal })
    try {
      const monitored = await connection.monitor(options.tables, tables, since, (changes, kind) => {
        client = connection
        failure = null
        changed.tell({ kind, changes })
      })
      ready.resolve()
      up.tell()
      const reason = await connection.closed
      since = monitored.lastTransaction()
      client = null
      failure = reason
      if (reason) down.tell(reason)
    } finally {
      client = null
      connection.close()
    }
  }
  const running = keepConnected(session, {
    retry: options.retry ?? defaultRetry,
    signal: stop.signal,
    onFailure: (error) => {
      failure = error
      options.log.warn({ target: options.target, reason: error.message }, 'ovsdb unreachable')
    },
  })

  return {
    table: <R extends Row>(name: string) => rowsOf(tables, name) as ReadonlyMap<string, R>,
    onChange: changed.add,
    onUp: up.add,
    onDown: down.add,
    get connected() {
      return client !== null
    },
    get failure() {
      return failure
    },
    ready: ready.promise,
    transact: (ops) => client?.transact(ops) ?? Promise.reject(new Error(`no connection to ${options.target}`)),
    close: async () => {
      stop.abort()
      await running
      ready.reject(new Error('the replica was closed'))
    },
  }
}

function rowsOf(tables: Tables, name: string): ReadonlyMap<string, Row> {
  const rows = tables.get(name)
  if (!rows) throw new Error(`table ${name} is not monitored`)
  return rows
}
