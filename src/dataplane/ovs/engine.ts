/**
 * Brings the host in line with the world: facts that changed, to flows that differ, to one bundle.
 *
 * One job runs at a time, so that what is planned against is what stands. A job is a reconcile of the agent's, or a
 * look at what changed on the host: a VM plugged, a foreign hand in the flows or the database, the switch restarted.
 */
import type { Logger } from '#kernel/log.ts'
import type { Flow } from '#protocol/openflow/flow.ts'
import { emptyWorld, keyOf, splitKey, type WireKey, type WireType, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import { announcementsOf } from './announce.ts'
import { greetings, greetingsDue } from './greet.ts'
import { BASE, createDesired, type Desired, type Slot } from './desired.ts'
import type { Numbers } from './numbers.ts'
import { type FlowPlan, isEmpty, noteCarriedOut, planFlows, type SeenFlow } from './plan.ts'
import type { DhcpServers } from '../linux/dhcp.ts'
import type { Flows, Switch } from './port.ts'
import { createRelations, type Relations } from './relations.ts'
import { createSerial, type Serial } from './serial.ts'
import { concernedBy, realizationOf, repaired, servedBy, withPorts } from './status.ts'
import { emptyLocalView, type LocalView, localChanges, recordingView, type Sources, type View } from './view.ts'
import { type SwitchConfig, wantedSwitch } from './wanted-switch.ts'

export interface EngineOptions {
  readonly host: string
  readonly config: SwitchConfig
  readonly pipelineVersion: number
  readonly numbers: Numbers
  readonly flows: Flows
  readonly switch: Switch
  readonly dhcp: DhcpServers
  readonly realized: (reports: readonly Realization[]) => void
  readonly log: Logger
}

/** Ports whose connections are forgotten in one look: for each, the switch walks through all it knows. */
const ZONES_AT_ONCE = 256

/** What DHCP servers are made from. */
const SERVED: ReadonlySet<WireType> = new Set(['network', 'port', 'dhcp_client'])

/** What a foreign hand did to flows: how they stand now, null where they are gone. */
export type FlowChanges = ReadonlyMap<Slot, SeenFlow | null>

export class Engine {
  readonly #options: EngineOptions
  readonly #relations: Relations
  readonly #desired: Desired
  readonly #jobs: Serial = createSerial()
  /** Flows the switch would not take, with its reason. Tried again with every job. */
  readonly #refused = new Map<Slot, string>()
  readonly #instructions = new WeakMap<Flow, string>()
  /** Facts that changed and are not compiled yet: a job may fail before it comes to that. */
  readonly #facts = new Set<string>()
  /** Slots compiled and not yet settled. */
  readonly #touched = new Set<Slot>()
  /** Objects compiled and not yet reported. */
  readonly #concerned = new Set<WireKey>()
  /** Networks whose DHCP server answered once and was then lost. */
  readonly #sick = new Set<string>()
  /** Networks whose DHCP server does not answer, with what was reported of it. */
  readonly #unserved = new Map<string, string>()
  /** Ports that are expected here: when they have come, it is announced. */
  readonly #expected = new Set<string>()
  /** Ports that have come and are not announced yet. */
  readonly #arrived = new Set<string>()
  /** When other hosts were sent something through their tunnels, by address, in milliseconds. */
  readonly #greeted = new Map<string, number>()
  #world: World = emptyWorld()
  #inSync = false
  /** The agent has given the whole world once. */
  #started = false
  #local: LocalView = emptyLocalView()
  /** What stands on the bridge; null: not known, read back first. */
  #seen: Map<Slot, SeenFlow> | null = null
  /** All that is ours and unwanted has been removed since the world came in sync. */
  #swept = false
  #databaseChanged = true
  #lookQueued = false
  /** What stood in the way in the switch database last; each is logged once. */
  #conflicts: readonly string[] = []
  /** Counts connections to the bridge. */
  #connection = 0

  constructor(options: EngineOptions) {
    this.#options = options
    this.#relations = createRelations(options.host)
    this.#desired = createDesired(options.flows.slotOf, options.pipelineVersion)
  }

  reconcile(world: World, keys: readonly WireKey[], inSync: boolean): Promise<readonly Realization[]> {
    return this.#jobs.run(async () => {
      this.#world = world
      this.#inSync = inSync
      // The first batch may be a part; what is compiled from a part of the world would look unwanted.
      const facts = this.#started ? keys : [...allKeys(world)]
      if (facts.some((key) => key.startsWith('network/'))) this.#databaseChanged = true
      if (!this.#started) this.#facts.add(BASE)
      for (const key of facts) for (const name of this.#relations.update(world, key)) this.#facts.add(name)
      for (const key of facts) if (key.startsWith('port/')) this.#noteArrival(splitKey(key).id)
      this.#started = true
      await this.#ensureSwitch()
      this.#compile()
      const serving = facts.some((key) => SERVED.has(splitKey(key).type)) || !this.#swept
      await Promise.all([this.#settle(), serving ? this.#serve() : null])
      await this.#speak()
      return this.#report(keys)
    })
  }

  /** Ports came or went on the switch, or its tables were changed by others. */
  databaseChanged(): void {
    this.#databaseChanged = true
    if (!this.#started || this.#lookQueued) return
    this.#lookQueued = true
    void this.#look('look at the switch database', async () => {
      this.#lookQueued = false
      const put = await this.#ensureSwitch()
      this.#compile()
      await this.#settle()
      if (put.length === 0) return this.#report()
      await this.#serve()
      const message = `put back on the switch: ${put.join(', ')}`
      return this.#report(servedBy(put, this.#view())).map((it) => repaired(it, message))
    })
  }

  /** A foreign hand changed flows: ours are put back, others only noted. */
  flowsChanged(changes: FlowChanges): void {
    const connection = this.#connection
    void this.#look('repair flows', async () => {
      // A switch that stops tells the end of every flow; by now another connection has read back what stands.
      if (connection !== this.#connection) return []
      for (const [slot, flow] of changes) {
        if (flow) this.#seen?.set(slot, flow)
        else this.#seen?.delete(slot)
      }
      return this.#repaired(await this.#settle(changes.keys()))
    })
  }

  /** DHCP servers died, lost their namespace or device, or can be made now. */
  dhcpChanged(networks: readonly string[]): void {
    const { dhcp } = this.#options
    void this.#look('look at the DHCP servers', async () => {
      for (const id of networks) if (dhcp.problemOf(id) === null) this.#sick.add(id)
      await this.#serve()
      // It may take more than one look: a device that died with its namespace is made anew in between.
      const cured = networks.filter((id) => dhcp.problemOf(id) === null && this.#sick.delete(id))
      const well = new Set<WireKey>(withPorts(cured, this.#view()))
      return this.#report(withPorts(networks, this.#view())).map((it) =>
        well.has(keyOf(it.kind, it.id)) ? repaired(it, 'its DHCP server was put back') : it,
      )
    })
  }

  /** Makes the switch open a device of ours anew that vanished without its notice. */
  remake(device: string): Promise<void> {
    return this.#look(`make ${device} anew`, async () => {
      this.#options.log.warn({ device }, 'a DHCP device vanished; making it anew')
      await this.#options.switch.renew([device], wantedSwitch(this.#options.config, this.#world))
      this.#compile()
      await this.#settle()
      return this.#report()
    })
  }

  /** A new connection to the bridge, which may have lost every flow. */
  reconnected(): void {
    this.#connection++
    this.#greeted.clear()
    void this.readBack()
  }

  /** Reads every flow back and puts right what differs; now and then, for what no event told. */
  readBack(): Promise<void> {
    return this.#look('read the flows back', async () => {
      this.#seen = null
      this.#compile()
      const foreign = await this.#settle()
      await this.#prune()
      await this.#speak()
      return [...this.#repaired(foreign), ...this.#report()]
    })
  }

  idle(): Promise<void> {
    return this.#jobs.idle()
  }

  #noteArrival(id: string): void {
    const port = this.#world.port.get(id)
    if (port?.active === false) this.#expected.add(id)
    else if (this.#expected.delete(id) && port) this.#arrived.add(id)
  }

  /**
   * Greets hosts, and announces ports that came once what they need stands. Lost is no more than time: the guest speaks
   * for itself sooner or later, and tunnels are resolved by who needs them.
   */
  async #speak(): Promise<void> {
    const [now, view] = [performance.now(), this.#view()]
    const hosts = this.#local.tunnels.size === 0 ? [] : greetingsDue(this.#world, this.#greeted, now)
    const arrivals = [...this.#arrived].flatMap((id) => announcementsOf(id, view))
    const frames = [...arrivals, ...greetings(hosts, this.#local)]
    this.#arrived.clear()
    if (frames.length === 0) return
    for (const address of hosts) this.#greeted.set(address, now)
    await this.#options.flows.announce(frames).catch((error: Error) => {
      this.#options.log.warn({ error: error.message }, 'ports that came here could not be announced, or hosts greeted')
    })
  }

  #look(what: string, job: () => Promise<readonly Realization[]>): Promise<void> {
    const logged = async (): Promise<void> => {
      if (!this.#started) return
      const reports = await job()
      if (reports.length > 0) this.#options.realized(reports)
    }
    return this.#jobs.run(logged).catch((error: Error) => {
      this.#options.log.warn({ error: error.message }, `could not ${what}; the next look will`)
    })
  }

  /** Database first: a port must exist before a flow can name it. Answers what had to be written. */
  async #ensureSwitch(): Promise<readonly string[]> {
    if (!this.#databaseChanged) return []
    const want = wantedSwitch(this.#options.config, this.#world)
    this.#databaseChanged = false
    try {
      const { touched, conflicts } = await this.#options.switch.ensure(want, this.#inSync)
      for (const conflict of conflicts) if (!this.#conflicts.includes(conflict)) this.#options.log.warn(conflict)
      this.#conflicts = conflicts
      if (touched.length > 0) this.#options.log.info({ touched }, 'wrote to the switch database')
      return touched
    } catch (error) {
      this.#databaseChanged = true
      throw error
    }
  }

  /** Makes DHCP servers be as wanted. Ports wait for their network's: they are reported with every change of it. */
  async #serve(): Promise<void> {
    const { dhcp } = this.#options
    await dhcp.reconcile(this.#world, this.#inSync)
    for (const id of new Set([...this.#world.network.keys(), ...this.#unserved.keys()])) {
      const problem = dhcp.problemOf(id)
      if ((this.#unserved.get(id) ?? null) === problem) continue
      if (problem === null) this.#unserved.delete(id)
      else this.#unserved.set(id, problem)
      for (const key of withPorts([id], this.#view())) this.#concerned.add(key)
    }
  }

  /**
   * Compiles what read a fact or a port number that changed. Whoever asked, every object it compiles will be reported:
   * a port waits for its group, and is realized when the group comes.
   */
  #compile(): void {
    const now = this.#options.switch.local()
    const localFacts = localChanges(this.#local, now)
    this.#local = now
    const { slots, units } = this.#desired.change(this.#sources(), [...this.#facts, ...localFacts])
    this.#facts.clear()
    this.#options.numbers.flush()
    for (const slot of slots) this.#touched.add(slot)
    for (const unit of units) if (unit !== 'base') this.#concerned.add(unit)
    for (const key of concernedBy(localFacts, this.#view())) this.#concerned.add(key)
  }

  /** The cookie says it, unless somebody changed the actions and left the cookie. */
  readonly #same = (wanted: Flow, seen: SeenFlow): boolean => {
    if (wanted.cookie !== seen.cookie) return false
    if (seen.instructions === undefined) return true
    const known = this.#instructions.get(wanted) ?? this.#options.flows.instructionsOf(wanted)
    this.#instructions.set(wanted, known)
    return known === seen.instructions
  }

  /**
   * Makes the bridge hold what is desired where something was touched, and in `more`; everywhere, if it was not read
   * back or swept yet. Answers the slots put right that we had not touched: others had.
   */
  async #settle(more: Iterable<Slot> = []): Promise<readonly Slot[]> {
    const { flows } = this.#options
    await flows.ready()
    const whole = this.#seen === null || (this.#inSync && !this.#swept)
    this.#seen ??= await flows.readBack()
    const where = whole ? undefined : new Set([...this.#touched, ...more, ...this.#refused.keys()])
    const plan = planFlows(this.#desired.flows, this.#seen, this.#same, this.#inSync, where)
    const foreign = [...plan.add.keys(), ...plan.remove.keys()].filter(
      (slot) => !this.#touched.has(slot) && !this.#refused.has(slot),
    )
    if (!isEmpty(plan)) await this.#carryOut(plan, this.#seen)
    this.#touched.clear()
    this.#swept = this.#inSync && (whole || this.#swept)
    return foreign
  }

  async #carryOut(plan: FlowPlan, seen: Map<Slot, SeenFlow>): Promise<void> {
    const { flows } = this.#options
    try {
      const refused = await flows.carryOut(plan)
      for (const slot of [...plan.add.keys(), ...plan.remove.keys()]) this.#refused.delete(slot)
      for (const [slot, reason] of refused) this.#refused.set(slot, reason)
      const add = new Map([...plan.add].filter(([slot]) => !refused.has(slot)))
      noteCarriedOut(seen, { add, remove: plan.remove })
    } catch (error) {
      this.#seen = null
      throw error
    }
  }

  /** Numbers of what is gone for good are given back. */
  async #prune(): Promise<void> {
    if (!this.#swept) return
    const { numbers } = this.#options
    const known = (type: WireType) => (id: string) => this.#world[type].has(id)
    const referred = new Set(
      [...this.#world.security_group.values()].flatMap(({ id, rules }) => [
        id,
        ...rules.map((it) => it.remote_group_id),
      ]),
    )
    for (const { security_group_id } of this.#world.group_member.values()) referred.add(security_group_id)
    numbers.prune('object', (key) => key === BASE || this.#desired.slotsOf(key as WireKey).length > 0)
    const segments = new Set([...this.#world.network.values()].flatMap((it) => it.segments.map(({ id }) => id)))
    numbers.prune('network', (id) => known('network')(id) || segments.has(id))
    numbers.prune('group', (id) => referred.has(id))
    await this.#prunePorts()
  }

  /** A port's number is its conntrack zone: the next port to get it must not inherit connections. */
  async #prunePorts(): Promise<void> {
    const { numbers, flows, log } = this.#options
    const gone = new Map([...numbers.stale('port', (id) => this.#world.port.has(id))].slice(0, ZONES_AT_ONCE))
    if (gone.size === 0) return
    try {
      await flows.forgetConnections([...gone.values()])
      numbers.prune('port', (id) => !gone.has(id))
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'could not forget connections of ports that are gone; will again')
    }
  }

  #repaired(slots: readonly Slot[]): readonly Realization[] {
    if (slots.length === 0) return []
    const message = `${slots.length === 1 ? 'a flow was' : `${slots.length} flows were`} changed by others and put right`
    this.#options.log.warn({ slots: slots.slice(0, 10) }, message)
    const units = new Set(slots.flatMap((slot) => this.#desired.unitsOf(slot)))
    const keys = [...units].filter((unit) => unit !== 'base')
    return this.#stateOf(keys).map((it) => repaired(it, message))
  }

  /** The state of `keys` and of everything compiled since the last report. */
  #report(keys: Iterable<WireKey> = []): readonly Realization[] {
    const all = new Set([...keys, ...this.#concerned])
    this.#concerned.clear()
    return this.#stateOf(all)
  }

  #stateOf(keys: Iterable<WireKey>): readonly Realization[] {
    const { dhcp } = this.#options
    const findings = {
      flowProblem: (key: WireKey) => this.#flowProblem(key),
      dhcpProblem: dhcp.problemOf,
      dhcpRemark: dhcp.remarkOf,
    }
    const at = new Date()
    const view = this.#view()
    return [...keys].flatMap((key) => realizationOf(key, view, findings, at) ?? [])
  }

  #flowProblem(key: WireKey): string | null {
    const problem = this.#desired.problemOf(key)
    if (problem !== null) return `cannot be written as flows: ${problem}`
    if (this.#refused.size === 0) return null
    const slot = this.#desired.slotsOf(key).find((it) => this.#refused.has(it))
    return slot === undefined ? null : `the switch refuses a flow: ${this.#refused.get(slot)} (${slot})`
  }

  #sources(): Sources {
    const { numbers, host } = this.#options
    return { world: this.#world, local: this.#local, relations: this.#relations, numbers, self: host }
  }

  #view(): View {
    return recordingView(this.#sources(), new Set())
  }
}

function* allKeys(world: World): Generator<WireKey> {
  for (const [type, table] of Object.entries(world)) for (const id of table.keys()) yield keyOf(type as WireType, id)
}
