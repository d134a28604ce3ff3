/** What port forwardings add to floating IPs, and what they ask of the ports they lead to and pass. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, dictionary, type Draft, type ExtensionPart, list, type Write } from '#model/define.ts'
import { lostUses } from '../port-uses.ts'
import { portForwarding } from './forwarding.ts'

const shown = `(select coalesce(json_agg(json_strip_nulls(json_build_object('id', f.id, 'protocol', f.protocol,
    'internal_port_id', f.internal_port_id, 'internal_ip_address', host(f.internal_ip_address),
    'internal_port', case when f.internal_port_start = f.internal_port_end then f.internal_port_start end,
    'external_port', case when f.external_port_start = f.external_port_end then f.external_port_start end))
    order by f.protocol, f.external_port_start), '[]')
  from port_forwardings f where f.floatingip_id = t.id)`

export const forwardingFloatingIps: ExtensionPart = {
  attributes: { port_forwardings: list(dictionary(), { sql: shown }) },
  async inTx(context, { op, before, after, given, internal }) {
    const forwarding = ((before?.['port_forwardings'] ?? []) as readonly unknown[]).length > 0
    const asked = given.has('port_id') ? after?.['port_id'] : undefined
    if (forwarding && (op === 'delete' || asked)) throw new ApiError('FipInUseByPortForwarding', { id: before?.['id'] })
    if (internal || !after) return undefined
    if (asked) await refuseForwarded(context, String(asked))
    // Nothing that leads nowhere as a whole takes the way from the forwardings.
    return forwarding ? { router_id: before?.['router_id'], gateway_port_id: before?.['gateway_port_id'] } : undefined
  },
}

/** On a distributed router, the port's host answers for the floating IP, and the router's for the forwardings. */
async function refuseForwarded(context: Context, port_id: string): Promise<void> {
  const [forwarding] = await context.find(portForwarding.name, { internal_port_id: port_id })
  if (!forwarding) return
  const floating = await context.load('floatingip', String(forwarding['floatingip_id']))
  const router = await context.load('router', String(floating?.['router_id']))
  if (router?.['distributed'] === true) throw new ApiError('PortHasPortForwarding', { port_id })
}

/** Forwardings go with the address they lead to, and hold the router's interface they pass. */
export const forwardedPorts: ExtensionPart = {
  async inTx(context, write: Write) {
    for (const { kind, object_id, subnet_id } of await lostUses(context, write)) {
      if (kind === 'port_forwarding') await context.remove(portForwarding, object_id)
      if (kind !== 'forwarding_interface') continue
      const { router_id } = write.before as Readonly<Draft>
      throw new ApiError('RouterInterfaceInUseByFloatingIP', { router_id, subnet_id })
    }
    return undefined
  },
}
