/**
 * What every write is, in one order: decode → one transaction (idempotency key → lock and load → policy → checks →
 * allocate and decide → write with change rows → parents' revisions → answer → quota counters with COMMIT).
 * Nothing inside has outside effects; the whole is retried on deadlock. Which error a caller sees follows Neutron's
 * precedence: quota before policy before conflict.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import type { Action, Draft, Op } from '#model/define.ts'
import type { Policy } from '#policy/policy.ts'
import { claimKey, keepAnswer } from '#store/idempotency.ts'
import type { Notifier } from '#store/notify.ts'
import type { Image } from '#store/objects.ts'
import type { Database } from '#store/pool.ts'
import { limitsOf, usageOf } from '#store/quota.ts'
import { inTransaction, type Outcome, type Transaction } from '#store/transaction.ts'
import {
  authorizeAttributes,
  authorizeCreate,
  authorizeWrite,
  ownerFor,
  refusedBy,
  requireReferences,
} from './authorize.ts'
import { askingOutside } from './binding/outside.ts'
import { type Attempted, conflictOf } from './conflicts.ts'
import { bodiesOf, decode, decodeAction, type Decoded } from './decode.ts'
import { present } from './reading/present.ts'
import type { Params } from './reading/query.ts'
import { notFound, type Place, placeFilters } from './reading/read.ts'
import { type CoreSettings, Unit } from './unit.ts'
import { permits, sees } from './visible.ts'

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
  parentId?: string,
): Promise<Answer> {
  const { bulk, bodies } = bodiesOf(resource, body)
  refuseTooMany(bodies.length, core.settings.maxBulkItems)
  const { parent } = resource
  const decoded = bodies.map((one) => {
    const draft = decode(resource, 'create', one)
    const above = parent && { [parent.attribute]: parentId }
    return { ...draft, values: { ...draft.values, ...above, ...ownerFor(resource, draft.values, request.caller) } }
  })
  const attempted = attempt(core, 'create', resource, decoded[0] as Decoded)
  const work: Work = async (unit) => {
    refuseAlways(unit, resource)
    unit.foresee(
      resource,
      'create',
      decoded.map(({ values }) => values),
    )
    await requireParent(unit, resource, parentId)
    const wanted = decoded.map(({ values, given }) => ({ after: unit.fresh(values), given }))
    for (const { after, given } of wanted) await authorizeCreate(unit, resource, after, given)
    const [issue] = resource.checkTogether?.(wanted.map(({ after }) => after as never)) ?? []
    if (issue) throw issue
    const drafts: Draft[] = []
    for (const { after, given } of wanted)
      drafts.push(await unit.decide(resource, { op: 'create', before: null, after, given, internal: false }))
    await unit.send(resource, 'create', drafts, {}, false)
    return () => {
      const shown = drafts.map((draft) => present(core, resource, unit.latest(draft), request.caller))
      return bulk ? { [resource.plural]: shown } : { [resource.singular]: shown[0] }
    }
  }
  try {
    return await operate(core, request, 201, attempted, work)
  } catch (error) {
    throw await quotaFirst(core, resource, decoded, error)
  }
}

function refuseTooMany(count: number, most: number): void {
  if (count <= most) return
  throw new ApiError('HTTPBadRequest', {
    reason: `${count} objects in one request: at most ${most} are created at once`,
  })
}

export function updateObject(
  core: Core,
  resource: ComposedResource,
  place: Place,
  body: unknown,
  request: Request,
): Promise<Answer> {
  const { bulk, bodies } = bodiesOf(resource, body)
  if (bulk) throw new ApiError('HTTPBadRequest', { reason: 'Bulk update is not supported' })
  const decoded = decode(resource, 'update', bodies[0] as Record<string, unknown>)
  return operate(core, request, 200, attempt(core, 'update', resource, decoded, place.id), async (unit) => {
    const before = await lockVisible(unit, resource, place, 'update', decoded.values)
    authorizeWrite(unit, resource, 'update', before)
    authorizeAttributes(unit, resource, 'update', { ...before, ...decoded.values }, decoded.values, decoded.given)
    requireRevision(before, request.ifRevision)
    const { given, values } = decoded
    await requireReferences(unit, resource, { ...values }, given)
    const after = await unit.decide(resource, {
      op: 'update',
      before,
      after: unit.revised(before, values),
      given,
      internal: false,
    })
    if (differs(resource, before, after))
      await unit.send(resource, 'update', [after], { [String(before['id'])]: before }, false)
    return () => ({ [resource.singular]: present(core, resource, unit.latest(before), request.caller) })
  })
}

export function deleteObject(core: Core, resource: ComposedResource, place: Place, request: Request): Promise<Answer> {
  return operate(
    core,
    request,
    204,
    attempt(core, 'delete', resource, { values: {}, given: new Set() }, place.id),
    async (unit) => {
      const before = await lockVisible(unit, resource, place, 'delete')
      authorizeWrite(unit, resource, 'delete', before)
      requireRevision(before, request.ifRevision)
      await unit.decide(resource, { op: 'delete', before, after: null, given: new Set(), internal: false })
      await unit.send(resource, 'delete', [before], { [String(before['id'])]: before }, false)
      return () => null
    },
  )
}

export interface ActionRequest {
  /** Null for an action of a collection. */
  readonly place: Place | null
  readonly params: Readonly<Record<string, string>>
  readonly query: Params
  readonly body: unknown
}

/** An action of the model: decoded, allowed, and run in one transaction with its object locked. */
export function runAction(
  core: Core,
  resource: ComposedResource,
  action: Action,
  { place, params, query, body }: ActionRequest,
  request: Request,
): Promise<Answer> {
  const decoded = decodeAction(action, body)
  const attempted = attempt(core, 'update', resource, decoded, place?.id)
  return operate(core, request, action.status ?? 200, attempted, async (unit) => {
    const lock = action.lock ?? (action.method === 'GET' ? 'none' : 'update')
    const object = place ? await lockVisible(unit, resource, place, lock) : {}
    const { rule } = action
    if (rule !== null && !permits(unit, rule, resource, unit.caller, object)) throw refusedBy(resource, rule, object)
    if (place && action.method !== 'GET') requireRevision(object, request.ifRevision)
    const { values, given } = decoded
    const answer = await action.run(unit.context, { object, params, query, body: values, given })
    return () => answer
  })
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
    await unit.finish()
    return { value, last: unit.counting.statements() }
  })
}

/** Sends what it writes; what it answers is known once all of that stands. */
type Work = (unit: Unit) => Promise<() => unknown>

async function operate(
  core: Core,
  request: Request,
  status: number,
  attempted: Attempted,
  work: Work,
): Promise<Answer> {
  const run = async (unit: Unit, tx: Transaction): Promise<Outcome<() => Promise<Answer>>> => {
    const key = request.idempotency && {
      projectId: request.caller.projectId ?? request.caller.userId,
      ...request.idempotency,
    }
    const earlier = key && !request.dryRun ? await claimKey(tx, key) : null
    if (earlier) return { value: async () => ({ status: earlier.status, body: earlier.response, replayed: true }) }
    const result = await work(unit)
    await unit.finish()
    const value = async (): Promise<Answer> => {
      await unit.settled()
      return request.dryRun ? planned(result(), unit) : answerOf(status, result())
    }
    const last = unit.counting.statements()
    if (request.dryRun || key) await unit.settled()
    if (key && !request.dryRun) await keepAnswer(tx, key, { status, response: (await value()).body })
    return { value, last, commit: !request.dryRun }
  }
  const answer = await transact(core, request, run, (error) => conflictOf(error, attempted) ?? error)
  return answer()
}

function answerOf(status: number, result: unknown): Answer {
  const body = result === null || result === undefined ? '' : JSON.stringify(result)
  return { status: body === '' && status === 200 ? 204 : status, body, replayed: false }
}

/** What would have been written, and the object as it would be answered. */
const planned = (result: unknown, { touched }: Unit): Answer => ({
  status: 200,
  body: JSON.stringify({
    ...(result as Draft | null | undefined),
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
  const value = await askingOutside((outside) => {
    const once = (tx: Transaction): Promise<Outcome<T>> =>
      work(new Unit({ tx, model, policy, settings, caller, author, outside }), tx)
    return inTransaction(database, once, explain)
  })
  if (!request.dryRun) core.notifier.poke()
  return value
}

const attempt = (
  { model }: Core,
  op: Op,
  resource: ComposedResource,
  { values, given }: Decoded,
  id?: string,
): Attempted => ({
  op,
  resource,
  model,
  object: id === undefined ? values : { ...values, id },
  macGiven: given.has('mac_address') && Boolean(values['mac_address']),
})

/** Who may not add to any parent whatever hears that, and nothing of the parent. */
function refuseAlways({ policy, caller }: Unit, { parent, policyName }: ComposedResource): void {
  const action = `create_${policyName}`
  if (parent && policy.residual(action, caller) === false) throw new ApiError('PolicyNotAuthorized', { action })
}

/** The parent a path names must be there for the caller. */
async function requireParent(unit: Unit, { parent }: ComposedResource, parentId: string | undefined): Promise<void> {
  if (!parent) return
  const above = unit.model.resource(parent.resource)
  const id = parentId ?? ''
  const found = isUuid(id) ? await unit.load(above, id, 'none') : undefined
  if (!found || !sees(unit, above, unit.caller, found)) throw notFound(above, id)
}

async function lockVisible(
  unit: Unit,
  resource: ComposedResource,
  place: Place,
  lock: 'none' | 'share' | 'update' | 'delete',
  values: Readonly<Draft> = {},
): Promise<Image> {
  await requireParent(unit, resource, place.parentId)
  const id = await idOf(unit, resource, place)
  const op = lock === 'delete' ? 'delete' : 'update'
  const before = id === undefined ? undefined : await unit.loadToWrite(resource, op, id, lock, values)
  const { parent } = resource
  const inPlace = before && (!parent || before[parent.attribute] === place.parentId)
  if (inPlace && sees(unit, resource, unit.caller, before)) return before
  throw notFound(resource, place.id, place.parentId)
}

/** The id behind the key in a path. */
async function idOf(unit: Unit, resource: ComposedResource, place: Place): Promise<string | undefined> {
  if (resource.key === 'id') return isUuid(place.id) ? place.id : undefined
  const filters = placeFilters(resource, place)
  if (!filters) return undefined
  const where = Object.fromEntries(Object.entries(filters).map(([name, [value]]) => [name, value as string]))
  const [found] = await unit.find(resource, where)
  return found && String(found['id'])
}

function requireRevision(before: Image, wanted: number | null): void {
  if (wanted === null || before['revision_number'] === wanted) return
  throw new ApiError('RevisionNumberConstraintFailed', { expected: wanted, current: before['revision_number'] })
}

/** A write that changes nothing stored is no change; the order of keys, which PostgreSQL chooses, does not count. */
function differs(resource: ComposedResource, before: Image, after: Image): boolean {
  for (const name in resource.attributes) {
    const [old, now] = [before[name] ?? null, after[name] ?? null]
    if (old === now || name === 'revision_number' || name === 'updated_at') continue
    if (JSON.stringify(old) !== JSON.stringify(now) && !isDeepStrictEqual(old, now)) return true
  }
  return false
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
