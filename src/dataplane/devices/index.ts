/**
 * Ports on devices beside those on the switch: a data plane around another one. What a device carries is kept from the
 * switch; the device is set up, read back, and looked at again now and then.
 */
import { join } from 'node:path'
import type { Logger } from '#kernel/log.ts'
import { emptyWorld, keyOf, type PortObject, type WireKey, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import { linuxHost } from '../linux/host.ts'
import { createSerial } from '../ovs/serial.ts'
import type { Dataplane } from '../port.ts'
import { type Cards, isThere, keptIn, type Kept, linuxCards, type Ours, simulatedCards } from './cards.ts'
import { devicePorts, expectedVfs, isUp, planVfs, type VfState, wantedVfs } from './plan.ts'
import * as status from './status.ts'

/** Functions that are listed, and not one of them is there: a laboratory. */
export const isSimulated = (slots: readonly string[], there = isThere): boolean =>
  slots.length > 0 && !slots.some((slot) => there(slot))

/** What ports may be given here. */
export interface DeviceList extends Ours {
  /** Functions that are listed; empty: any. */
  readonly functions: readonly string[]
}

/** The cards of this host, or those that are listed and not there. */
function openCards({ functions, ...ours }: DeviceList, stateDir: string | null): Cards {
  const real = linuxCards(linuxHost, ours)
  if (!isSimulated(functions)) return real
  const offered = functions.filter((slot) => !ours.excluded.includes(slot))
  return simulatedCards(offered, keptIn(stateDir && join(stateDir, 'simulated-cards.json'), {}), real)
}

export interface DeviceOptions {
  readonly cards: Cards
  /** Functions that we have set up and not given back. */
  readonly marks: Kept<readonly string[]>
  readonly log: Logger
  /** How often devices are looked at: no event tells of what others do to a card. */
  readonly lookMs?: number
}

/** What a host's agent hands to `withDevices`; `stateDir` null keeps nothing. */
export const hostDevices = (list: DeviceList, stateDir: string | null, log: Logger): DeviceOptions => ({
  cards: openCards(list, stateDir),
  marks: keptIn<readonly string[]>(stateDir && join(stateDir, 'devices.json'), []),
  log,
})

/** `inner` for what is on the switch, and devices for the rest. */
export function withDevices(inner: Dataplane, options: DeviceOptions): Dataplane {
  const devices = new Devices(options)
  let hidden: ReadonlySet<string> = new Set()
  let timer: NodeJS.Timeout | null = null
  return {
    capabilities: inner.capabilities,
    start: async (events) => {
      await inner.start(events)
      timer = setInterval(() => void devices.look().then(events.realized), options.lookMs ?? 5000)
      timer.unref()
    },
    reconcile: async (world, keys, inSync) => {
      const ports = devicePorts(world)
      const networks = status.networksOnDevices(world, ports)
      const more = status.changedSides(hidden, networks)
      hidden = networks
      const [switched, carried] = await Promise.all([
        inner.reconcile(status.switchedWorld(world, ports, networks), [...new Set([...keys, ...more])], inSync),
        devices.reconcile(world, ports, keys, inSync),
      ])
      return [...switched, ...carried, ...networkReports(world, networks, [...keys, ...more])]
    },
    stop: async () => {
      if (timer) clearInterval(timer)
      await devices.idle()
      await inner.stop()
    },
  }
}

function networkReports(world: World, networks: ReadonlySet<string>, keys: readonly WireKey[]): Realization[] {
  const asked = [...networks].filter((id) => keys.includes(keyOf('network', id)))
  return status.networkRealizations(world, asked, new Date().toISOString())
}

/** What a look at the devices found, and which functions and macvtap devices it had to put right. */
interface Settled {
  readonly found: status.Found
  readonly touched: ReadonlySet<string>
}

class Devices {
  readonly #options: DeviceOptions
  readonly #jobs = createSerial()
  #world: World = emptyWorld()
  #ports: readonly PortObject[] = []
  #inSync = false
  /** Ports that were proven, in which generation: what is put right of these was changed by others. */
  #proven = new Map<string, number>()

  constructor(options: DeviceOptions) {
    this.#options = options
  }

  /** Answers for the ports among `keys`, and those whose device changed hands. */
  reconcile(world: World, ports: readonly PortObject[], keys: readonly WireKey[], inSync: boolean) {
    return this.#jobs.run(async () => {
      this.#world = world
      this.#ports = ports
      this.#inSync = inSync
      const before = this.#proven
      const asked = new Set(keys)
      const reports = await this.#settle()
      return reports.filter(
        ({ id, state, generation }) =>
          asked.has(keyOf('port', id)) || (state === 'done') !== (before.get(id) === generation),
      )
    })
  }

  /** Reports of what changed by itself: a device that came, went, or was put right. */
  look(): Promise<readonly Realization[]> {
    return this.#jobs
      .run(() => this.#settle())
      .catch((error: Error) => {
        this.#options.log.warn({ error: error.message }, 'could not look at the devices; the next look will')
        return []
      })
  }

  idle(): Promise<void> {
    return this.#jobs.idle()
  }

  async #settle(): Promise<readonly Realization[]> {
    if (this.#ports.length === 0 && this.#options.marks.get().length === 0) return []
    const { found, touched } = await this.#putRight()
    const at = new Date().toISOString()
    const reports = this.#ports.map((port) => {
      const report = status.portRealization(this.#world, port, found, at)
      const device = port.device?.pci_slot ?? status.macvtapOf(port, found.macvtaps)?.name
      const again = report.state === 'done' && this.#proven.get(port.id) === port.generation
      if (!again || device === undefined || !touched.has(device)) return report
      return { ...report, repaired: true, message: `${device} was changed by others and put right` }
    })
    const proven = reports.filter(({ state }) => state === 'done')
    this.#proven = new Map(proven.map(({ id, generation }) => [id, generation]))
    return reports
  }

  async #putRight(): Promise<Settled> {
    const { cards, marks, log } = this.#options
    const wanted = wantedVfs(this.#world, this.#ports)
    const slots = new Set([...wanted.vfs.keys(), ...expectedVfs(this.#ports), ...marks.get()])
    const before = await cards.read(slots)
    const plan = planVfs({
      wanted: wanted.vfs,
      seen: statesOf(before),
      ours: new Set(marks.get()),
      inSync: this.#inSync,
    })
    // Marked first: who dies in between finds what it has begun.
    this.#mark([...marks.get(), ...wanted.vfs.keys()])
    const refused = new Map<string, string>()
    for (const { slot, to } of plan.steps) {
      log.info({ slot, ...to }, 'setting up a virtual function')
      await cards.set(slot, to).catch((error: Error) => refused.set(slot, error.message))
    }
    const seen = plan.steps.length > 0 ? await cards.read(slots) : before
    const kept = plan.steps.filter(({ release, slot }) => !release || refused.has(slot)).map(({ slot }) => slot)
    const left = [...plan.forget, ...plan.steps.map(({ slot }) => slot)].filter((slot) => !kept.includes(slot))
    this.#mark(marks.get().filter((slot) => !left.includes(slot)))
    for (const [slot, reason] of refused) log.warn({ slot, reason }, 'the card refuses')
    const { macvtaps, switched } = await this.#putMacvtapsRight()
    const touched = new Set([...plan.steps.map(({ slot }) => slot), ...switched])
    const there = { has: cards.has, interfaces: await this.#interfaces() }
    return { found: { simulated: cards.simulated, wanted, seen, refused, macvtaps, there }, touched }
  }

  /** Looked up only where a macvtap device is expected. */
  async #interfaces(): Promise<ReadonlySet<string>> {
    const expected = this.#ports.some(({ device, active }) => device?.kind === 'macvtap' && !active)
    return expected ? this.#options.cards.interfaces() : new Set()
  }

  /** The hypervisor makes them; whether they are up is the port's say. */
  async #putMacvtapsRight() {
    const { cards, log } = this.#options
    const ports = this.#ports.filter(({ device, active }) => device?.kind === 'macvtap' && active)
    if (ports.length === 0) return { macvtaps: [], switched: [] }
    const there = await cards.macvtaps()
    const switched: string[] = []
    for (const port of ports) {
      const [mine, up] = [status.macvtapOf(port, there), isUp(this.#world, port)]
      if (!mine || mine.up === up || mine.source !== port.device?.source) continue
      await cards.setMacvtap(mine.name, up).catch((error: Error) => log.warn({ error: error.message }, 'macvtap'))
      switched.push(mine.name)
    }
    return { macvtaps: switched.length > 0 ? await cards.macvtaps() : there, switched }
  }

  #mark(slots: readonly string[]): void {
    const { marks } = this.#options
    const next = [...new Set(slots)].toSorted()
    if (next.join() !== marks.get().join()) marks.set(next)
  }
}

const statesOf = (read: ReadonlyMap<string, VfState | string>): ReadonlyMap<string, VfState> =>
  new Map([...read].flatMap(([slot, state]) => (typeof state === 'string' ? [] : [[slot, state]])))
