/** What routers and floating IPs ask of ports: whose a port is, what may not be done to it, and what goes with it. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { type Context, type Draft, type ExtensionPart, optional, uuid, type Write } from '#model/define.ts'
import { foreseeUses, lostUses } from '../port-uses.ts'
import { versionOf } from './addresses.ts'
import { NOTHING } from './association.ts'
import { floatingIp } from './floating-ip.ts'
import { FLOATING_IP_OWNER, GATEWAY_OWNER, isInterfaceOwner, SERVICE_OWNERS } from './owners.ts'

interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}
interface Port {
  readonly id: string
  readonly project_id: string
  readonly network_id: string
  readonly device_id: string
  readonly device_owner: string
  readonly fixed_ips: readonly FixedIp[]
  readonly router_id: string | null
}

export const routerPorts: ExtensionPart = {
  attributes: {
    /** The router whose interface or gateway the port is; only routers set it. */
    router_id: optional(uuid({ visible: false })),
  },
  references: { router_id: { resource: 'router' } },
  bumps: ['router_id'],
  foresee: foreseeUses,
  async inTx(context, write) {
    const port = write as unknown as Write<Port>
    if (port.op === 'delete') await beforeDelete(context, port)
    else if (port.op === 'update') await beforeUpdate(context, port)
    else if (!port.internal) await requireOwnRouter(context, port.after as Port)
    else if (port.after?.device_owner === FLOATING_IP_OWNER) return { status: 'N/A' }
    return undefined
  },
}

async function beforeDelete(context: Context, write: Write<Port>): Promise<void> {
  if (!write.internal) await refuseServicePort(context, write.before as Port)
  await dissociate(context, write)
}

/** Such a port goes with its router or floating IP; one that was left without may go. */
async function refuseServicePort(context: Context, port: Port): Promise<void> {
  const { id, device_owner } = port
  if (!SERVICE_OWNERS.includes(device_owner) || port.fixed_ips.length === 0) return
  const owners =
    device_owner === FLOATING_IP_OWNER
      ? await context.find('floatingip', { floating_port_id: id })
      : port.router_id === null
        ? []
        : [port.router_id]
  if (owners.length === 0) return
  throw new ApiError('ServicePortInUse', { port_id: id, reason: `has device owner ${device_owner}` })
}

async function beforeUpdate(context: Context, write: Write<Port>): Promise<void> {
  const { before, after, given, internal } = write
  const [old, wanted] = [before as Port, after as Port]
  if (!internal) {
    await requireOwnRouter(context, wanted, old)
    refuseStranger(old, wanted)
    if (given.has('fixed_ips')) refuseAddressChange(old, wanted)
  }
  if (given.has('fixed_ips')) await dissociate(context, write)
}

/** A port of a router stays that until the router lets it go. */
function refuseStranger(old: Port, wanted: Port): void {
  if (old.router_id === null) return
  if (old.device_id === wanted.device_id && old.device_owner === wanted.device_owner) return
  throw new ApiError('PortInUse', { net_id: old.network_id, port_id: old.id, device_id: old.device_id })
}

/** IPv4 neighbours know a router's interface by its address. */
function refuseAddressChange(old: Port, wanted: Port): void {
  if (old.router_id === null || old.device_owner === GATEWAY_OWNER) return
  const held = (port: Port): string =>
    port.fixed_ips
      .map((one) => one.ip_address)
      .filter((ip) => versionOf(ip) === 4)
      .sort()
      .join()
  if (held(old) !== held(wanted)) throw new ApiError('IPAddressChangeNotAllowed', { port_id: old.id })
}

/** A port may not pose as an interface of another project's router. */
async function requireOwnRouter(context: Context, wanted: Port, old?: Port): Promise<void> {
  const { device_id, device_owner } = wanted
  if (context.isAdmin || device_id === '' || !isInterfaceOwner(device_owner)) return
  if (old?.device_id === device_id && old.device_owner === device_owner) return
  const router = isUuid(device_id) ? await context.load('router', device_id) : undefined
  if (router && router['project_id'] !== wanted.project_id)
    throw new ApiError('DeviceIDNotOwnedByTenant', { device_id })
}

/** Floating IPs lead nowhere once the address they lead to is not the port's any more. */
async function dissociate(context: Context, write: Write<Port>): Promise<void> {
  const { device_owner } = (write.after ?? write.before) as Port
  if (SERVICE_OWNERS.includes(device_owner)) return
  for (const { kind, object_id } of await lostUses(context, write as unknown as Write))
    if (kind === 'floating_ip') await context.update(floatingIp, object_id, { ...(NOTHING as unknown as Draft) })
}
