/**
 * The flows of one bridge over OpenFlow: read back, carried out in atomic bundles, watched for foreign hands.
 *
 * One connection does all three, so that our own changes are told apart from others'. It comes back by itself; what
 * was known then is forgotten.
 */
import type { Logger } from '#kernel/log.ts'
import type { SwitchClient } from '#protocol/openflow/client.ts'
import { OpenFlowError } from '#protocol/openflow/errors.ts'
import { type Flow, instructionsOf, keyOfFlow } from '#protocol/openflow/flow.ts'
import { type Change, describe } from '#protocol/openflow/messages.ts'
import type { MonitorUpdate } from '#protocol/openflow/replies.ts'
import { createSwitchSession, type SwitchSession } from '#protocol/openflow/session.ts'
import { createSignal } from '#protocol/socket.ts'
import type { Announcement } from './announce.ts'
import type { Slot } from './desired.ts'
import type { FlowPlan, SeenFlow } from './plan.ts'
import type { Flows } from './port.ts'

/** A bridge that was just made listens within milliseconds. */
const PATIENCE_MS = 5_000
/** Of flows refused in one plan; more than a few means that the switch refuses everything. */
const REFUSALS = 20
/** Keys kept; some 30 MB. */
const REMEMBERED = 100_000
const WHOLE_COOKIE = 0xffff_ffff_ffff_ffffn

export interface FlowsOptions {
  /** OpenFlow target of the bridge. */
  readonly target: string
  readonly log: Logger
}

export const openFlows = (options: FlowsOptions): Flows => new BridgeFlows(options)

class BridgeFlows implements Flows {
  readonly slotOf = rememberingKeys()
  readonly instructionsOf = instructionsOf
  readonly #options: FlowsOptions
  readonly #ups = createSignal<void>()
  readonly #foreign = createSignal<ReadonlyMap<Slot, SeenFlow | null>>()
  /** Begins when it is first needed: before that the bridge may not be there at all. */
  #session: SwitchSession | null = null
  #client: SwitchClient | null = null

  constructor(options: FlowsOptions) {
    this.#options = options
  }

  async ready(): Promise<void> {
    this.#session ??= this.#open()
    if (this.#client) return
    const up = Promise.withResolvers<void>()
    const forget = this.#ups.add(up.resolve)
    const timer = setTimeout(up.resolve, PATIENCE_MS)
    await up.promise
    clearTimeout(timer)
    forget()
    this.#connected()
  }

  async readBack(): Promise<Map<Slot, SeenFlow>> {
    return new Map((await this.#connected().dumpFlows()).map((flow) => [flow.key, flow]))
  }

  async carryOut(plan: FlowPlan): Promise<ReadonlyMap<Slot, string>> {
    return carryOut(this.#connected(), plan)
  }

  async forgetConnections(zones: readonly number[]): Promise<void> {
    const client = this.#connected()
    await Promise.all(zones.map((zone) => client.flushZone(zone)))
  }

  async announce(frames: readonly Announcement[]): Promise<void> {
    const client = this.#connected()
    await Promise.all(frames.map(({ actions, frame }) => client.inject(actions, frame)))
  }

  onUp(listener: () => void): void {
    this.#ups.add(listener)
  }

  onForeign(listener: (changes: ReadonlyMap<Slot, SeenFlow | null>) => void): void {
    this.#foreign.add(listener)
  }

  async close(): Promise<void> {
    await this.#session?.close()
  }

  #open(): SwitchSession {
    const { target, log } = this.#options
    const session = createSwitchSession({ target, log, retry: { firstMs: 20, maxMs: 1_000 } })
    session.onUp((client) => {
      // The monitor is asked for before anything else is: no change falls between it and the first read-back.
      client
        .monitorFlows((updates) => this.#tell(updates))
        .catch((error: Error) => {
          log.warn({ target, error: error.message }, 'no flow monitor: foreign changes are seen at the next read-back')
        })
      this.#client = client
      this.#ups.tell()
    })
    session.onDown((reason) => {
      this.#client = null
      log.warn({ target, reason: reason.message }, 'lost the bridge')
    })
    return session
  }

  #connected(): SwitchClient {
    if (!this.#client)
      throw new Error(`the bridge at ${this.#options.target} is not reachable: is ovs-vswitchd running?`)
    return this.#client
  }

  #tell(updates: readonly MonitorUpdate[]): void {
    const changes = foreignChanges(updates)
    if (changes.size > 0) this.#foreign.tell(changes)
  }
}

/** An object compiled again has mostly the matches it had: their canonical keys are not worked out again. */
function rememberingKeys(): (flow: Flow) => Slot {
  const keys = new Map<string, Slot>()
  return (flow) => {
    const text = `${flow.table} ${flow.priority} ${flow.match}`
    const known = keys.get(text)
    if (known !== undefined) return known
    if (keys.size >= REMEMBERED) keys.clear()
    const key = keyOfFlow(flow)
    keys.set(text, key)
    return key
  }
}

/** Adds before removals, all at once. Refused flows are left out one by one: the rest must not wait for them. */
async function carryOut(client: SwitchClient, { add, remove }: FlowPlan): Promise<ReadonlyMap<Slot, string>> {
  const refused = new Map<Slot, string>()
  // A cookie holds a hash of the whole flow: within a table it names one.
  const removals = [...remove.values()].map(
    ({ table, cookie }): Change => ({ op: 'delete-where', table, cookie, mask: WHOLE_COOKIE }),
  )
  let flows = [...add.values()]
  for (;;) {
    const additions = flows.map((flow): Change => ({ op: 'add', flow }))
    try {
      await client.bundle([...additions, ...removals])
      return refused
    } catch (error) {
      const culprit = culpritOf(error, flows)
      if (!culprit || refused.size >= REFUSALS) throw error
      refused.set(keyOfFlow(culprit), (error as Error).message)
      flows = flows.filter((flow) => flow !== culprit)
    }
  }
}

const culpritOf = (error: unknown, flows: readonly Flow[]): Flow | undefined =>
  error instanceof OpenFlowError ? flows.find((flow) => describe({ op: 'add', flow }) === error.what) : undefined

/** How flows stand now that others touched; null where they are gone. */
function foreignChanges(updates: readonly MonitorUpdate[]): ReadonlyMap<Slot, SeenFlow | null> {
  const changes = new Map<Slot, SeenFlow | null>()
  for (const update of updates) {
    switch (update.event) {
      case 'added':
      case 'modified':
        changes.set(update.key, update)
        break
      case 'removed':
        changes.set(update.key, null)
        break
      default:
    }
  }
  return changes
}
