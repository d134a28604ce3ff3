/** What stands behind a flavor: the driver of a provider, and words for it. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  flag,
  optional,
  orNull,
  type Row,
  text,
  whole,
  type Write,
} from '#model/define.ts'
import { identity } from '#resources/standard.ts'

const attributes = {
  ...identity,
  project_id: text({ set: 'create', visible: false }),
  description: optional(text({ set: 'always', default: '', max: 1024, filter: true, sort: true }), { default: '' }),
  driver: text({ set: 'always', default: '', max: 1024, filter: true, sort: true }),
  metainfo: orNull('', text({ set: 'always', default: '', max: 4096, sort: true })),
  enabled: optional(flag({ set: 'always', filter: true, sort: true }), { default: true }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
export type ServiceProfile = Row<typeof attributes>

export const serviceProfile = defineResource({
  name: 'service_profile',
  plural: 'service_profiles',
  path: 'service_profiles',
  table: 'service_profiles',
  docs: 'The driver of a service provider, for flavors to refer to.',
  notFound: { type: 'ServiceProfileNotFound', param: 'sp_id' },
  inUse: ({ id }) => new ApiError('ServiceProfileInUse', { sp_id: id }),
  attributes,
  inTx: async (context, write) => {
    await refuseUnfit(context, write)
    return undefined
  },
})

async function refuseUnfit(
  context: Context,
  { op, before, after, given, internal }: Write<ServiceProfile>,
): Promise<void> {
  if (internal) return
  if (after && given.has('driver') && after.driver !== '') await providerOf(context, after.driver)
  else if (op === 'create' && !after?.metainfo) throw new ApiError('ServiceProfileEmpty')
  if (!before) return
  const [binding] = await context.find('flavor_service_profile', { service_profile_id: before.id })
  if (binding)
    throw new ApiError(
      'ServiceProfileInUse',
      { sp_id: before.id },
      { reason: 'in_use', flavor_id: binding['flavor_id'] },
    )
}

/** The name of the provider that has the driver. */
export async function providerOf(context: Context, driver: string): Promise<string> {
  const [provider] = await context.find('service_provider', { driver })
  if (!provider) throw new ApiError('ServiceProfileDriverNotFound', { driver })
  return String(provider['name'])
}
