/**
 * What hosts have really in place: the newest report per (host, kind, id) goes to its table, in batches of at most
 * 50 ms; ports whose flows are proven, or are gone, become operations of core at once, those of many hosts together.
 * Whether a network's DHCP is served and a router stands depends on several hosts: core looks at what all of them said,
 * once it is stored.
 *
 * A report counts for a port's status only when it speaks of the generation that is known here and of the port's
 * binding host. Both the write and the operation may be repeated, so a failure is simply tried again.
 */
import type { Logger } from '#kernel/log.ts'
import { isUnattended } from '#resources/port.ts'
import type { Database } from '#store/pool.ts'
import type { WireKey } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import { hostOf, type NetworkRow, type PortRow, type RouterRow } from './derive.ts'
import type { FeedEffects, PortAt } from './types.ts'

export interface Realizations {
  /** `reports` are of objects that the host is to have. */
  record(host: string, reports: readonly Realization[]): void
  /** The host has these objects no more. */
  forget(host: string, keys: readonly WireKey[]): Promise<void>
  /** The host has these objects and no others. */
  keepOnly(host: string, keys: ReadonlySet<WireKey>): Promise<void>
  close(): Promise<void>
}

interface Pending {
  readonly host: string
  readonly report: Realization
}

const BATCH_MS = 50
/** Ports that one operation moves: their rows are locked while it lasts. */
const BATCH_PORTS = 250
const RETRY_MS = 500

const WRITE = `
  insert into realizations as r (host, kind, id, generation, state, message, repaired, at)
  select * from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[])
  on conflict (host, kind, id) do update set
    generation = excluded.generation, state = excluded.state, message = excluded.message,
    repaired = excluded.repaired, at = excluded.at
  where (excluded.generation, excluded.at) >= (r.generation, r.at)
    and (excluded.generation, excluded.state, excluded.message, excluded.repaired, excluded.at)
      is distinct from (r.generation, r.state, r.message, r.repaired, r.at)`

const FORGET = `delete from realizations where host = $1 and kind || '/' || id = any($2::text[])`
const KEEP_ONLY = `delete from realizations where host = $1 and kind || '/' || id <> all($2::text[])`

/** What a report means for a port's status, or null: it says nothing new or speaks of another generation. */
export function verdict(host: string, report: Realization, port: PortRow | null): 'up' | 'down' | null {
  if (report.kind !== 'port' || !port || hostOf(port) !== host || report.generation < port.generation) return null
  if (isUnattended(port.binding_vif_type)) return null
  // A port that is administratively down is in place when nothing passes: that is not ACTIVE.
  const up = report.state === 'done' && port.admin_state_up
  return up === (port.status === 'ACTIVE') ? null : up ? 'up' : 'down'
}

/** Whether a host where a port is expected says that all it needs stands there, or does not. Null: it is no such host. */
export function readiness(host: string, report: Realization, port: PortRow | null): 'ready' | 'unready' | null {
  if (report.kind !== 'port' || !port || report.generation < port.generation) return null
  if (!port.expected_on.some((one) => one.host === host)) return null
  return report.state === 'done' ? 'ready' : 'unready'
}

/** Whether a report of a network may change the status of its DHCP port. */
export const concernsDhcp = ({ state, generation }: Realization, network: NetworkRow | null): boolean => {
  if (!network || network.dhcp_status === null || generation < network.generation) return false
  return network.dhcp_status === 'ACTIVE' ? state === 'error' : state === 'done'
}

/** Whether a report of a router from a host it is placed on may change the status of its ports. */
export const concernsRouter = (host: string, { state, generation }: Realization, router: RouterRow | null): boolean => {
  if (!router?.hosts.includes(host) || generation < router.generation) return false
  const up = state === 'done' && router.admin_state_up
  return router.statuses.some((status) => (status === 'ACTIVE') !== up)
}

/** The effect of a verdict. */
const CONSEQUENCES = {
  up: ['portsRealized', true],
  down: ['portsRealized', false],
  ready: ['portsAwaited', true],
  unready: ['portsAwaited', false],
} as const satisfies Readonly<Record<string, readonly [keyof FeedEffects, boolean]>>

/** What is known of the objects that hosts report on. */
export interface Rows {
  port(id: string): PortRow | null
  network(id: string): NetworkRow | null
  router(id: string): RouterRow | null
}

export interface RealizationsOptions {
  readonly database: Database
  readonly effects: FeedEffects
  readonly rows: Rows
  readonly log: Logger
}

export const createRealizations = (options: RealizationsOptions): Realizations => new Writer(options)

class Writer implements Realizations {
  readonly #options: RealizationsOptions
  #pending = new Map<string, Pending>()
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  #lastFlush = 0

  constructor(options: RealizationsOptions) {
    this.#options = options
  }

  record(host: string, reports: readonly Realization[]): void {
    for (const report of reports) this.#pending.set(`${host} ${report.kind}/${report.id}`, { host, report })
    if (this.#pending.size > 0) this.#schedule(Math.max(0, this.#lastFlush + BATCH_MS - Date.now()))
  }

  async forget(host: string, keys: readonly WireKey[]): Promise<void> {
    for (const key of keys) this.#pending.delete(`${host} ${key}`)
    await this.#writing
    await this.#options.database.query(FORGET, [host, keys])
  }

  async keepOnly(host: string, keys: ReadonlySet<WireKey>): Promise<void> {
    await this.#writing
    await this.#options.database.query(KEEP_ONLY, [host, [...keys]])
  }

  async close(): Promise<void> {
    if (this.#timer) {
      clearTimeout(this.#timer)
      this.#flush()
    }
    await this.#writing
    if (this.#timer) clearTimeout(this.#timer)
  }

  #schedule(waitMs: number): void {
    this.#timer ??= setTimeout(() => this.#flush(), waitMs)
  }

  #flush(): void {
    this.#timer = null
    this.#lastFlush = Date.now()
    const batch = this.#pending
    this.#pending = new Map()
    this.#writing = this.#writing.then(() => this.#write(batch))
  }

  /** What fails comes again with the next batch; what one host says does not wait for another's trouble. */
  async #write(batch: ReadonlyMap<string, Pending>): Promise<void> {
    const all = [...batch.values()]
    const stored = async (): Promise<readonly Pending[]> => {
      const unsaved = await this.#save(all)
      return unsaved.length > 0 ? unsaved : this.#weigh(all)
    }
    const failed = new Set((await Promise.all([stored(), this.#judge(all)])).flat())
    if (failed.size === 0) return
    const again = [...batch].filter(([, one]) => failed.has(one))
    this.#pending = new Map([...again, ...this.#pending])
    this.#schedule(RETRY_MS)
  }

  /** Answers what could not be written. */
  async #save(batch: readonly Pending[]): Promise<readonly Pending[]> {
    return this.#attempt(batch, () => this.#options.database.query(WRITE, columnsOf(batch)))
  }

  /** Answers what could not be carried out. */
  async #judge(batch: readonly Pending[]): Promise<readonly Pending[]> {
    const { rows, effects } = this.#options
    const failed: Pending[] = []
    const judged = batch.map((one) => {
      const port = rows.port(one.report.id)
      return { one, verdict: verdict(one.host, one.report, port) ?? readiness(one.host, one.report, port) }
    })
    for (const [it, group] of Map.groupBy(judged, (one) => one.verdict)) {
      if (it === null) continue
      const [tell, good] = CONSEQUENCES[it]
      const reports = group.map(({ one }) => one)
      for (let at = 0; at < reports.length; at += BATCH_PORTS)
        failed.push(...(await this.#tell(reports.slice(at, at + BATCH_PORTS), (ports) => effects[tell](ports, good))))
    }
    return failed
  }

  /** What cannot be carried out for all hosts at once is tried for one after another. Answers what could not be. */
  async #tell(
    reports: readonly Pending[],
    act: (ports: readonly PortAt[]) => Promise<unknown>,
  ): Promise<readonly Pending[]> {
    const told = (some: readonly Pending[]) => act(some.map(({ host, report: { id } }) => ({ id, host })))
    const hosts = [...Map.groupBy(reports, ({ host }) => host).values()]
    const atOnce = async (): Promise<boolean> =>
      told(reports).then(
        () => true,
        () => false,
      )
    if (hosts.length > 1 && (await atOnce())) return []
    const failed: Pending[] = []
    for (const some of hosts) failed.push(...(await this.#attempt(some, () => told(some))))
    return failed
  }

  /** What is stored may be the last that was missing. Answers what could not be carried out. */
  async #weigh(batch: readonly Pending[]): Promise<readonly Pending[]> {
    const { effects, rows } = this.#options
    const networks = batch.filter(
      ({ report }) => report.kind === 'network' && concernsDhcp(report, rows.network(report.id)),
    )
    const routers = batch.filter(
      ({ host, report }) => report.kind === 'router' && concernsRouter(host, report, rows.router(report.id)),
    )
    const ids = (some: readonly Pending[]): string[] => [...new Set(some.map(({ report }) => report.id))]
    const carry = (some: readonly Pending[], act: (ids: readonly string[]) => Promise<unknown>) =>
      some.length === 0 ? [] : this.#attempt(some, () => act(ids(some)))
    return [
      ...(await carry(networks, (some) => effects.networksRealized(some))),
      ...(await carry(routers, (some) => effects.routersRealized(some))),
    ]
  }

  async #attempt(batch: readonly Pending[], act: () => Promise<unknown>): Promise<readonly Pending[]> {
    try {
      await act()
      return []
    } catch (error) {
      this.#options.log.warn({ err: error, reports: batch.length }, 'realizations could not be taken; trying again')
      return batch
    }
  }
}

/** One array a column, for `unnest`. */
const columnsOf = (batch: readonly Pending[]): readonly unknown[] => [
  batch.map(({ host }) => host),
  ...(['kind', 'id', 'generation', 'state', 'message', 'repaired', 'at'] as const).map((name) =>
    batch.map(({ report }) => report[name]),
  ),
]
