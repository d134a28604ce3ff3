/**
 * A Placement for tests: resource providers with inventories and aggregates, and generations that it enforces: a write
 * with an older one is a 409. What is allocated cannot be taken away.
 */
import { type JsonServer, jsonServer, type Reply, type Request } from './nova-stub.ts'

export interface Provider {
  readonly uuid: string
  readonly name: string
  generation: number
  inventories: Record<string, Record<string, number>>
  aggregates: string[]
  /** Classes that servers have something of. */
  readonly allocated: Set<string>
}

export interface PlacementStub extends JsonServer {
  readonly providers: Map<string, Provider>
  readonly classes: Set<string>
  readonly log: { readonly method: string; readonly path: string; readonly status: number }[]
  /** Called before a write is looked at: somebody else may be faster. */
  meanwhile: ((request: Request) => void) | null
}

const conflict = (code: string, detail: string): Reply => ({
  status: 409,
  body: { errors: [{ status: 409, code, detail }] },
})
const GENERATION = conflict('placement.concurrent_update', 'resource provider generation conflict')

export async function placementStub(): Promise<PlacementStub> {
  const state: Omit<PlacementStub, keyof JsonServer> = {
    providers: new Map(),
    classes: new Set(['IPV4_ADDRESS', 'VCPU']),
    log: [],
    meanwhile: null,
  }
  const server = await jsonServer(async (request) => {
    if (request.method !== 'GET') state.meanwhile?.(request)
    const reply =
      request.headers['openstack-api-version'] === 'placement 1.23' ? answer(state, request) : { status: 406 }
    state.log.push({ method: request.method, path: request.path, status: reply.status })
    return reply
  })
  return Object.assign(state, server)
}

type State = Omit<PlacementStub, keyof JsonServer>

function answer(state: State, request: Request): Reply {
  const { method, path, body } = request
  const made = /^\/resource_classes\/(CUSTOM_[A-Z0-9_]+)$/.exec(path)?.[1]
  if (made && method === 'PUT') {
    const known = state.classes.has(made)
    state.classes.add(made)
    return { status: known ? 204 : 201 }
  }
  if (path === '/resource_providers' && method === 'POST') return create(state, body)
  const [, uuid = '', part = ''] =
    /^\/resource_providers\/([0-9a-f-]{36})(?:\/(inventories|aggregates))?$/.exec(path) ?? []
  const provider = state.providers.get(uuid)
  if (!provider) return { status: 404, body: { errors: [{ status: 404, detail: 'no such resource provider' }] } }
  if (part === 'inventories') return inventories(state, provider, request)
  if (part === 'aggregates') return aggregates(provider, request)
  if (method !== 'DELETE') return { status: 405 }
  if (provider.allocated.size > 0) return conflict('placement.resource_provider.inuse', 'has allocations')
  state.providers.delete(uuid)
  return { status: 204 }
}

function create({ providers }: State, { uuid, name }: { uuid: string; name: string }): Reply {
  if ([...providers.values()].some((one) => one.uuid === uuid || one.name === name))
    return conflict('placement.duplicate_name', 'exists already')
  providers.set(uuid, { uuid, name, generation: 0, inventories: {}, aggregates: [], allocated: new Set() })
  return { status: 200, body: { uuid, name, generation: 0 } }
}

function inventories(state: State, provider: Provider, { method, body }: Request): Reply {
  if (method === 'PUT') {
    if (body.resource_provider_generation !== provider.generation) return GENERATION
    const given = body.inventories as Provider['inventories']
    if (
      Object.keys(given).some((name) => !state.classes.has(name)) ||
      Object.values(given).some((one) => !isValid(one))
    )
      return { status: 400, body: { errors: [{ status: 400, detail: 'no such class, or no such inventory' }] } }
    if ([...provider.allocated].some((name) => !(name in given)))
      return conflict('placement.inventory.inuse', 'the inventory is in use')
    provider.inventories = given
    provider.generation++
  }
  const { generation: resource_provider_generation, inventories } = provider
  return { status: 200, body: { resource_provider_generation, inventories } }
}

const isValid = ({ total = 0, reserved = 0 }: Record<string, number>): boolean =>
  total >= 1 && total <= 2_147_483_647 && reserved >= 0 && reserved <= total

function aggregates(provider: Provider, { method, body }: Request): Reply {
  if (method === 'PUT') {
    if (body.resource_provider_generation !== provider.generation) return GENERATION
    provider.aggregates = body.aggregates
    provider.generation++
  }
  const { generation: resource_provider_generation, aggregates: uuids } = provider
  return { status: 200, body: { resource_provider_generation, aggregates: uuids } }
}
