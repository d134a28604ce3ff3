/**
 * External networks: networks that lead outside of what this system serves. For whom is a list of projects, as with
 * sharing; who has it external for everybody has `*` in it.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  audienceList,
  type Context,
  type Draft,
  EVERYONE,
  type ExtensionPart,
  flag,
  type Write,
} from '#model/define.ts'
import { floatingIp } from './floating-ip.ts'
import { GATEWAY_OWNER } from './owners.ts'

const attributes = {
  /** True of the network, whoever asks. */
  'router:external': flag({
    set: 'always',
    default: false,
    filter: true,
    policy: true,
    sql: "(t.external_with <> '{}')",
  }),
  external_with: audienceList({ column: 'external_with' }),
  /** The caller is among those it is external for. */
  'external:mine': flag({ visible: false, audience: { list: 'external_with', sql: 't.external_with' } }),
  is_default: flag({ set: 'always', default: false, filter: true, policy: true }),
} as const

interface Network extends Draft {
  readonly id: string
  readonly 'router:external': boolean
  readonly external_with: readonly string[]
  readonly is_default: boolean
}

export const externalNetwork: ExtensionPart = {
  attributes,
  async inTx(context, write) {
    const { op, before, after, given } = write as unknown as Write<Network>
    if (op === 'create') return { external_with: (after as Network)['router:external'] ? [EVERYONE] : [] }
    if (op === 'delete') await dropUnused(context, (before as Network).id)
    else if (given.has('router:external')) return changeExternal(context, before as Network, after as Network)
    else refuseHidingDefault(before as Network, after as Network)
    return undefined
  },
}

async function changeExternal(context: Context, before: Network, after: Network): Promise<Partial<Draft> | undefined> {
  const wanted = after['router:external']
  if (wanted === before['router:external']) return undefined
  if (!wanted) await refuseGateways(context, before.id)
  return { external_with: wanted ? [EVERYONE] : [] }
}

/** Whom the list leaves out must not need the network; everybody needs the default one. */
function refuseHidingDefault({ id, is_default, external_with }: Network, after: Network): void {
  if (!is_default || !external_with.includes(EVERYONE) || after.external_with.includes(EVERYONE)) return
  const details = 'Default external networks must be shared to everyone.'
  throw new ApiError('RbacPolicyInUse', { object_id: id, details }, { reason: 'default_external_network' })
}

async function refuseGateways(context: Context, net_id: string): Promise<void> {
  const gateways = await context.find('router_address', { network_id: net_id, device_owner: GATEWAY_OWNER })
  if (gateways.length > 0) throw new ApiError('ExternalNetworkInUse', { net_id })
}

/** Floating IPs that lead nowhere go with their network. */
async function dropUnused(context: Context, networkId: string): Promise<void> {
  const all = await context.find('floatingip', { floating_network_id: networkId })
  for (const one of all.filter(({ router_id }) => router_id === null))
    await context.remove(floatingIp, String(one['id']))
}
