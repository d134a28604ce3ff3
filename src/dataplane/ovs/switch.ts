/**
 * The switch database as this data plane needs it: what stands there, what it says of our interfaces, and making it
 * hold what is wanted. Thin: decisions are in bridge-plan.ts.
 */
import type { Logger } from '#kernel/log.ts'
import { createReplica } from '#protocol/ovsdb/replica.ts'
import {
  type BridgeRow,
  type InterfaceRow,
  localView,
  MONITORED,
  opsOf,
  type PortRow,
  seenSwitch,
} from './bridge-ops.ts'
import { planBridge, type WantedSwitch } from './bridge-plan.ts'
import type { Ensured, Switch } from './port.ts'

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
export async function openSwitch(
  { target, integrationBridge, owner, log }: SwitchOptions,
  patienceMs = 10_000,
): Promise<Switch> {
  const replica = createReplica({ target, database: 'Open_vSwitch', tables: MONITORED, log })
  const tables = () => ({
    root: replica.table('Open_vSwitch'),
    bridges: replica.table<BridgeRow>('Bridge'),
    ports: replica.table<PortRow>('Port'),
    interfaces: replica.table<InterfaceRow>('Interface'),
  })
  const missing = `Open vSwitch does not answer at ${target}: is openvswitch-switch installed and running?`
  await within(patienceMs, replica.ready, missing).catch(async (error: Error) => {
    await replica.close()
    throw error
  })

  /** Resolves when `done` holds, checked after every change; false when time is up. */
  const until = (done: () => boolean): Promise<boolean> =>
    new Promise((resolve) => {
      const finish = (result: boolean): void => {
        clearTimeout(timer)
        unsubscribe()
        resolve(result)
      }
      const timer = setTimeout(() => finish(false), SETTLE_MS)
      const unsubscribe = replica.onChange(() => done() && finish(true))
      if (done()) finish(true)
    })

  const open = (name: string): boolean =>
    [...tables().interfaces.values()].some((it) => it.name === name && it.ofport !== null && it.ofport > 0)
  const gone = (uuid: string): boolean => !tables().ports.has(uuid)

  const write = async (want: WantedSwitch, inSync: boolean): Promise<Ensured> => {
    const seen = seenSwitch(tables())
    const { steps, conflicts } = planBridge(want, seen, owner, inSync)
    if (steps.length === 0) return { conflicts, touched: [] }
    const root = [...tables().root.keys()][0]
    if (!root) throw new Error(`the database at ${target} is not initialised: run ovs-vsctl init`)
    await replica.transact(opsOf(steps, want, seen, root, owner))
    const touched = steps.flatMap((step) =>
      'port' in step ? step.port.name : 'seen' in step ? step.seen.name : want.bridge,
    )
    const added = steps.flatMap((step) => (step.op === 'add-port' || step.op === 'set-port' ? step.port.name : []))
    const removed = steps.flatMap((step) => (step.op === 'del-port' ? step.seen.uuid : []))
    const settled = await until(() => added.every(open) && removed.every(gone))
    const late = settled ? [] : added.filter((name) => !open(name))
    return { conflicts: [...conflicts, ...late.map((name) => `Open vSwitch does not open port ${name}`)], touched }
  }

  return {
    local: () => localView(tables(), integrationBridge, owner),
    ensure: async (want, inSync) => {
      const first = await write(want, inSync)
      // What broke was removed by the first pass; the second puts it back.
      const second = first.touched.length > 0 ? await write(want, inSync) : first
      return { conflicts: second.conflicts, touched: [...new Set([...first.touched, ...second.touched])] }
    },
    onChange: (listener) => replica.onChange(listener),
    close: () => replica.close(),
  }
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
