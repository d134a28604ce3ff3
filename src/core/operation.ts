/**
 * What every write is, in one order: decode → one transaction (idempotency key → lock and load → policy → checks →
 * allocate and decide → write with change rows → parents' revisions → answer → quota counters with COMMIT).
 * Nothing inside has outside effects; the whole is retried on deadlock. Which error a caller sees follows Neutron's
 * precedence: quota before policy before conflict.
 */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import type { Draft, Op } from '#model/define.ts'
import type { Policy } from '#policy/policy.ts'
import { claimKey, keepAnswer } from '#store/idempotency.ts'
import type { Notifier } from '#store/notify.ts'
import type { Image } from '#store/objects.ts'
import type { Database } from '#store/pool.ts'
import { limitsOf, usageOf } from '#store/quota.ts'
import { inTransaction, type Outcome, type Transaction } from '#store/transaction.ts'
import { authorizeAttributes, authorizeCreate, authorizeWrite, ownerFor } from './authorize.ts'
import { type Attempted, conflictOf } from './conflicts.ts'
import { bodiesOf, decode, type Decoded } from './decode.ts'
import { present } from './present.ts'
import { type CoreSettings, Unit } from './unit.ts'

export interface Core {
  readonly database: Database
  readonly model: Model
  readonly policy: Policy
  readonly settings: CoreSettings
  readonly notifier: Pick<Notifier, 'poke'>
}

export interface Request {
  readonly caller: Caller
  readonly requestId: string
  /** With the hash of method, path and body. */
  readonly idempotency: { readonly key: string; readonly hash: string } | null
  /** The revision the object must have. */
  readonly ifRevision: number | null
  readonly dryRun: boolean
}

export interface Answer {
  readonly status: number
  /** JSON text; empty for 204. */
  readonly body: string
  /** The answer of an earlier request with this Idempotency-Key. */
  readonly replayed: boolean
}

export async function createObjects(
  core: Core,
  resource: ComposedResource,
  body: unknown,
  request: Request,
): Promise<Answer> {
  const { bulk, bodies } = bodiesOf(resource, body)
  const decoded = bodies.map((one) => {
    const draft = decode(resource, 'create', one)
    return { ...draft, values: { ...draft.values, ...ownerFor(resource, draft.values, request.caller) } }
  })
  const attempted = attempt('create', resource, decoded[0] as Decoded)
  const work = async (unit: Unit): Promise<Draft> => {
    const drafts: Draft[] = []
    for (const { values, given } of decoded) {
      const after = unit.fresh(values)
      await authorizeCreate(unit, resource, after, given)
      drafts.push(await unit.decide(resource, { op: 'create', before: null, after, given, internal: false }))
    }
    const images = await unit.write(resource, 'create', drafts, {}, false)
    await unit.bumpParents()
    const shown = images.map((image) => present(core, resource, unit.latest(image), request.caller))
    return bulk ? { [resource.plural]: shown } : { [resource.name]: shown[0] }
  }
  try {
    return await operate(core, request, 201, attempted, work)
  } catch (error) {
    throw await quotaFirst(core, resource, decoded, error)
  }
}

export function updateObject(
  core: Core,
  resource: ComposedResource,
  id: string,
  body: unknown,
  request: Request,
): Promise<Answer> {
  const { bulk, bodies } = bodiesOf(resource, body)
  if (bulk) throw new ApiError('HTTPBadRequest', { reason: 'Bulk update is not supported' })
  const decoded = decode(resource, 'update', bodies[0] as Record<string, unknown>)
  return operate(core, request, 200, attempt('update', resource, decoded, id), async (unit) => {
    const before = await lockVisible(unit, resource, id, 'update')
    authorizeWrite(unit, resource, 'update', before)
    authorizeAttributes(unit, resource, 'update', before, decoded.values, decoded.given)
    requireRevision(before, request.ifRevision)
    const { given, values } = decoded
    const after = await unit.decide(resource, {
      op: 'update',
      before,
      after: unit.revised(before, values),
      given,
      internal: false,
    })
    const image = differs(resource, before, after)
      ? (await unit.write(resource, 'update', [after], { [id]: before }, false))[0]
      : before
    return { [resource.name]: present(core, resource, image as Image, request.caller) }
  })
}

export function deleteObject(core: Core, resource: ComposedResource, id: string, request: Request): Promise<Answer> {
  return operate(
    core,
    request,
    204,
    attempt('delete', resource, { values: {}, given: new Set() }, id),
    async (unit) => {
      const before = await lockVisible(unit, resource, id, 'delete')
      authorizeWrite(unit, resource, 'delete', before)
      requireRevision(before, request.ifRevision)
      await unit.decide(resource, { op: 'delete', before, after: null, given: new Set(), internal: false })
      await unit.write(resource, 'delete', [before], { [id]: before }, false)
      return null
    },
  )
}

/** What the system itself changes, logged under its own name. */
export function operateInternally<T>(
  core: Core,
  caller: Caller,
  requestId: string,
  work: (unit: Unit) => Promise<T>,
): Promise<T> {
  return transact(core, { caller, requestId, idempotency: null, ifRevision: null, dryRun: false }, async (unit) => {
    const value = await work(unit)
    await unit.bumpParents()
    return { value, last: unit.countStatements() }
  })
}

async function operate(
  core: Core,
  request: Request,
  status: number,
  attempted: Attempted,
  work: (unit: Unit) => Promise<Draft | null>,
): Promise<Answer> {
  const run = async (unit: Unit, tx: Transaction): Promise<Outcome<Answer>> => {
    const key = request.idempotency && {
      projectId: request.caller.projectId ?? request.caller.userId,
      ...request.idempotency,
    }
    const earlier = key && !request.dryRun ? await claimKey(tx, key) : null
    if (earlier) return { value: { status: earlier.status, body: earlier.response, replayed: true } }
    const result = await work(unit)
    await unit.bumpParents()
    if (request.dryRun) return { value: planned(result, unit), last: unit.countStatements(), commit: false }
    const answer = { status, body: result ? JSON.stringify(result) : '', replayed: false }
    if (key) await keepAnswer(tx, key, { status, response: answer.body })
    return { value: answer, last: unit.countStatements() }
  }
  return transact(core, request, run, (error) => conflictOf(error, attempted) ?? error)
}

/** What would have been written, and the object as it would be answered. */
const planned = (result: Draft | null, { touched }: Unit): Answer => ({
  status: 200,
  body: JSON.stringify({
    ...result,
    dry_run: { changes: touched.map(({ op, kind, id }) => ({ op, resource: kind, id })) },
  }),
  replayed: false,
})

async function transact<T>(
  core: Core,
  request: Request,
  work: (unit: Unit, tx: Transaction) => Promise<Outcome<T>>,
  explain?: (error: unknown) => unknown,
): Promise<T> {
  const { database, model, policy, settings } = core
  const { caller, requestId } = request
  const author = { actor: caller.userId, actorName: caller.userName, requestId }
  const once = (tx: Transaction): Promise<Outcome<T>> =>
    work(new Unit({ tx, model, policy, settings, caller, author }), tx)
  const value = await inTransaction(database, once, explain)
  if (!request.dryRun) core.notifier.poke()
  return value
}

const attempt = (op: Op, resource: ComposedResource, { values, given }: Decoded, id?: string): Attempted => ({
  op,
  resource: resource.name,
  quota: resource.quota,
  object: id === undefined ? values : { ...values, id },
  macGiven: given.has('mac_address'),
})

async function lockVisible(
  unit: Unit,
  resource: ComposedResource,
  id: string,
  lock: 'update' | 'delete',
): Promise<Image> {
  const before = await unit.load(resource, id, lock)
  if (before && unit.policy.allows(`get_${resource.name}`, unit.caller, before)) return before
  throw new ApiError(resource.notFound.type, { [resource.notFound.param]: id })
}

function requireRevision(before: Image, wanted: number | null): void {
  if (wanted === null || before['revision_number'] === wanted) return
  throw new ApiError('RevisionNumberConstraintFailed', { expected: wanted, current: before['revision_number'] })
}

/** A write that changes nothing stored is no change. */
function differs(resource: ComposedResource, before: Image, after: Image): boolean {
  const ignored = ['revision_number', 'updated_at']
  return Object.keys(resource.attributes).some(
    (name) => !ignored.includes(name) && JSON.stringify(before[name] ?? null) !== JSON.stringify(after[name] ?? null),
  )
}

/** Refused for another reason while the quota is full as well: Neutron names the quota. */
async function quotaFirst(
  core: Core,
  resource: ComposedResource,
  decoded: readonly Decoded[],
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof ApiError) || !resource.quota || (error.status !== 403 && error.status !== 409)) return error
  if (error.type === 'OverQuota') return error
  const projectId = String(decoded[0]?.values['project_id'] ?? '')
  const [limits, usage] = await Promise.all([limitsOf(core.database, projectId), usageOf(core.database, projectId)])
  const limit =
    limits.find((one) => one.resource === resource.quota)?.limit ?? core.settings.quotas[resource.quota] ?? -1
  const used = usage.find((one) => one.resource === resource.quota)?.used ?? 0
  if (limit < 0 || used + decoded.length <= limit) return error
  return new ApiError(
    'OverQuota',
    { overs: `['${resource.quota}']` },
    { reason: 'over_quota', resource: resource.quota, limit, used },
  )
}
