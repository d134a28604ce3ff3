/** The routes of the model's resources: list, show, create, update, delete, each made from its definition. */
import { Readable } from 'node:stream'
import { type Core, createObjects, deleteObject, updateObject } from '#core/operation.ts'
import { parseAsOf, parseFields, parseListRequest } from '#core/query.ts'
import { listObjects, showObject } from '#core/read.ts'
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pageLinks } from './links.ts'
import { paramsOf, writeRequest } from './request.ts'

interface IdParams {
  readonly id: string
}

export function resourceRoutes(app: FastifyInstance, core: Core, { maxLimit }: { readonly maxLimit: number }): void {
  for (const resource of core.model.resources.values()) {
    const path = `/v2.0/${resource.path}`
    const can = (operation: ComposedResource['operations'][number]): boolean => resource.operations.includes(operation)
    if (can('list')) app.get(path, (request, reply) => list(core, resource, maxLimit, request, reply))
    if (can('show'))
      app.get<{ Params: IdParams }>(`${path}/:id`, (request, reply) => show(core, resource, request, reply))
    if (can('create'))
      app.post(path, async (request, reply) =>
        answer(reply, await createObjects(core, resource, request.body, writeRequest(request))),
      )
    if (can('update')) {
      app.put<{ Params: IdParams }>(`${path}/:id`, async (request, reply) =>
        answer(
          reply,
          await updateObject(
            core,
            resource,
            requireId(resource, request.params.id),
            request.body,
            writeRequest(request),
          ),
        ),
      )
    }
    if (can('delete')) {
      app.delete<{ Params: IdParams }>(`${path}/:id`, async (request, reply) => {
        if (request.body !== undefined && request.body !== null)
          throw new ApiError('HTTPBadRequest', { reason: 'Unexpected body in a DELETE request' })
        return answer(
          reply,
          await deleteObject(core, resource, requireId(resource, request.params.id), writeRequest(request)),
        )
      })
    }
  }
}

function requireId(resource: ComposedResource, id: string): string {
  if (isUuid(id)) return id
  throw new ApiError(resource.notFound.type, { [resource.notFound.param]: id })
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
  request: FastifyRequest<{ Params: IdParams }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const params = paramsOf(request)
  const options = { fields: parseFields(params['fields']), asOf: parseAsOf(params['as_of']?.at(-1)) }
  const json = await showObject(core, resource, request.params.id, request.caller, options)
  return reply.type('application/json').send(`{"${resource.name}":${json}}`)
}

async function list(
  core: Core,
  resource: ComposedResource,
  maxLimit: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const wanted = parseListRequest(resource, paramsOf(request), maxLimit)
  const page = await listObjects(core, resource, request.caller, wanted)
  const links =
    wanted.limit === undefined ? '' : `,"${resource.plural}_links":${JSON.stringify(pageLinks(request, wanted, page))}`
  void reply.type('application/json')
  const { items } = page
  if (items.length <= PIECE) return reply.send(`{"${resource.plural}":[${items.join(',')}]${links}}`)
  return reply.send(Readable.from(pieces(`{"${resource.plural}":[`, items, `]${links}}`), { objectMode: false }))
}

/** Objects sent at once; longer lists go out piece by piece, so that no second copy of the whole is made. */
const PIECE = 1000

function* pieces(head: string, items: readonly string[], tail: string): Generator<string> {
  for (let from = 0; from < items.length; from += PIECE) {
    yield `${from === 0 ? head : ','}${items.slice(from, from + PIECE).join(',')}`
  }
  yield tail
}
