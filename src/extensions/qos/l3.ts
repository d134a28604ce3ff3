/** What QoS adds to floating IPs and to the gateways of routers: which policy they have. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, type ExtensionPart, optional, uuid } from '#model/define.ts'
import { policyId, references } from './users.ts'

export const floatingIpQos: ExtensionPart = {
  attributes: {
    qos_policy_id: policyId(),
    /** Of the network its address is taken from. */
    qos_network_policy_id: optional(
      uuid({ sql: '(select n.qos_policy_id from networks n where n.id = t.floating_network_id)' }),
    ),
  },
  references,
}

interface Gateway {
  readonly qos_policy_id?: string | null
}

/** The policy is said and shown within the gateway's information; it goes with the gateway. */
export const routerQos: ExtensionPart = {
  attributes: { gateway_qos_policy_id: optional(uuid({ visible: false, column: 'qos_policy_id' })) },
  async inTx(context, { after, given }) {
    if (!after) return undefined
    const gateway = after['external_gateway_info'] as Gateway | null | undefined
    if (!gateway) return { gateway_qos_policy_id: null }
    const { qos_policy_id } = gateway
    if (!given.has('external_gateway_info') || qos_policy_id === undefined) return undefined
    if (qos_policy_id !== null) await requirePolicy(context, qos_policy_id)
    return { gateway_qos_policy_id: qos_policy_id }
  },
}

async function requirePolicy(context: Context, policy_id: string): Promise<void> {
  const [policy] = await context.visible('qos_policy', [policy_id])
  if (!policy) throw new ApiError('QosPolicyNotFound', { policy_id })
}
