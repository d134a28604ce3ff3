/** Address scopes: pools whose addresses are unique among them, so that networks of one scope can route to each other. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineExtension,
  defineResource,
  type Draft,
  optional,
  type Resource,
  type Row,
  text,
  timestamp,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { network } from '#resources/network.ts'
import { shareable } from '#resources/sharing.ts'
import { identity } from '#resources/standard.ts'
import { siblings } from '#resources/subnet.ts'
import { requireAffinity } from './address-scope-affinity.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  ip_version: whole({ set: 'create', required: true, of: [4, 6], filter: true, sort: true }),
  ...shareable,
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at', visible: false }),
  updated_at: timestamp({ column: 'updated_at', visible: false }),
} as const
type AddressScope = Row<typeof attributes>

export const addressScope = defineResource({
  name: 'address_scope',
  plural: 'address_scopes',
  table: 'address_scopes',
  docs: 'Subnet pools whose addresses are unique among them: networks of one scope are routed without translation.',
  notFound: { type: 'AddressScopeNotFound', param: 'address_scope_id' },
  inUse: ({ id }) => new ApiError('AddressScopeInUse', { address_scope_id: id }),
  attributes,
  check: ({ before, after, given, internal }) => {
    if (internal || !before?.shared || !after || !given.has('shared') || after.shared) return []
    return [
      new ApiError('AddressScopeUpdateError', {
        address_scope_id: before.id,
        reason: "Shared address scope can't be unshared",
      }),
    ]
  },
})

/** The scope of the network's subnets of one IP version: by affinity, they have but one. */
const scopeOfNetwork = (version: 4 | 6): string =>
  `(select p.address_scope_id from subnets s join subnetpools p on p.id = s.subnetpool_id
     where s.network_id = t.id and s.ip_version = ${version} and p.address_scope_id is not null limit 1)`

export const addressScopes = defineExtension({
  alias: 'address-scope',
  name: 'Address scope',
  description: 'Subnet pools whose addresses are unique among them.',
  updated: '2015-07-26T10:00:00-00:00',
  requires: ['subnet_allocation'],
  resources: [addressScope],
  on: {
    network: {
      attributes: {
        ipv4_address_scope: optional(uuid({ sql: scopeOfNetwork(4) })),
        ipv6_address_scope: optional(uuid({ sql: scopeOfNetwork(6) })),
      },
    },
    subnetpool: {
      attributes: { address_scope_id: optional(uuid({ set: 'always', filter: true, sort: true })) },
      references: { address_scope_id: { resource: 'address_scope', lock: 'share' } },
      conflicts: { address_scopes_disjoint: () => new ApiError('AddressScopePrefixConflict') },
      inTx: async (context, write) => {
        if (write.op !== 'delete') await chooseScope(context, write)
        return undefined
      },
    },
    subnet: {
      inTx: async (context, { op, after }) => {
        if (op === 'create' && after && (await hasOrigins(context, after)))
          context.afterWrite(() => requireAffinity(context, after))
        return undefined
      },
    },
  },
})

/** Is anything from a pool? Of subnets made at once each that is asks for itself. */
async function hasOrigins(context: Context, { network_id, subnetpool_id }: Readonly<Draft>): Promise<boolean> {
  if (subnetpool_id) return true
  const others = await siblings(context, String(network_id))
  return others.some((one) => one['subnetpool_id'])
}

async function chooseScope(context: Context, { before, after, internal }: Write): Promise<void> {
  const pool = after as Readonly<Draft>
  const [old, wanted] = [before?.['address_scope_id'] ?? null, pool['address_scope_id'] ?? null] as (string | null)[]
  if (old && !internal) await requireOwnScope(context, String(pool['id']), old)
  if (wanted) await requireVersion(context, pool, wanted)
  if (before && old !== (wanted ?? null)) await rescope(context, String(pool['id']))
}

/** Neutron's rule: who put a pool into the scope of another project cannot change it any more. */
async function requireOwnScope(context: Context, subnetpool_id: string, scopeId: string): Promise<void> {
  const scope = await context.load('address_scope', scopeId)
  if (context.isAdmin || scope?.['project_id'] === context.caller.projectId) return
  const reason = `subnetpool ${subnetpool_id} cannot be updated when associated with shared address scope ${scopeId}`
  throw new ApiError('IllegalSubnetPoolUpdate', { reason })
}

async function requireVersion(context: Context, pool: Readonly<Draft>, address_scope_id: string): Promise<void> {
  const scope = (await context.load('address_scope', address_scope_id)) as AddressScope | undefined
  if (!scope || scope.ip_version === pool['ip_version']) return
  throw new ApiError('IllegalSubnetPoolIpVersionAssociationToAddressScope', {
    subnetpool_id: pool['id'],
    address_scope_id,
    ip_version: scope.ip_version,
  })
}

/** The networks with subnets of the pool change scope with it: they must have no subnet from elsewhere. */
async function rescope(context: Context, poolId: string): Promise<void> {
  const subnets = await context.find('subnet', { subnetpool_id: poolId })
  const networkIds = [...new Set(subnets.map((one) => String(one['network_id'])))].sort()
  for (const id of networkIds) await context.load('network', id, 'update')
  if (networkIds.length === 0) return
  const version = Number(subnets[0]?.['ip_version'])
  const all = await context.find('subnet', { network_id: networkIds, ip_version: version })
  if (all.some((one) => one['subnetpool_id'] !== poolId)) throw new ApiError('NetworkAddressScopeAffinityError')
  // Their own scope is read from the pool: say so in the change log.
  context.afterWrite(async () => {
    for (const id of networkIds) await context.update(network as Resource, id, {})
  })
}
