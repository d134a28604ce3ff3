/** The routes of the model's resources: list, show, create, update, delete, each made from its definition. */
import { Readable } from 'node:stream'
import { ensureDefaultGroup } from '#core/default-group.ts'
import { type Core, createObjects, deleteObject, runAction, updateObject } from '#core/operation.ts'
import { parseAsOf, parseFields, parseListRequest } from '#core/reading/query.ts'
import { listObjects, type Place, showObject } from '#core/reading/read.ts'
import { ApiError } from '#kernel/errors.ts'
import type { ComposedResource } from '#model/compose.ts'
import { actionPath, collectionPath } from '#model/paths.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pageLinks } from './links.ts'
import { paramsOf, writeRequest } from './request.ts'

type Params = Readonly<Record<string, string>>
type ParamsRequest = FastifyRequest<{ Params: Params }>

const placeOf = ({ params }: ParamsRequest): Place => ({ id: params['id'] ?? '', parentId: params['parent_id'] })

export function resourceRoutes(app: FastifyInstance, core: Core, { maxLimit }: { readonly maxLimit: number }): void {
  for (const resource of core.model.resources.values()) {
    const path = collectionPath(core.model, resource)
    const can = (operation: ComposedResource['operations'][number]): boolean => resource.operations.includes(operation)
    actionRoutes(app, core, resource)
    if (can('list'))
      app.get<{ Params: Params }>(path, (request, reply) => list(core, resource, maxLimit, request, reply))
    if (can('show'))
      app.get<{ Params: Params }>(`${path}/:id`, (request, reply) => show(core, resource, request, reply))
    if (can('create'))
      app.post<{ Params: Params }>(path, async (request, reply) =>
        answer(
          reply,
          await createObjects(core, resource, request.body, writeRequest(request), request.params['parent_id']),
        ),
      )
    if (can('update'))
      app.put<{ Params: Params }>(`${path}/:id`, async (request, reply) =>
        answer(reply, await updateObject(core, resource, placeOf(request), request.body, writeRequest(request))),
      )
    if (can('delete'))
      app.delete<{ Params: Params }>(`${path}/:id`, async (request, reply) => {
        refuseBody(request)
        return answer(reply, await deleteObject(core, resource, placeOf(request), writeRequest(request)))
      })
  }
}

/** Clients repeat in the body of such a DELETE what its path says; it is not read. */
function actionRoutes(app: FastifyInstance, core: Core, resource: ComposedResource): void {
  for (const action of resource.actions) {
    const member = action.on !== 'collection'
    app.route<{ Params: Params }>({
      method: action.method,
      url: actionPath(core.model, resource, action),
      handler: async (request, reply) => {
        const { id: _id, parent_id: _parent, ...params } = request.params
        const call = { place: member ? placeOf(request) : null, params, query: paramsOf(request), body: request.body }
        return answer(reply, await runAction(core, resource, action, call, writeRequest(request)))
      },
    })
  }
}

function refuseBody({ body }: FastifyRequest): void {
  if (body !== undefined && body !== null)
    throw new ApiError('HTTPBadRequest', { reason: 'Unexpected body in a DELETE request' })
}

function answer(
  reply: FastifyReply,
  { status, body, replayed }: { status: number; body: string; replayed: boolean },
): FastifyReply {
  void reply.code(status)
  if (replayed) void reply.header('idempotency-replayed', 'true')
  return body === '' ? reply.send() : reply.type('application/json').send(body)
}

async function show(
  core: Core,
  resource: ComposedResource,
  request: ParamsRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const params = paramsOf(request)
  const options = { fields: parseFields(params['fields']), asOf: parseAsOf(params['as_of']?.at(-1)) }
  const json = await showObject(core, resource, placeOf(request), request.caller, options)
  return reply.type('application/json').send(`{"${resource.singular}":${json}}`)
}

async function list(
  core: Core,
  resource: ComposedResource,
  maxLimit: number,
  request: ParamsRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const wanted = parseListRequest(resource, paramsOf(request), maxLimit)
  await ensureDefaultGroup(core, resource, request.caller, request.id, wanted)
  const page = await listObjects(core, resource, request.caller, wanted, request.params['parent_id'])
  const links =
    wanted.limit === undefined ? '' : `,"${resource.plural}_links":${JSON.stringify(pageLinks(request, wanted, page))}`
  const parts = [`{"${resource.plural}":[`, ...page.pieces.flatMap((piece) => [',', piece]).slice(1), `]${links}}`]
  return sendParts(reply.type('application/json'), parts)
}

/** Bytes up to which an answer is put together before it is sent. */
const AT_ONCE = 256 * 1024

/** What was sent of a long answer may go: there is never a second copy of the whole. */
function sendParts(reply: FastifyReply, parts: readonly (string | Buffer)[]): FastifyReply {
  const rest = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
  const length = rest.reduce((total, part) => total + part.length, 0)
  if (length <= AT_ONCE) return reply.send(Buffer.concat(rest))
  const next = function* (): Generator<Buffer> {
    for (let part = rest.shift(); part; part = rest.shift()) yield part
  }
  return reply.header('content-length', length).send(Readable.from(next(), { objectMode: false }))
}
