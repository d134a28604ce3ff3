/**
 * One host's agent: the session with the feed, the world it builds, its disk, the reconciler that drives the data
 * plane, and what is said upwards. Without a server it goes on from disk: what stands stays, what breaks is repaired.
 */
import type { Dataplane } from '#dataplane/port.ts'
import type { KeyedQueueOptions } from '#kernel/keyed-queue.ts'
import type { Logger } from '#kernel/log.ts'
import type { Frame, Hello, Refusal, Report, Welcome } from '#wire/messages.ts'
import type { Realization } from '#wire/realization.ts'
import { type ReadableVersions, readableVersions } from '#wire/versions.ts'
import { type Disk, noDisk, openDisk } from './disk.ts'
import { allKeys, createReconciler, type Reconciler } from './reconciler.ts'
import { createSession, type Session, type SessionTiming } from './session.ts'
import { configurationsOf, createReporter, goneFrom, type Reporter } from './status.ts'
import { createWorldStore, type WorldStore } from './world.ts'

export interface AgentOptions {
  readonly host: string
  readonly agentVersion: string
  /** Default: nova. */
  readonly availabilityZone?: string
  readonly dataplane: Dataplane
  /** Jobs of this host that are not the data plane's, with what clients read of each. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Where the last world is kept; null keeps none (simulated hosts). */
  readonly stateDir: string | null
  readonly servers: readonly string[]
  readonly credential: string | null
  readonly ca?: string | undefined
  /** Versions to say in the hello instead of all that this build reads. */
  readonly versions?: Partial<ReadableVersions>
  readonly log: Logger
  readonly timing?: Partial<SessionTiming>
  readonly retry?: KeyedQueueOptions['retry']
  /** Longest pause between two heartbeats; the server's wish is followed when it is shorter. */
  readonly heartbeatMs?: number
}

export interface AgentStatus {
  readonly connected: boolean
  readonly refusal: Refusal | null
  readonly inSync: boolean
  readonly position: string | null
}

export interface Agent {
  /** Loads the last world, starts the data plane, then looks for a server. Throws with one sentence for the operator. */
  start(): Promise<void>
  /** Stops watching; the host stays as it is. */
  stop(): Promise<void>
  /** Resolves with a sentence when the data plane cannot go on. */
  readonly fatal: Promise<string>
  readonly world: WorldStore
  status(): AgentStatus
  /** Resolves when nothing is left to reconcile. */
  idle(): Promise<void>
}

export const createAgent = (options: AgentOptions): Agent => new HostAgent(options)

class HostAgent implements Agent {
  readonly world: WorldStore = createWorldStore()
  readonly fatal: Promise<string>
  readonly #fail: (message: string) => void
  readonly #options: AgentOptions
  readonly #startedAt = new Date().toISOString()
  readonly #session: Session
  readonly #reporter: Reporter
  readonly #reconciler: Reconciler
  #disk: Disk = noDisk
  /** What the server we are connected to speaks. */
  #spoken: Partial<Welcome['versions']> = {}
  #swept = false
  #heartbeat: NodeJS.Timeout | null = null

  constructor(options: AgentOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<string>()
    this.fatal = promise
    this.#fail = resolve
    this.#session = createSession({
      ...options,
      hello: () => this.#hello(),
      events: {
        welcome: (welcome) => this.#onWelcome(welcome),
        frame: (frame) => this.#onFrame(frame),
        down: () => this.#stopHeartbeat(),
      },
    })
    this.#reporter = createReporter((report) => this.#session.send(this.#understood(report)))
    this.#reconciler = createReconciler({
      dataplane: options.dataplane,
      log: options.log,
      state: () => this.world,
      report: (realizations) => this.#record(realizations),
      ...(options.retry ? { queue: { retry: options.retry } } : {}),
    })
  }

  async start(): Promise<void> {
    const { dataplane, stateDir, log } = this.#options
    if (stateDir) this.#disk = openDisk(stateDir, log)
    const { known, position } = this.#disk.load()
    this.world.load(known, position)
    log.info({ objects: known.length, position }, 'starting from what the disk remembers')
    await dataplane.start({
      dirty: (keys) => this.#reconciler.changed(keys),
      realized: (realizations) => this.#record(realizations),
      fatal: this.#fail,
    })
    this.#reconciler.changed([...allKeys(this.world.world)])
    this.#session.start()
  }

  async stop(): Promise<void> {
    await this.#session.close()
    await this.#reconciler.close()
    this.#reporter.close()
    await this.#options.dataplane.stop()
    this.#disk.close()
  }

  idle(): Promise<void> {
    return this.#reconciler.idle()
  }

  status(): AgentStatus {
    const { connected, refusal } = this.#session
    const { inSync, position } = this.world
    return { connected, refusal, inSync, position }
  }

  #hello(): Omit<Hello, 'type' | 'protocol'> {
    const { host, agentVersion, versions } = this.#options
    return {
      host,
      agent_version: agentVersion,
      versions: { ...readableVersions(), ...versions },
      have: this.world.have(),
      position: this.world.position,
    }
  }

  /** What left the world while the data plane worked on it has no state any more. */
  #record(realizations: readonly Realization[]): void {
    const { world } = this.world
    this.#reporter.record(realizations.filter(({ kind, id }) => world[kind].has(id)))
  }

  /** A server of an older build does not know what we had from a newer one. */
  #understood(report: Report): Report {
    return { ...report, realizations: report.realizations.filter(({ kind }) => this.#spoken[kind] !== undefined) }
  }

  #onWelcome({ server, versions, heartbeat_interval_ms }: Welcome): void {
    this.#options.log.info({ server }, 'connected')
    this.#spoken = versions
    this.#beat()
    const everyMs = Math.min(heartbeat_interval_ms, this.#options.heartbeatMs ?? heartbeat_interval_ms)
    this.#heartbeat = setInterval(() => this.#beat(), everyMs)
    this.#reporter.resend()
  }

  #beat(): void {
    const configurations = configurationsOf({
      capabilities: this.#options.dataplane.capabilities,
      services: this.#options.services ?? {},
      host: this.#options.host,
      agentVersion: this.#options.agentVersion,
      availabilityZone: this.#options.availabilityZone ?? 'nova',
      world: this.world.world,
      inSync: this.world.inSync,
      realized: this.#reporter.counts(),
      failing: this.#reconciler.failing().size,
    })
    this.#session.send({ type: 'heartbeat', configurations, started_at: this.#startedAt })
  }

  #stopHeartbeat(): void {
    if (this.#heartbeat) clearInterval(this.#heartbeat)
    this.#heartbeat = null
  }

  #onFrame(frame: Frame): void {
    const objection = this.world.objection(frame)
    if (objection) throw new Error(objection)
    const changed = this.world.apply(frame)
    this.#remember(frame)
    this.#reporter.forget(goneFrom(this.world.world, changed))
    this.#reconciler.changed(changed)
    if (!frame.in_sync) return
    if (this.#swept) return this.#reconciler.release()
    this.#swept = true
    this.#options.log.info({ position: frame.position, ports: this.world.world.port.size }, 'in sync')
    this.#reconciler.sweep()
  }

  /** A full disk does not stop the data plane: the file keeps an earlier world, whose fingerprints stay true. */
  #remember(frame: Frame): void {
    try {
      this.#disk.write(frame)
    } catch (error) {
      this.#options.log.error(
        { err: error },
        'cannot write the world to disk: a restart without a server finds an older one',
      )
    }
  }
}
