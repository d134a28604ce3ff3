/** A block of addresses on a network, with what its hosts are told of it. */
import { ApiError } from '#kernel/errors.ts'
import { formatPrefix, parsePrefix, type Prefix, prefixesOverlap } from '#kernel/ip.ts'
import {
  address,
  audienceList,
  cidr,
  type Context,
  defineResource,
  type Draft,
  flag,
  list,
  oneOf,
  optional,
  orNull,
  parseAddress,
  parseText,
  parseUuid,
  Reject,
  type Row,
  structure,
  text,
  uuid,
  whole,
  type Write,
} from '#model/define.ts'
import { dhcpPortOf, ensureDhcpPort } from './dhcp-port.ts'
import { identity, IPV6_MTU, standard } from './standard.ts'
import { checkBlock, checkSubnet, defaultGateway, defaultPools, isAutomatic } from './subnet-addresses.ts'
import { notInPool, originOf } from './subnet-origin.ts'
import { addressPorts, takeAddresses } from './subnet-ports.ts'

const IPV6_MODES = ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac'] as const
const pool = structure<{ start: string; end: string }>({
  start: { schema: { type: 'string' }, parse: parseAddress, required: true },
  end: { schema: { type: 'string' }, parse: parseAddress, required: true },
})
const parseDestination = (value: unknown): string => {
  const prefix = parsePrefix(parseText(64)(value))
  if (!prefix) throw new Reject(`'${String(value)}' is not a valid CIDR`)
  return formatPrefix(prefix)
}
const hostRoute = structure<{ destination: string; nexthop: string }>({
  destination: { schema: { type: 'string' }, parse: parseDestination, required: true },
  nexthop: { schema: { type: 'string' }, parse: parseAddress, required: true },
})

const parsePoolId = (value: unknown): string => {
  if (value === 'prefix_delegation') throw new Reject('prefix delegation is not offered; name a subnet pool')
  return parseUuid(value)
}

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  network_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  ip_version: whole({ set: 'create', required: true, of: [4, 6], filter: true, sort: true }),
  /** Left out or null: cut from a pool. */
  cidr: optional(cidr({ set: 'create', filter: true, sort: true }), {}),
  subnetpool_id: optional({ ...uuid({ set: 'create', filter: true, sort: true }), parse: parsePoolId }),
  /** How large a block to cut from the pool; else its `default_prefixlen`. */
  prefixlen: whole({ set: 'create', min: 0, visible: false, column: null }),
  use_default_subnetpool: flag({ set: 'create', default: false, visible: false, column: null }),
  gateway_ip: optional(address({ set: 'always', filter: true, sort: true }), {}),
  allocation_pools: list(pool, { set: 'always' }),
  dns_nameservers: orNull(
    [],
    list({ schema: { type: 'string' }, parse: parseAddress }, { set: 'always', default: [], unique: true }),
  ),
  host_routes: orNull([], list(hostRoute, { set: 'always', default: [], unique: true })),
  enable_dhcp: flag({ set: 'always', default: true, filter: true, sort: true }),
  ipv6_ra_mode: optional(oneOf(IPV6_MODES, { set: 'create', filter: true, sort: true })),
  ipv6_address_mode: optional(oneOf(IPV6_MODES, { set: 'create', filter: true, sort: true })),
  /** The network's; kept beside the subnet so that its history knows who could see it. */
  shared: flag({ visible: false, filter: true, audience: { list: 'shared_with', sql: 't.shared_with' } }),
  shared_with: audienceList({ column: 'shared_with' }),
  'network:shared': flag({ visible: false, audience: { list: 'shared_with', sql: 't.shared_with' } }),
  'network:project_id': text({
    visible: false,
    sql: '(select n.project_id from networks n where n.id = t.network_id)',
    equals: 't.network_id = any(array(select n.id from networks n where n.project_id = ?))',
  }),
  ...standard,
} as const
export type Subnet = Row<typeof attributes>

export const subnet = defineResource({
  name: 'subnet',
  plural: 'subnets',
  table: 'subnets',
  docs: 'A block of addresses on a network: allocation pools, gateway, and what DHCP and router advertisements say.',
  notFound: { type: 'SubnetNotFound', param: 'subnet_id' },
  quota: 'subnet',
  inUse: ({ id }) =>
    new ApiError('SubnetInUse', {
      subnet_id: id,
      reason: 'One or more ports have an IP allocation from this subnet.',
    }),
  conflicts: {
    subnets_no_overlap: ({ object }) => overlapping(String(object['cidr']), String(object['network_id'])),
    subnets_no_overlap_in_pool: () => notInPool(),
  },
  references: {
    network_id: { resource: 'network', policyAttributes: ['project_id', 'shared'], lock: 'update' },
    subnetpool_id: { resource: 'subnetpool', lock: 'update' },
  },
  bumps: ['network_id'],
  precede: (context, op, id) => {
    if (op === 'delete') context.ipam.closePools({ id })
  },
  attributes,
  foresee: (context, op, subnets) => {
    if (op !== 'create') return
    for (const networkId of new Set(subnets.map((one) => one.network_id as string))) {
      context.ahead(context.load('network', networkId, 'update'))
      context.ahead(dhcpPortOf(context, networkId))
    }
  },
  check: (write, limits) => (write.op === 'delete' ? [] : checkSubnet(write, limits)),
  inTx: async (context, write) => {
    if (write.op === 'create') return createSubnet(context, write)
    if (write.op === 'update') return updateSubnet(context, write)
    await deleteSubnet(context, write.before as Subnet)
    return undefined
  },
})

async function createSubnet(context: Context, { after }: Write<Subnet>): Promise<Partial<Draft>> {
  const asked = after as Subnet
  const origin = await originOf(context, asked)
  const wanted = { ...asked, ...origin }
  const [issue] = checkBlock(wanted, null)
  if (issue) throw issue
  const block = parsePrefix(wanted.cidr) as Prefix
  const network = (await context.load('network', wanted.network_id)) as Readonly<Draft>
  await refuseOverlap(context, wanted)
  const gateway_ip = wanted.gateway_ip === undefined ? defaultGateway(block) : wanted.gateway_ip
  const allocation_pools = wanted.allocation_pools ?? defaultPools(block, gateway_ip)
  const mtu = Number(network['mtu'])
  if (block.version === 6 && mtu < IPV6_MTU)
    throw new ApiError('NetworkMTUSubnetConflict', { mtu, subnet_id: wanted.id })
  context.ipam.newPools(wanted.id, allocation_pools)
  const others = await siblings(context, wanted.network_id)
  const dhcpPort = dhcpPortOf(context, wanted.network_id)
  context.afterWrite(
    (written) => settleIn(context, network, [...others, ...written], dhcpPort),
    `ports of ${wanted.network_id}`,
  )
  return { ...origin, gateway_ip, allocation_pools, shared_with: network['shared_with'] }
}

/** What new subnets of a network mean for its ports. `all`: with those that other networks got in the same write. */
async function settleIn(
  context: Context,
  network: Readonly<Draft>,
  all: readonly Readonly<Draft>[],
  dhcpPort: Promise<readonly Readonly<Draft>[]>,
): Promise<void> {
  const network_id = String(network['id'])
  const subnets = all.filter((one) => one['network_id'] === network_id)
  context.know('subnet', { network_id }, subnets)
  await ensureDhcpPort(context, network, await dhcpPort)
  if (subnets.some(isAutomatic)) await addressPorts(context, network_id)
}

/** The other subnets of the network of a new one. The network has been read, and says when there are none. */
export async function siblings(context: Context, network_id: string): Promise<readonly Readonly<Draft>[]> {
  const { subnets } = (await context.load('network', network_id)) as { readonly subnets: readonly string[] }
  return subnets.length === 0 ? [] : context.find('subnet', { network_id })
}

async function refuseOverlap(context: Context, wanted: Pick<Subnet, 'network_id'> & { cidr: string }): Promise<void> {
  const block = parsePrefix(wanted.cidr)
  for (const other of await siblings(context, wanted.network_id)) {
    const taken = parsePrefix(String(other['cidr']))
    if (!block || !taken || !prefixesOverlap(block, taken)) continue
    throw overlapping(wanted.cidr, wanted.network_id, { subnet_id: other['id'] })
  }
}

function overlapping(block: string, networkId: string, facts: Readonly<Draft> = {}): ApiError {
  const sentence = `Requested subnet with cidr: ${block} for network: ${networkId} overlaps with another subnet`
  return new ApiError('InvalidInput', { error_message: sentence }, { reason: 'cidr_overlap', ...facts })
}

async function updateSubnet(context: Context, { before, after, given }: Write<Subnet>): Promise<undefined> {
  const [old, wanted] = [before as Subnet, after as Subnet]
  if (given.has('allocation_pools')) await context.ipam.setPools(old.id, wanted.allocation_pools)
  if (old.enable_dhcp !== wanted.enable_dhcp) {
    const network = await lockNetwork(context, old)
    context.afterWrite(async () => ensureDhcpPort(context, network, await dhcpPortOf(context, old.network_id)))
  }
  return undefined
}

/** The DHCP port is shared by the network's subnets: one of them at a time changes it. */
const lockNetwork = async (context: Context, { network_id }: Subnet): Promise<Readonly<Draft>> =>
  (await context.load('network', network_id, 'update')) ?? {}

async function deleteSubnet(context: Context, before: Subnet): Promise<void> {
  const { id, subnetpool_id, cidr } = before
  await lockNetwork(context, before)
  await takeAddresses(context, before)
  context.ipam.dropPools(id)
  if (!subnetpool_id || !cidr) return
  await context.load('subnetpool', subnetpool_id, 'update')
  await context.prefixes.giveBack(subnetpool_id, cidr)
}
