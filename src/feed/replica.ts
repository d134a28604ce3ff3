/**
 * Keeps the topics as fresh as the change log: reads what is dirty or newly wanted, round after round, until nothing
 * is left to read; then the new position holds and hosts hear what may have changed.
 *
 * While rounds run (`busy`), lookups may show half of a change: nothing may be sent. Reads of one round are younger
 * than those of the one before, so no object goes back in time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#kernel/log.ts'
import type { Database } from '#store/pool.ts'
import type { WireKey } from '#wire/objects.ts'
import { laterOf } from '#wire/position.ts'
import { readChassis, readGroups, readNetworks, readPorts, readRouters } from './queries.ts'
import { type Loaded, Topics } from './topics.ts'
import type { ChangeRow } from './types.ts'
import { type Wants, wantsOf } from './wants.ts'

export interface Replica {
  readonly topics: Topics
  /** Everything up to here is in the topics. */
  readonly position: string
  readonly busy: boolean
  /** Resolves when what these rows made dirty has been read again. */
  refresh(rows: readonly ChangeRow[], position: string): Promise<void>
  /** Resolves when all that the host needs is there. Each hold needs its release. */
  hold(host: string): Promise<void>
  release(host: string): void
  close(): void
}

export interface ReplicaOptions {
  readonly database: Database
  readonly position: string
  /** Of networks without a domain of their own. */
  readonly dnsDomain: string
  /** Called when the topics stand still again, with what may have changed by host. */
  readonly onSettled: (marks: ReadonlyMap<string, ReadonlySet<WireKey>>) => void
  readonly log: Logger
}

const RETRY_MS = 250

export function createReplica({ database, position: start, dnsDomain, onSettled, log }: ReplicaOptions): Replica {
  const topics = new Topics()
  let position = start
  let nextPosition = start
  let running: Promise<void> | null = null
  let closed = false

  const readUntilItWorks = async (wants: Wants): Promise<Loaded | null> => {
    while (!closed) {
      try {
        return await read(database, dnsDomain, wants)
      } catch (error) {
        log.warn({ err: error }, 'desired state cannot be read; trying again')
        await sleep(RETRY_MS)
      }
    }
    return null
  }

  const pump = async (): Promise<void> => {
    for (let wants = topics.takeWants(); wants; wants = topics.takeWants()) {
      const loaded = await readUntilItWorks(wants)
      if (!loaded) return
      topics.install(wants, loaded)
    }
    position = nextPosition
    running = null
    onSettled(topics.takeMarks())
  }

  const kick = (): Promise<void> => {
    if (running) return running
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    running = promise
    pump().then(resolve, reject)
    return promise
  }

  return {
    topics,
    get position() {
      return position
    },
    get busy() {
      return running !== null
    },
    refresh: (rows, at) => {
      topics.want(wantsOf(rows, (...port) => topics.concerns(...port)))
      nextPosition = laterOf(nextPosition, at)
      return kick()
    },
    hold: (host) => {
      topics.hold(host)
      return kick()
    },
    release: (host) => topics.release(host),
    close: () => {
      closed = true
    },
  }
}

async function read(database: Database, dnsDomain: string, wants: Wants): Promise<Loaded> {
  const { hosts, boundTo, membersOf, clientsOf, remapped } = wants
  const [at, behind] = [[...hosts], [...boundTo]]
  const topics = {
    ids: [...wants.ports],
    hosts: at,
    networks: behind,
    groups: [...membersOf],
    clientsOf: [...clientsOf],
  }
  const anyPorts = wants.ports.size + hosts.size + boundTo.size + membersOf.size + clientsOf.size > 0
  const [ports, networks, routers, groups, chassis] = await Promise.all([
    anyPorts ? readPorts(database, topics) : new Map(),
    wants.networks.size + hosts.size + remapped.size > 0
      ? readNetworks(database, dnsDomain, [...wants.networks], [...at, ...remapped])
      : new Map(),
    wants.routers.size + hosts.size + boundTo.size > 0
      ? readRouters(database, [...wants.routers], at, behind)
      : new Map(),
    wants.groups.size + wants.addressGroups.size > 0
      ? readGroups(database, [...wants.groups], [...wants.addressGroups])
      : new Map(),
    wants.chassis.size > 0 ? readChassis(database, [...wants.chassis]) : new Map(),
  ])
  return { ports, networks, routers, groups, chassis }
}
