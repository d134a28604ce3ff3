/**
 * What stands on a port: floating IPs, forwardings, proxies and local IPs that lead to it, routers' ways that pass it,
 * logs of its packets. One view for all kinds, so that a port that goes or changes is looked up once, whoever asks first.
 */
import {
  address,
  type Context,
  defineResource,
  type Draft,
  type ExtensionPart,
  oneOf,
  optional,
  type Resource,
  type Row,
  uuid,
  type Write,
} from '#model/define.ts'

const KINDS = [
  'port_forwarding',
  'forwarding_interface',
  'ndp_proxy',
  'proxy_interface',
  'proxy_gateway',
  'local_ip',
  'local_ip_association',
  'floating_ip',
  'log',
] as const
export type Use = (typeof KINDS)[number]

const attributes = {
  id: uuid(),
  port_id: uuid(),
  kind: oneOf(KINDS),
  /** Of the forwarding, proxy, … that needs the port. */
  object_id: uuid(),
  /** Null: any address in the subnet will do. */
  ip_address: optional(address()),
  /** Null: the port as such. */
  subnet_id: optional(uuid()),
} as const
export type PortUse = Row<typeof attributes>

export const portUse = defineResource({
  name: 'port_use',
  plural: 'port_uses',
  table: 'port_uses',
  docs: 'What stands on a port.',
  notFound: { type: 'PortNotFound', param: 'port_id' },
  operations: [],
  attributes,
}) as unknown as Resource

interface FixedIp {
  readonly subnet_id: string
  readonly ip_address: string
}

/** What stands on ports that go, asked for with their locks. */
export const foreseeUses: NonNullable<ExtensionPart['foresee']> = (context, op, ports) => {
  if (op === 'delete') for (const { id } of ports) context.ahead(context.find('port_use', { port_id: String(id) }))
}

/** What a write of a port takes the ground from: all that stands on a port that goes, or on addresses it gives up. */
export async function lostUses(context: Context, { op, before, after, given }: Write): Promise<readonly PortUse[]> {
  if (op === 'create' || (op === 'update' && !given.has('fixed_ips'))) return []
  const port_id = String((before as Readonly<Draft>)['id'])
  const uses = (await context.find('port_use', { port_id })) as unknown as readonly PortUse[]
  return after ? uses.filter((use) => !stands(use, (after['fixed_ips'] ?? []) as readonly FixedIp[])) : uses
}

function stands({ ip_address, subnet_id }: PortUse, fixed: readonly FixedIp[]): boolean {
  if (ip_address !== null) return fixed.some((one) => one.ip_address === ip_address)
  return subnet_id === null || fixed.some((one) => one.subnet_id === subnet_id)
}
