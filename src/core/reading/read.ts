/** Show and list: today's state or a past one, as the caller may see it. */
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { isStorable } from '#model/attribute.ts'
import type { ComposedResource, Model } from '#model/compose.ts'
import { historyBegins, listAsOf, objectAsOf } from '#store/history.ts'
import { firstJson, isVisible, listImages, listJson, listPresented, type ListQuery } from '#store/list.ts'
import { type Listing, startListing } from '#store/listing.ts'
import { pageOf, visiblePast } from './past.ts'
import { present, presenter, sightOf, withTwin } from './present.ts'
import type { ListRequest } from './query.ts'
import { type ReadCore, visibleTo, visibleToday } from '../visible.ts'

export type { Listing } from '#store/listing.ts'

/** What a path says of an object: its key, and its parent's id where it is part of one. */
export interface Place {
  readonly id: string
  readonly parentId?: string | undefined
}

/** `parentId`: where the path looked for it; in the error under the name of the attribute that holds it. */
export const notFound = (
  { notFound: { type, param }, parent }: ComposedResource,
  id: string,
  parentId?: string,
): ApiError => new ApiError(type, { [param]: id, ...(parent && { [parent.attribute]: parentId }) })

/** The filters that a path stands for; null when nothing can be there. */
export function placeFilters(
  resource: ComposedResource,
  { id, parentId }: Partial<Place>,
): ListQuery['filters'] | null {
  const { parent, key, attributes } = resource
  if (id !== undefined && attributes[key]?.pg === 'uuid' && !isUuid(id)) return null
  return {
    ...(parent && parentId !== undefined && { [parent.attribute]: [parentId] }),
    ...(id !== undefined && { [key]: [id] }),
  }
}

/** The parent must be there for the caller. */
export async function requireParent(
  core: ReadCore & { readonly model: Model },
  { parent }: ComposedResource,
  parentId: string | undefined,
  caller: Caller,
): Promise<void> {
  if (!parent) return
  const above = core.model.resource(parent.resource)
  const id = parentId ?? ''
  const visible = visibleTo(core, above, caller)
  if (!isUuid(id) || !(await isVisible(core.database, above, id, visible, caller.projectId))) throw notFound(above, id)
}

type Core = ReadCore & { readonly model: Model }

/** The object as JSON text; throws the resource's NotFound for what the caller may not see. */
export async function showObject(
  core: Core,
  resource: ComposedResource,
  place: Place,
  caller: Caller,
  { fields, asOf }: { readonly fields: ReadonlySet<string> | undefined; readonly asOf: string | undefined },
): Promise<string> {
  await requireParent(core, resource, place.parentId, caller)
  const filters = placeFilters(resource, place)
  if (!filters) throw notFound(resource, place.id, place.parentId)
  if (asOf !== undefined && resource.key === 'id') return showAsOf(core, resource, place.id, caller, fields, asOf)
  const query: ListQuery = { visible: visibleTo(core, resource, caller), filters, sort: [] }
  const json = await textOf(core, resource, caller, fields, query)
  if (json === undefined) throw notFound(resource, place.id, place.parentId)
  return json
}

async function showAsOf(
  core: ReadCore,
  resource: ComposedResource,
  id: string,
  caller: Caller,
  fields: ReadonlySet<string> | undefined,
  asOf: string,
): Promise<string> {
  await requireHistory(core, asOf)
  const image = await objectAsOf(core.database, resource, id, asOf)
  const today = await visibleToday(core, resource, caller, [id])
  if (!image || !today.get(id)) throw notFound(resource, id)
  return JSON.stringify(present(core, resource, image, caller, fields))
}

/** Before the change log begins nobody knows: that is no "not found". */
async function requireHistory({ database }: ReadCore, asOf: string): Promise<void> {
  const begins = (await historyBegins(database))?.toISOString()
  if (begins === undefined || asOf >= begins) return
  const reason = `changes are kept since ${begins}`
  throw new ApiError('BadAsOf', { value: asOf, reason }, { reason: 'before_history', history_begins: begins })
}

export async function listObjects(
  core: Core,
  resource: ComposedResource,
  caller: Caller,
  asked: ListRequest,
  parentId?: string,
): Promise<Listing> {
  await requireParent(core, resource, parentId, caller)
  const request = { ...asked, filters: { ...asked.filters, ...placeFilters(resource, { parentId }) } }
  const { fields, asOf, ...query } = request
  if (asOf !== undefined) return listPast(core, resource, caller, request, asOf)
  const place = query.marker === undefined ? undefined : { id: query.marker, parentId }
  const marker = place && (await markerId(core, resource, caller, place))
  const visible = visibleTo(core, resource, caller)
  return listingOf(core, resource, caller, fields, { ...query, ...(marker !== undefined && { marker }), visible })
}

/** The id of the object that a page begins behind, which must be there for the caller where markers are not open. */
async function markerId(core: Core, resource: ComposedResource, caller: Caller, place: Place): Promise<string> {
  const visible = resource.openMarkers || visibleTo(core, resource, caller)
  if (resource.key === 'id') {
    const known = isUuid(place.id) && (await isVisible(core.database, resource, place.id, visible, caller.projectId))
    if (known) return place.id
    throw notFound(resource, place.id)
  }
  const filters = placeFilters(resource, place)
  const query = { visible, filters: filters ?? {}, sort: [], projectId: caller.projectId }
  const [found] = filters && isStorable(place.id) ? await listImages(core.database, resource, query) : []
  if (!found) throw notFound(resource, place.id)
  return String(found['id'])
}

async function listPast(
  core: ReadCore,
  resource: ComposedResource,
  caller: Caller,
  request: ListRequest,
  asOf: string,
): Promise<Listing> {
  await requireHistory(core, asOf)
  const seen = await visiblePast(core, resource, caller, await listAsOf(core.database, resource, asOf))
  const page = pageOf(resource, seen, request)
  if (!page) throw notFound(resource, String(request.marker))
  const show = presenter(core, resource, caller, request.fields)
  const listing = startListing()
  for (const image of page) listing.add(JSON.stringify(show(image)), String(image['id']))
  return listing.end()
}

/** What a request means that does not say otherwise. */
const assumedOf = ({ attributes }: ComposedResource): ListQuery['filters'] =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([name, { assumed }]) => (assumed === undefined ? [] : [[name, [assumed]]])),
  )

/** `names`: attributes that the caller sees of every object; null: that differs from object to object. */
function readingOf(
  core: Core,
  resource: ComposedResource,
  caller: Caller,
  fields: ReadonlySet<string> | undefined,
  asked: ListQuery,
): { readonly query: ListQuery; readonly names: readonly string[] | null } {
  const filters = { ...assumedOf(resource), ...asked.filters }
  const query = { ...asked, filters, projectId: caller.projectId, ...(fields && { partial: true }) }
  const { always, depends } = sightOf(core.policy, resource, caller)
  const wanted = (name: string): boolean => !fields || fields.has(name)
  return { query, names: withTwin(depends).some(wanted) ? null : withTwin(always).filter(wanted) }
}

async function listingOf(...asked: Parameters<typeof readingOf>): Promise<Listing> {
  const [core, resource, caller, fields] = asked
  const { query, names } = readingOf(...asked)
  if (names) return listJson(core.database, resource, names, query)
  const show = presenter(core, resource, caller, fields)
  return listPresented(core.database, resource, query, (image) => JSON.stringify(show(image)))
}

async function textOf(...asked: Parameters<typeof readingOf>): Promise<string | undefined> {
  const [core, resource, caller, fields] = asked
  const { query, names } = readingOf(...asked)
  if (names) return firstJson(core.database, resource, names, query)
  const [image] = await listImages(core.database, resource, query)
  return image && JSON.stringify(present(core, resource, image, caller, fields))
}
