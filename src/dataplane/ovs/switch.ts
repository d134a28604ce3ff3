/**
 * The switch database as this data plane needs it: what stands there, what it says of our interfaces, and making it
 * hold what is wanted. Thin: decisions are in bridge-plan.ts.
 */
import type { Logger } from '#kernel/log.ts'
import { createReplica, type OvsdbReplica } from '#protocol/ovsdb/replica.ts'
import {
  type BridgeRow,
  type InterfaceRow,
  localView,
  MONITORED,
  opsOf,
  type PortRow,
  type RootRow,
  seenSwitch,
  type SwitchTables,
} from './bridge-ops.ts'
import { type BridgeStep, OWNER_KEY, planBridge, type WantedSwitch } from './bridge-plan.ts'
import type { Ensured, Switch } from './port.ts'
import type { LocalView } from './view.ts'

/** The switch opens a device and numbers it within milliseconds; after this long it will not. */
const SETTLE_MS = 5_000

export interface SwitchOptions {
  readonly target: string
  readonly integrationBridge: string
  /** Value of the owner's mark. */
  readonly owner: string
  readonly log: Logger
}

/** Connects and reads; rejects with one sentence when the database is not there within `patienceMs`. */
export async function openSwitch(options: SwitchOptions, patienceMs = 10_000): Promise<Switch> {
  const { target, log } = options
  const replica = createReplica({ target, database: 'Open_vSwitch', tables: MONITORED, log })
  const missing = `Open vSwitch does not answer at ${target}: is openvswitch-switch installed and running?`
  await within(patienceMs, replica.ready, missing).catch(async (error: Error) => {
    await replica.close()
    throw error
  })
  return new Database(replica, options)
}

class Database implements Switch {
  readonly #replica: OvsdbReplica
  readonly #options: SwitchOptions

  constructor(replica: OvsdbReplica, options: SwitchOptions) {
    this.#replica = replica
    this.#options = options
  }

  local(): LocalView {
    return localView(this.#tables(), this.#options.integrationBridge, this.#options.owner)
  }

  async ensure(want: WantedSwitch, inSync: boolean): Promise<Ensured> {
    const first = await this.#write(want, inSync)
    // What broke was removed by the first pass; the second puts it back.
    const second = first.touched.length > 0 ? await this.#write(want, inSync) : first
    return { conflicts: second.conflicts, touched: [...new Set([...first.touched, ...second.touched])] }
  }

  async renew(names: readonly string[], want: WantedSwitch): Promise<void> {
    const { owner } = this.#options
    const lost = seenSwitch(this.#tables()).ports.filter(
      ({ name, marks }) => names.includes(name) && marks[OWNER_KEY] === owner,
    )
    if (lost.length === 0) return
    const steps = lost.map((seen): BridgeStep => ({ op: 'del-port', seen }))
    await this.#carryOut(steps, want)
    await this.ensure(want, false)
  }

  onChange(listener: () => void): () => void {
    return this.#replica.onChange(listener)
  }

  close(): Promise<void> {
    return this.#replica.close()
  }

  #tables(): SwitchTables {
    return {
      root: this.#replica.table<RootRow>('Open_vSwitch'),
      bridges: this.#replica.table<BridgeRow>('Bridge'),
      ports: this.#replica.table<PortRow>('Port'),
      interfaces: this.#replica.table<InterfaceRow>('Interface'),
    }
  }

  async #write(want: WantedSwitch, inSync: boolean): Promise<Ensured> {
    const { steps, conflicts } = planBridge(want, seenSwitch(this.#tables()), this.#options.owner, inSync)
    if (steps.length === 0) return { conflicts, touched: [] }
    const late = await this.#carryOut(steps, want)
    return { conflicts: [...conflicts, ...late], touched: steps.map((step) => nameOf(step, want)) }
  }

  /** One transaction; waits until the switch has done it. Answers what it did not do, one sentence each. */
  async #carryOut(steps: readonly BridgeStep[], want: WantedSwitch): Promise<readonly string[]> {
    const { target, owner } = this.#options
    const root = [...this.#tables().root.keys()][0]
    if (!root) throw new Error(`the database at ${target} is not initialised: run ovs-vsctl init`)
    await this.#replica.transact(opsOf(steps, want, seenSwitch(this.#tables()), root, owner))
    const asked = this.#tables().root.get(root)?.next_cfg ?? 0
    const seen = (): boolean => (this.#tables().root.get(root)?.cur_cfg ?? asked) >= asked
    const added = steps.flatMap((step) => (step.op === 'add-port' || step.op === 'set-port' ? step.port.name : []))
    const removing = steps.some(({ op }) => op === 'del-port')
    await this.#until(() => added.every((name) => this.#isOpen(name)) && (!removing || seen()))
    return added.filter((name) => !this.#isOpen(name)).map((name) => `Open vSwitch does not open port ${name}`)
  }

  #isOpen(name: string): boolean {
    const devices = this.#tables().interfaces.values()
    return [...devices].some((it) => it.name === name && it.ofport !== null && it.ofport > 0)
  }

  /** Resolves when `done` holds, checked after every change, or when time is up. */
  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        unsubscribe()
        resolve()
      }
      const timer = setTimeout(finish, SETTLE_MS)
      const unsubscribe = this.#replica.onChange(() => done() && finish())
      if (done()) finish()
    })
  }
}

const nameOf = (step: BridgeStep, want: WantedSwitch): string => {
  if ('port' in step) return step.port.name
  return 'seen' in step ? step.seen.name : want.bridge
}

async function within<T>(ms: number, promise: Promise<T>, sentence: string): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => timeout.reject(new Error(sentence)), ms)
  try {
    return await Promise.race([promise, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}
