/** What QoS adds to networks and ports: which policy they have, and what a scheduler must find for a port. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, dictionary, type Draft, type ExtensionPart, optional, uuid, type Write } from '#model/define.ts'
import { refusePort } from './rules.ts'

export const policyId = () => optional(uuid({ set: 'always', filter: true, policy: true }))
/** Held, so that the policy's rules do not change while they are looked at. */
export const references = { qos_policy_id: { resource: 'qos_policy', lock: 'share' } } as const

/** Of a port; its policy holds where the port has none of its own. */
const network = { table: 'networks', as: 'n', on: 'n.id = t.network_id' }

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
    const rules = qos_policy_id ? await rulesOf(context, qos_policy_id) : []
    // What carries a new network, and which ports get another policy, is known once the network stands.
    if (rules.length > 0) context.afterWrite(() => refuseNetwork(context, String(after['id']), rules))
    return { qos_policy_id }
  },
}

export const portQos: ExtensionPart = {
  attributes: {
    qos_policy_id: policyId(),
    qos_network_policy_id: optional(uuid({ sql: 'n.qos_policy_id', beside: network })),
    resource_request: optional(
      dictionary({
        policy: true,
        // Hardly any port has a policy: nothing is called for the others.
        sql: `(case when coalesce(t.qos_policy_id, n.qos_policy_id) is not null then
          port_resource_request(t.id, t.network_id, coalesce(t.qos_policy_id, n.qos_policy_id), t.binding_vnic_type) end)`,
        beside: network,
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

type Rule = Readonly<Draft>

async function rulesOf(context: Context, policyId: unknown): Promise<readonly Rule[]> {
  const policy = await context.load('qos_policy', String(policyId))
  return (policy?.['rules'] ?? []) as readonly Rule[]
}

async function refuseNetwork(context: Context, network_id: string, rules: readonly Rule[]): Promise<void> {
  const network = (await context.load('network', network_id)) as Readonly<Draft>
  const rule_type = 'minimum_bandwidth'
  if (!onPhysicalNetwork(network) && rules.some((rule) => rule['type'] === rule_type))
    throw new ApiError('QosRuleNotSupportedByNetwork', { rule_type, network_id }, { reason: 'no_physical_network' })
  const [limits] = await context.find('qos_policy_limit', { id: String(network['qos_policy_id']) })
  refusePort(rules[0]?.['type'], limits?.['unfit_port_id'], 'no_driver')
}

const onPhysicalNetwork = (network: Readonly<Draft>): boolean => Boolean(network['provider:physical_network'])

/** Interfaces on which Open vSwitch enforces rules: as they are plugged, or as they will be, on one host or on all. */
const PLUGGED = ['ovs', 'vhostuser']
const UNPLUGGED = ['unbound', 'binding_failed', 'distributed']
const PLUGGABLE = ['normal', 'direct']

async function refuseUnsupported(context: Context, port: Readonly<Draft>): Promise<void> {
  const vif = String(port['binding:vif_type'])
  const fits = UNPLUGGED.includes(vif) ? PLUGGABLE.includes(String(port['binding:vnic_type'])) : PLUGGED.includes(vif)
  // What the network's own policy asks of the network was looked at when it got the policy.
  if (fits && !port['qos_policy_id']) return
  const network = await context.load('network', String(port['network_id']))
  const policyId = port['qos_policy_id'] ?? network?.['qos_policy_id']
  if (!network || !policyId) return
  const rules = await rulesOf(context, policyId)
  if (!fits && rules[0]) refusePort(rules[0]['type'], port['id'], 'no_driver')
  const guaranteed = rules.find((rule) => rule['type'] === 'minimum_bandwidth')
  if (guaranteed && !onPhysicalNetwork(network)) refusePort(guaranteed['type'], port['id'], 'no_physical_network')
}
