/** What QoS adds to networks and ports: which policy they have, and what a scheduler must find for a port. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, dictionary, type Draft, type ExtensionPart, optional, uuid, type Write } from '#model/define.ts'

export const policyId = () => optional(uuid({ set: 'always', filter: true, policy: true }))
/** Held, so that the policy's rules do not change while they are looked at. */
export const references = { qos_policy_id: { resource: 'qos_policy', lock: 'share' } } as const

/** The policy of the port's network, which holds where the port has none of its own. */
export const NETWORK_POLICY = '(select n.qos_policy_id from networks n where n.id = t.network_id)'

export const networkQos: ExtensionPart = {
  attributes: { qos_policy_id: policyId() },
  references,
  async inTx(context, write) {
    const { op, after } = write
    if (!after) return undefined
    await refuseForeignRemoval(context, write)
    if (op === 'update' && !write.given.has('qos_policy_id')) return undefined
    const qos_policy_id =
      after['qos_policy_id'] ?? (op === 'create' ? await defaultPolicy(context, String(after['project_id'])) : null)
    if (qos_policy_id && (await needsPhysicalNetwork(context, qos_policy_id)))
      // What carries a new network is known once it stands.
      context.afterWrite(() => refuseUnphysical(context, String(after['id'])))
    return { qos_policy_id }
  },
}

export const portQos: ExtensionPart = {
  attributes: {
    qos_policy_id: policyId(),
    qos_network_policy_id: optional(uuid({ sql: NETWORK_POLICY })),
    resource_request: optional(
      dictionary({
        policy: true,
        sql: `(select port_resource_request(t.id, t.network_id, q.id, t.binding_vnic_type)
          from coalesce(t.qos_policy_id, ${NETWORK_POLICY}) q(id) where q.id is not null)`,
      }),
    ),
  },
  references,
  async inTx(context, write) {
    const { op, before, after } = write
    if (!after) return undefined
    await refuseForeignRemoval(context, write)
    if (op === 'update' && after['qos_policy_id'] === before?.['qos_policy_id']) return undefined
    await refuseUnsupported(context, after)
    return undefined
  },
}

/** Who may not see a policy may not take it away. */
async function refuseForeignRemoval(context: Context, { before, given, internal }: Write): Promise<void> {
  const policy_id = before?.['qos_policy_id']
  if (internal || typeof policy_id !== 'string' || !given.has('qos_policy_id')) return
  const [seen] = await context.visible('qos_policy', [policy_id])
  if (!seen) throw new ApiError('PolicyRemoveAuthorizationError', { policy_id })
}

async function defaultPolicy(context: Context, project_id: string): Promise<unknown> {
  const [policy] = await context.find('qos_policy', { project_id, is_default: true })
  return policy?.['id'] ?? null
}

async function rulesOf(context: Context, policyId: unknown): Promise<readonly Readonly<Draft>[]> {
  const policy = await context.load('qos_policy', String(policyId))
  return (policy?.['rules'] ?? []) as readonly Readonly<Draft>[]
}

const needsPhysicalNetwork = async (context: Context, policyId: unknown): Promise<boolean> =>
  (await rulesOf(context, policyId)).some((rule) => rule['type'] === 'minimum_bandwidth')

async function refuseUnphysical(context: Context, network_id: string): Promise<void> {
  const network = await context.load('network', network_id)
  if (!network || onPhysicalNetwork(network)) return
  const facts = { rule_type: 'minimum_bandwidth', network_id }
  throw new ApiError('QosRuleNotSupportedByNetwork', facts, { reason: 'no_physical_network' })
}

const onPhysicalNetwork = (network: Readonly<Draft>): boolean => Boolean(network['provider:physical_network'])

/** Interfaces on which Open vSwitch enforces rules: as they are plugged, or as they will be. */
const PLUGGED = ['ovs', 'vhostuser']
const UNPLUGGED = ['unbound', 'binding_failed']
const PLUGGABLE = ['normal', 'direct']

async function refuseUnsupported(context: Context, port: Readonly<Draft>): Promise<void> {
  const network = await context.load('network', String(port['network_id']))
  const policyId = port['qos_policy_id'] ?? network?.['qos_policy_id']
  if (!network || !policyId) return
  const rules = await rulesOf(context, policyId)
  const vif = String(port['binding:vif_type'])
  const fits = UNPLUGGED.includes(vif) ? PLUGGABLE.includes(String(port['binding:vnic_type'])) : PLUGGED.includes(vif)
  const refused = rules.find((rule) => !fits || (rule['type'] === 'minimum_bandwidth' && !onPhysicalNetwork(network)))
  if (!refused) return
  const rule_type = refused['type']
  throw new ApiError('QosRuleNotSupported', { rule_type, port_id: port['id'] }, { reason: 'no_driver', rule_type })
}
