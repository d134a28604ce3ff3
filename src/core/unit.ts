/**
 * The unit of work of one operation: its transaction, what it loaded, what it touched, what it counts. Hooks see it
 * as the model's `Context`.
 */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import { newMac } from '#kernel/ids.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import type { Context, Lock, Where } from '#model/context.ts'
import type { Draft, Limits, Op, Resource, Write } from '#model/define.ts'
import { securityGroup } from '#resources/security-group.ts'
import { type Authorship, findObjects, findOwners, type Image, loadObject, writeObjects } from '#store/objects.ts'
import type { Transaction } from '#store/transaction.ts'
import type { Policy } from '#policy/policy.ts'
import { createBinding, type PendingBinding } from './binding/binding.ts'
import type { Outside } from './binding/outside.ts'
import type { MechanismDriver } from './contracts.ts'
import { driverIssues, runDrivers } from './driver-hooks.ts'
import { type Counting, createCounting } from './allocation/counting.ts'
import { createIpam, type PendingIpam } from './allocation/ipam.ts'
import { createPrefixes } from './allocation/prefixes.ts'
import { present } from './reading/present.ts'
import { askToRebind } from './binding/retry-requests.ts'
import { createSegments, type SegmentSettings } from './allocation/segments.ts'
import { sees } from './visible.ts'

export interface CoreSettings {
  readonly segments: SegmentSettings
  readonly mechanismDrivers: readonly MechanismDriver[]
  readonly limits: Limits
  /** Default limit by resource; -1 is unlimited. */
  readonly quotas: Readonly<Record<string, number>>
  readonly baseMac: string
  /** Seconds an idempotent answer is kept. */
  readonly idempotencyRetention: number
  /** Objects that one request may create. */
  readonly maxBulkItems: number
}

export interface Touched {
  readonly op: Op
  readonly kind: string
  readonly id: string
}

/** What follows a write. One of several with the same key is enough. */
interface After {
  readonly task: (written: readonly Image[]) => Promise<void>
  readonly key: string | undefined
}

/** What was sent to be written: the images are on their way. */
export interface Sent {
  readonly images: Promise<readonly Image[]>
}

export class Unit {
  readonly context: Context
  readonly touched: Touched[] = []
  readonly #cache = new Map<string, Promise<unknown>>()
  /** Keys of what is locked until the transaction ends, and how: nobody else changes it. */
  readonly #held = new Map<string, Lock | 'delete'>()
  /** What waits for the row of the object being decided. */
  #after: After[] = []
  /** What waits for all that the operation writes. */
  readonly #atEnd: (() => Promise<void>)[] = []
  readonly #latest = new Map<string, Image>()
  /** Writes that nobody waited for yet. */
  readonly #sent: Promise<unknown>[] = []
  /** Ids given in this operation to objects that have no row yet. */
  readonly #unwritten = new Set<string>()
  /** Keys of what this operation deletes, from the first hook on. */
  readonly #going = new Set<string>()
  /** Parents of what was written, locked and as they were before. */
  readonly #bumps = new Map<string, { readonly resource: ComposedResource; readonly before: Image }>()
  readonly #ipam: PendingIpam
  readonly #binding: PendingBinding
  readonly counting: Counting
  readonly tx: Transaction
  readonly model: Model
  readonly policy: Policy
  readonly settings: CoreSettings
  readonly caller: Caller
  readonly author: Authorship
  readonly #newId: () => string
  readonly now = `${new Date().toISOString().slice(0, 19)}Z`

  constructor(options: {
    tx: Transaction
    model: Model
    policy: Policy
    settings: CoreSettings
    caller: Caller
    author: Authorship
    outside: Outside
  }) {
    const { tx, model, policy, settings, caller, author, outside } = options
    this.#newId = outside.ids()
    this.tx = tx
    this.model = model
    this.policy = policy
    this.settings = settings
    this.caller = caller
    this.author = author
    this.counting = createCounting(settings.quotas)
    this.#ipam = createIpam(tx, (name, where) => this.find(model.resource(name), where))
    this.#binding = createBinding({
      tx,
      drivers: settings.mechanismDrivers,
      outside,
      context: () => this.context,
      remember: (key, read) => this.#remember(key, read),
      atEnd: (task) => void this.#atEnd.push(task),
    })
    this.context = this.#asContext()
  }

  /** What hooks see of it. */
  #asContext(): Context {
    const { tx, model, policy, settings, caller } = this
    return {
      caller,
      now: this.now,
      allows: (rule, target) => policy.allows(rule, caller, target),
      isAdmin: policy.isAdmin(caller),
      limits: settings.limits,
      shown: (name, object) => present({ policy }, model.resource(name), object, caller),
      newMac: () => newMac(settings.baseMac),
      load: (name, id, lock = 'none') => this.load(model.resource(name), id, lock),
      find: (name, where) => this.find(model.resource(name), where),
      know: (name, where, objects) => void this.#cache.set(keyOf(name, where), Promise.resolve(objects)),
      owners: (name, where) => findOwners(tx, model.resource(name), where),
      visible: async (name, ids) => {
        const found = await this.find(model.resource(name), { id: [...ids] })
        // What was found need not be loaded again.
        for (const one of found) void this.#remember(`${name} ${String(one['id'])}`, async () => one)
        return found.filter((one) => sees({ policy }, model.resource(name), caller, one))
      },
      create: (resource, values, options) => this.#apart(() => this.createInternal(resource, values, options?.charged)),
      add: (resource, values, options) => this.#apart(() => this.addInternal(resource, values, options?.charged)),
      update: (resource, id, values) => this.#apart(() => this.updateInternal(resource, id, values)),
      remove: (resource, id) => this.#apart(() => this.removeInternal(resource, id)),
      afterWrite: (task, key) => {
        if (key === undefined || this.#after.every((one) => one.key !== key)) this.#after.push({ task, key })
      },
      ipam: this.#ipam,
      prefixes: createPrefixes(tx),
      segments: createSegments(tx, settings.segments),
      binding: this.#binding,
      retryBindings: (of) => askToRebind(tx, of),
      ahead: (asked) => void asked.catch(() => undefined),
      expectDefaultGroup: (projectId) => void this.#defaultGroup(projectId),
      defaultSecurityGroup: (projectId) => this.#apart(() => this.defaultSecurityGroup(projectId)),
    }
  }

  /** Another object's write inside this one's: what waits for this one's row waits on. */
  async #apart<T>(write: () => Promise<T>): Promise<T> {
    const waiting = this.#after
    this.#after = []
    try {
      return await write()
    } finally {
      this.#after = waiting
    }
  }

  load(resource: ComposedResource, id: string, lock: Lock | 'delete'): Promise<Image | undefined> {
    const key = `${resource.name} ${id}`
    const held = this.#held.get(key)
    // What is locked is only read again, and that only after a write.
    const enough = lock === 'none' || held === 'delete' || (held !== undefined && lock !== 'delete')
    if (enough) return this.#remember(key, () => loadObject(this.tx, resource, id, 'none'))
    const loaded = loadObject(this.tx, resource, id, lock)
    loaded.catch(() => undefined)
    this.#cache.set(key, loaded)
    if (lock !== 'share') this.#held.set(key, lock)
    return loaded
  }

  find(resource: ComposedResource, where: Where): Promise<readonly Image[]> {
    return this.#remember(keyOf(resource.name, where), () => findObjects(this.tx, resource, where))
  }

  #remember<T>(key: string, read: () => Promise<T>): Promise<T> {
    const known = this.#cache.get(key) as Promise<T> | undefined
    if (known) return known
    const fresh = read()
    // What was asked for ahead is not always waited for; whoever waits hears of the failure.
    fresh.catch(() => undefined)
    this.#cache.set(key, fresh)
    return fresh
  }

  /** What the hooks will read of objects that are about to be written is asked for now, and waited for by them. */
  foresee(resource: ComposedResource, op: Op, objects: readonly Readonly<Draft>[]): void {
    for (const foresee of resource.foresees) foresee(this.context, op, objects as never)
  }

  /** The object, locked for a write, and with it what the hooks will read: that is as of the lock, for it is sent later. */
  async loadToWrite(
    resource: ComposedResource,
    op: Op,
    id: string,
    lock: Lock | 'delete',
    values: Readonly<Draft> = {},
  ): Promise<Image | undefined> {
    for (const precede of resource.precedes) precede(this.context, op, id)
    const loading = this.load(resource, id, lock)
    this.foresee(resource, op, [{ ...values, id }])
    return loading
  }

  /** Writes decided objects of one resource; answers them as they stand then. */
  async write(...args: Parameters<Unit['send']>): Promise<readonly Image[]> {
    return (await this.send(...args)).images
  }

  /**
   * Sends decided objects of one resource to be written, rows and change rows at once, and what waited for them: nobody
   * waits for the answer, as what is sent later is done later.
   */
  async send(
    name: ComposedResource,
    op: Op,
    objects: readonly Image[],
    before: Readonly<Record<string, Image>>,
    internal: boolean,
  ): Promise<Sent> {
    this.#binding.requireAnswers()
    for (const object of objects) await this.#holdParents(name, object)
    // Sent with the write: who holds the addresses, or has given them back.
    const settled = this.#ipam.settle()
    const writing = Promise.all([writeObjects(this.tx, name, op, objects, before, this.author), settled])
    const images = writing.then(([written]) => {
      for (const { id, image } of written) this.#latest.set(id, image)
      return objects.map((object) => this.latest(object))
    })
    this.#pending(images)
    this.#cache.clear()
    for (const object of objects) this.#wrote(name, op, object, internal)
    for (const { task } of this.#after.splice(0)) await task(objects)
    return { images }
  }

  #wrote(resource: ComposedResource, op: Op, object: Image, internal: boolean): void {
    const id = String(object['id'])
    this.touched.push({ op, kind: resource.name, id })
    this.#unwritten.delete(id)
    this.counting.note(resource, op, object, internal)
    // Its own row now tells of its children too.
    this.#bumps.delete(`${resource.name} ${id}`)
  }

  #pending(sent: Promise<unknown>): void {
    sent.catch(() => undefined)
    this.#sent.push(sent)
  }

  /** All that was sent stands. */
  async settled(): Promise<void> {
    await Promise.all(this.#sent.splice(0))
  }

  /** The object as this operation left it last. */
  latest(object: Image): Image {
    return this.#latest.get(String(object['id'])) ?? object
  }

  /** Locks the parents whose change this write is, and remembers them as they are without it. */
  async #holdParents(child: ComposedResource, object: Image): Promise<void> {
    for (const attribute of child.bumps) {
      const id = object[attribute]
      const parent = child.references[attribute]?.resource
      const key = `${parent} ${String(id)}`
      // A parent that is still to be written tells of its children in its first image.
      if (!parent || typeof id !== 'string' || this.#unwritten.has(id) || this.#bumps.has(key)) continue
      // One that goes takes its children with it: their end is no change of its own.
      if (this.#going.has(key)) continue
      const resource = this.model.resource(parent)
      const before = await this.load(resource, id, 'update')
      if (before) this.#bumps.set(key, { resource, before })
    }
  }

  /** What waited for the end is sent; parents of what was written get a new revision and a change row. */
  async finish(): Promise<void> {
    this.#binding.requireAnswers()
    for (const task of this.#atEnd.splice(0)) await task()
    this.#pending(this.#ipam.finish())
    for (const { resource, before } of this.#bumps.values()) {
      await this.send(resource, 'update', [this.revised(before, {})], { [String(before['id'])]: before }, true)
    }
  }

  /** A new object's attributes that nobody chooses. */
  fresh(values: Readonly<Draft>): Draft {
    const id = this.#newId()
    this.#unwritten.add(id)
    return { ...values, id, revision_number: 1, created_at: this.now, updated_at: this.now }
  }

  revised(before: Image, changes: Readonly<Draft>): Draft {
    return { ...before, ...changes, revision_number: Number(before['revision_number']) + 1, updated_at: this.now }
  }

  /** Runs a resource's hooks over one write, what was added to it last on delete first; answers the object to store. */
  async decide(resource: ComposedResource, write: Write): Promise<Draft> {
    const { mechanismDrivers: drivers, limits } = this.settings
    const checked = resource.checks.flatMap((check) => check(write as never, limits))
    const issues = [...checked, ...driverIssues(drivers, resource.name, write)]
    const [first] = issues
    if (first)
      throw issues.length === 1
        ? first
        : new ApiError(first.type, first.params, { ...first.facts, issues: issues.map((one) => one.message) })
    let after: Draft = { ...write.after }
    if (write.op === 'delete') this.#going.add(`${resource.name} ${String(write.before?.['id'])}`)
    if (write.op === 'delete') await runDrivers(drivers, resource.name, this.context, write)
    let now = write.after ? { ...write, after } : write
    for (const inTx of write.op === 'delete' ? resource.inTxs.toReversed() : resource.inTxs) {
      const decided = await inTx(this.context, now as never)
      if (!decided) continue
      after = { ...after, ...decided }
      if (write.after) now = { ...write, after }
    }
    if (write.op !== 'delete') await runDrivers(drivers, resource.name, this.context, { ...write, after })
    return after
  }

  async createInternal(definition: Resource, values: Draft, charged = false): Promise<Image> {
    const [written] = await (await this.#sendNew(definition, values, charged)).images
    return written as Image
  }

  async addInternal(definition: Resource, values: Draft, charged = false): Promise<void> {
    await this.#sendNew(definition, values, charged)
  }

  async #sendNew(definition: Resource, values: Draft, charged: boolean): Promise<Sent> {
    const resource = this.model.resource(definition.name)
    const defaults = Object.entries(resource.attributes).flatMap(([name, attribute]) =>
      attribute.default === undefined ? [] : [[name, attribute.default]],
    )
    const after = this.fresh({ ...Object.fromEntries(defaults), ...values })
    const decided = await this.decide(resource, {
      op: 'create',
      before: null,
      after,
      given: new Set(Object.keys(values)),
      internal: true,
    })
    return this.send(resource, 'create', [decided], {}, !charged)
  }

  async updateInternal(definition: Resource, id: string, values: Draft): Promise<Image> {
    const resource = this.model.resource(definition.name)
    const before = await this.load(resource, id, 'update')
    if (!before) throw new ApiError(resource.notFound.type, { [resource.notFound.param]: id })
    const after = this.revised(before, values)
    const decided = await this.decide(resource, {
      op: 'update',
      before,
      after,
      given: new Set(Object.keys(values)),
      internal: true,
    })
    const [written] = await this.write(resource, 'update', [decided], { [id]: before }, true)
    return written as Image
  }

  async removeInternal(definition: Resource, id: string): Promise<void> {
    const resource = this.model.resource(definition.name)
    const before = await this.loadToWrite(resource, 'delete', id, 'delete')
    if (!before) return
    await this.decide(resource, { op: 'delete', before, after: null, given: new Set(), internal: true })
    await this.send(resource, 'delete', [before], { [id]: before }, true)
  }

  /** Its id alone: reading its rules with every port would cost more than the port's address. */
  #defaultGroup(projectId: string): Promise<{ id: string }[]> {
    return this.#remember(`default group ${projectId}`, () =>
      this.tx.query<{ id: string }>("select id from security_groups where project_id = $1 and name = 'default'", [
        projectId,
      ]),
    )
  }

  async defaultSecurityGroup(projectId: string): Promise<string> {
    const [existing] = await this.#defaultGroup(projectId)
    if (existing) return existing.id
    const values = { name: 'default', description: 'Default security group', project_id: projectId }
    return String((await this.createInternal(securityGroup, values))['id'])
  }
}

const keyOf = (name: string, where: Where): string => `${name} ${JSON.stringify(where)}`
