/**
 * Get me a network: one request that gives a project a network with subnets of the default pools, behind a router to
 * the default external network. The first makes it, later ones find it.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Call,
  type Context,
  defineExtension,
  defineResource,
  type Draft,
  optional,
  type Resource,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'
import { dismantle, firstOf, provision, requirements } from './provision.ts'

const topology = defineResource({
  name: 'auto_allocated_topology',
  plural: 'auto_allocated_topologies',
  table: 'auto_allocated_topologies',
  path: 'auto-allocated-topology',
  docs: 'The network, subnets and router that a project was given with one request.',
  notFound: { type: 'HTTPNotFound', param: 'id' },
  operations: [],
  // Two at once: whoever comes second looks again.
  conflicts: { auto_allocated_topologies_one: 'again' },
  attributes: {
    id: uuid({}),
    project_id: text({}),
    network_id: uuid({}),
    router_id: optional(uuid({})),
    revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
    created_at: timestamp({ column: 'created_at' }),
    updated_at: timestamp({ column: 'updated_at' }),
  },
  actions: actions(),
})

const answer = (id: unknown, project_id: string) => ({
  auto_allocated_topology: { id, tenant_id: project_id, project_id },
})

async function get(context: Context, call: Call): Promise<unknown> {
  const projectId = projectOf(context, call, 'get_auto_allocated_topology')
  const fields = (call.query['fields'] ?? []).filter((one) => one !== '')
  if (fields.includes('dry-run')) {
    await requirements(context)
    return answer('dry-run=pass', projectId)
  }
  if (fields.length > 0) throw new ApiError('BadRequest', { resource: 'auto_allocate', msg: 'Unrecognized field' })
  const found = await topologyOf(context, projectId)
  if (found) return answer(found['network_id'], projectId)
  const made = await provision(context, projectId)
  await context.create(topology as Resource, { project_id: projectId, ...made })
  return answer(made.network_id, projectId)
}

async function remove(context: Context, call: Call): Promise<undefined> {
  const projectId = projectOf(context, call, 'delete_auto_allocated_topology')
  const found = await topologyOf(context, projectId)
  if (!found) return undefined
  await context.remove(topology as Resource, String(found['id']))
  await dismantle(context, String(found['network_id']), found['router_id'] as string | null)
  return undefined
}

const topologyOf = async (context: Context, project_id: string): Promise<Readonly<Draft> | undefined> =>
  firstOf(await context.find('auto_allocated_topology', { project_id }))

/** The project of the path; old clients write `None` for their own. */
function projectOf({ caller, allows }: Context, { params }: Call, action: string): string {
  const given = params['project_id'] ?? 'None'
  const project_id = given === 'None' ? (caller.projectId ?? '') : given
  if (allows(action, { project_id })) return project_id
  throw new ApiError('PolicyNotAuthorized', { action })
}

/** A function: the resource is made before what its actions do. */
function actions(): readonly Action[] {
  const common = { on: 'collection', path: ':project_id', rule: null } as const
  return [
    { ...common, name: 'get', method: 'GET', docs: 'The project’s network, made if there is none.', run: get },
    { ...common, name: 'delete', method: 'DELETE', docs: 'Takes it down again.', run: remove },
  ]
}

export const autoAllocatedTopology = defineExtension({
  alias: 'auto-allocated-topology',
  name: 'Auto Allocated Topology Services',
  description: 'A network, subnets and a router with one request.',
  updated: '2016-01-01T00:00:00-00:00',
  requires: ['router', 'external-net', 'subnet_allocation'],
  resources: [topology],
  on: {
    network: {
      // Whose default came first is told by the second look.
      conflicts: { networks_one_default: 'again' },
      inTx: async (context, { op, before, after }) => {
        if (op === 'delete') return forget(context, String(before?.['id']))
        if (!after?.['is_default']) return undefined
        // Only of what leads outside is there a default.
        if (!after['router:external']) return { is_default: false }
        if (!before?.['is_default']) await requireNoOther(context, String(after['id']))
        return undefined
      },
    },
    router: {
      inTx: async (context, { op, before }) =>
        op === 'delete' ? withoutRouter(context, String(before?.['id'])) : undefined,
    },
  },
})

/** Whoever deletes the network by hand has no topology any more; the next request makes a new one. */
async function forget(context: Context, network_id: string): Promise<undefined> {
  const found = firstOf(await context.find('auto_allocated_topology', { network_id }))
  if (found) await context.remove(topology as Resource, String(found['id']))
}

async function withoutRouter(context: Context, router_id: string): Promise<undefined> {
  const found = firstOf(await context.find('auto_allocated_topology', { router_id }))
  if (found) await context.update(topology as Resource, String(found['id']), { router_id: null })
}

async function requireNoOther(context: Context, id: string): Promise<void> {
  const other = firstOf((await context.find('network', { is_default: true })).filter((one) => one['id'] !== id))
  if (other) throw new ApiError('DefaultExternalNetworkExists', { net_id: other['id'] })
}
