/** A name by which projects choose how a service is provided, without knowing by what. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Context,
  defineResource,
  flag,
  list,
  optional,
  parseText,
  parseUuid,
  type Resource,
  type Row,
  text,
  timestamp,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { identity } from '#resources/standard.ts'
import { providerOf } from './service-profile.ts'

/** The services there are, by the names clients know them by. */
const SERVICES = [
  'CORE',
  'L3_ROUTER_NAT',
  'FLAVORS',
  'QOS',
  'METERING',
  'LOGGING',
  'PORTFORWARDING',
  'CONNTRACKHELPER',
  'NDPPROXY',
  'LOCAL_IP',
]
const parseService = (value: unknown): string => {
  const service_type = parseText(255)(value)
  if (SERVICES.includes(service_type)) return service_type
  throw new ApiError('InvalidServiceType', { service_type })
}

const profileIds = { schema: { type: 'string', format: 'uuid' }, parse: parseUuid }

const attributes = {
  ...identity,
  project_id: text({ set: 'create', visible: false }),
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  description: optional(text({ set: 'always', default: '', max: 1024, filter: true, sort: true }), { default: '' }),
  service_type: { ...text({ set: 'create', required: true, filter: true, sort: true }), parse: parseService },
  enabled: optional(flag({ set: 'always', filter: true, sort: true }), { default: true }),
  service_profiles: list(profileIds, {
    set: 'always',
    default: [],
    unique: true,
    sql: `(select coalesce(jsonb_agg(b.service_profile_id order by b.created_at, b.id), '[]')
      from flavor_service_profiles b where b.flavor_id = t.id)`,
  }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
export type Flavor = Row<typeof attributes>

/** That a flavor has a profile. */
export const flavorServiceProfile: Resource = defineResource({
  name: 'flavor_service_profile',
  plural: 'flavor_service_profiles',
  table: 'flavor_service_profiles',
  docs: 'That a flavor has a service profile.',
  notFound: { type: 'FlavorServiceProfileBindingNotFound', param: 'sp_id' },
  operations: [],
  references: { flavor_id: { resource: 'flavor' }, service_profile_id: { resource: 'service_profile' } },
  bumps: ['flavor_id'],
  conflicts: { flavor_service_profiles_once: 'again', flavor_service_profiles_service_profile_id_fkey: 'again' },
  attributes: {
    id: uuid(),
    flavor_id: uuid(),
    service_profile_id: uuid(),
    created_at: timestamp({ column: 'created_at' }),
    revision_number: whole({ max: Number.MAX_SAFE_INTEGER }),
  },
}) as Resource

const nextProvider: Action = {
  name: 'list_next_providers',
  method: 'GET',
  path: 'next_providers',
  rule: null,
  docs: 'Who would provide the service to something made with this flavor: the provider of its first profile.',
  run: async (context, { object }) => {
    const driver = await driverOf(context, object as Flavor)
    return { next_providers: [{ driver, provider: await providerOf(context, driver) }] }
  },
}

/** The driver a flavor stands for; throws when it has no profile, or one that is switched off. */
export async function driverOf(context: Context, { id, service_profiles: [first] }: Flavor): Promise<string> {
  const profile = first && (await context.load('service_profile', first))
  if (!profile) throw new ApiError('FlavorServiceProfileBindingNotFound', { sp_id: '', fl_id: id })
  if (!profile['enabled']) throw new ApiError('ServiceProfileDisabled')
  return String(profile['driver'])
}

const addProfile: Action = {
  name: 'create_flavor_service_profile',
  method: 'POST',
  path: 'service_profiles',
  status: 201,
  rule: 'create_flavor_service_profile',
  envelope: 'service_profile',
  body: { id: uuid({ set: 'create', required: true }), project_id: text({ set: 'create' }) },
  docs: 'Gives the flavor a service profile.',
  run: async (context, { object, body }) => {
    await bind(context, object as Flavor, String(body['id']))
    return { service_profile: { id: body['id'] } }
  },
}

const removeProfile: Action = {
  name: 'delete_flavor_service_profile',
  method: 'DELETE',
  path: 'service_profiles/:service_profile_id',
  status: 204,
  rule: 'delete_flavor_service_profile',
  docs: 'Takes a service profile from the flavor.',
  run: (context, { object, params }) => unbind(context, object as Flavor, params['service_profile_id'] ?? ''),
}

async function bind(context: Context, { id, service_profiles }: Flavor, sp_id: string): Promise<void> {
  if (service_profiles.includes(sp_id)) throw new ApiError('FlavorServiceProfileBindingExists', { sp_id, fl_id: id })
  if (!(await context.load('service_profile', sp_id, 'share'))) throw new ApiError('ServiceProfileNotFound', { sp_id })
  await context.create(flavorServiceProfile, { flavor_id: id, service_profile_id: sp_id })
}

async function unbind(context: Context, { id, service_profiles }: Flavor, sp_id: string): Promise<void> {
  const [binding] = service_profiles.includes(sp_id)
    ? await context.find('flavor_service_profile', { flavor_id: id, service_profile_id: sp_id })
    : []
  if (!binding) throw new ApiError('FlavorServiceProfileBindingNotFound', { sp_id, fl_id: id })
  await context.remove(flavorServiceProfile, String(binding['id']))
}

export const flavor = defineResource({
  name: 'flavor',
  plural: 'flavors',
  table: 'flavors',
  docs: 'A way to have a service provided, for projects to choose; its service profiles say by what.',
  notFound: { type: 'FlavorNotFound', param: 'flavor_id' },
  inUse: ({ id }) => new ApiError('FlavorInUse', { flavor_id: id }),
  attributes,
  actions: [addProfile, removeProfile, nextProvider],
  inTx: async (context, { op, before, after, given, internal }: Write<Flavor>) => {
    const had = before?.service_profiles ?? []
    const wanted = op === 'delete' ? [] : given.has('service_profiles') ? (after as Flavor).service_profiles : had
    for (const id of had) if (!wanted.includes(id)) await unbind(context, before as Flavor, id)
    const added = wanted.filter((id) => !had.includes(id))
    if (!internal && added.length > 0)
      context.afterWrite(async () => {
        for (const id of added) await bind(context, { ...(after as Flavor), service_profiles: [] }, id)
      })
    return undefined
  },
})
