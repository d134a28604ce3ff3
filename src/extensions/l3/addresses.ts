/** Addresses of routers with their subnets, as rows; and what may not be beside what on one router, pure. */
import { ApiError } from '#kernel/errors.ts'
import { contains, parseIp, parsePrefix, type Prefix, prefixesOverlap } from '#kernel/ip.ts'
import {
  address,
  cidr,
  type Context,
  defineResource,
  optional,
  type Resource,
  type Row,
  text,
  uuid,
} from '#model/define.ts'

const attributes = {
  id: uuid(),
  router_id: uuid(),
  port_id: uuid(),
  network_id: uuid(),
  device_owner: text(),
  /** Null: a gateway without an address. */
  subnet_id: optional(uuid()),
  ip_address: optional(address()),
  cidr: optional(cidr()),
  gateway_ip: optional(address()),
} as const
export type RouterAddress = Row<typeof attributes>

/** A view: every address of every router's ports. */
export const routerAddress = defineResource({
  name: 'router_address',
  plural: 'router_addresses',
  table: 'router_addresses',
  docs: 'An address of a router, with the subnet it is in.',
  notFound: { type: 'RouterNotFound', param: 'router_id' },
  operations: [],
  attributes,
}) as unknown as Resource

export const addressesOf = async (context: Context, routerId: string): Promise<readonly RouterAddress[]> =>
  (await context.find('router_address', { router_id: routerId })) as unknown as RouterAddress[]

export interface Block {
  readonly id: string
  readonly cidr: string
}

export const badRouter = (msg: string): ApiError => new ApiError('BadRequest', { resource: 'router', msg })

/** The subnets a router is on: those of its interfaces, and all of its gateway's network. */
export function refuseOverlap(wanted: readonly Block[], present: readonly Block[]): void {
  for (const one of wanted) {
    if (present.some(({ id }) => id === one.id)) throw badRouter(`Router already has a port on subnet ${one.id}`)
    const block = parsePrefix(one.cidr) as Prefix
    const other = present.find((taken) => prefixesOverlap(block, parsePrefix(taken.cidr) as Prefix))
    if (!other) continue
    throw badRouter(`Cidr ${one.cidr} of subnet ${one.id} overlaps with cidr ${other.cidr} of subnet ${other.id}`)
  }
}

/** The subnets these addresses are in, each once. */
export const blocksOf = (addresses: readonly RouterAddress[]): readonly Block[] => [
  ...new Map(
    addresses.flatMap(({ subnet_id: id, cidr }) => (id && cidr ? [[id, { id, cidr }] as const] : [])),
  ).values(),
]

export const inBlock = (ip: string | null, block: string | null): boolean => {
  const [address, prefix] = [parseIp(ip ?? ''), parsePrefix(block ?? '')]
  return address !== null && prefix !== null && contains(prefix, address)
}

export const versionOf = (ip: string | null | undefined): 4 | 6 | undefined => parseIp(ip ?? '')?.version
