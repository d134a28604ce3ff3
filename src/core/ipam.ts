/** Addresses of ports: which to take, from which subnet, and giving them back. */
import { ApiError } from '#kernel/errors.ts'
import { contains, eui64, formatIp, parseIp, parsePrefix, type Prefix, rangeOf } from '#kernel/ip.ts'
import type { AddressOwner, AddressRequest, Context, FixedIp } from '#model/context.ts'
import type { Draft } from '#model/define.ts'
import { giveBack, holdPools, lockPool, setRanges, takeNumber, takeNumbers } from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'

interface SubnetFacts {
  readonly id: string
  readonly block: Prefix
  readonly automatic: boolean
}

interface Taken extends FixedIp {
  readonly fromPool: boolean
}

type Ipam = Context['ipam']
type FindSubnets = (networkId: string) => Promise<readonly Readonly<Draft>[]>

const poolOf = (subnetId: string): string => `subnet:${subnetId}`
const AUTOMATIC_MODES: readonly unknown[] = ['slaac', 'dhcpv6-stateless']

export function createIpam(tx: Transaction, findSubnets: FindSubnets): Ipam {
  const factsOf = async (networkId: string): Promise<SubnetFacts[]> =>
    (await findSubnets(networkId)).map((one) => ({
      id: String(one['id']),
      block: parsePrefix(String(one['cidr'])) as Prefix,
      automatic: AUTOMATIC_MODES.includes(one['ipv6_address_mode']),
    }))

  const record = async (portId: string, taken: readonly Taken[]): Promise<void> => {
    if (taken.length === 0) return
    await tx.query(
      `insert into ip_allocations (subnet_id, ip_address, port_id, from_pool)
        select s, i, $1, p from unnest($2::uuid[], $3::inet[], $4::boolean[]) as x(s, i, p)`,
      [portId, taken.map((one) => one.subnet_id), taken.map((one) => one.ip_address), taken.map((one) => one.fromPool)],
    )
  }

  const allocate: Ipam['allocate'] = async (owner, requests) => {
    if (requests?.length === 0) return []
    const subnets = await factsOf(owner.network_id)
    const taken = requests ? await takeRequested(tx, owner, subnets, requests) : await takeAny(tx, owner, subnets)
    await record(owner.port_id, taken)
    await claimReturned(tx, taken)
    return taken.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address }))
  }

  const release: Ipam['release'] = async (portId, held) => {
    if (held.length === 0) return
    const subnetIds = held.map((one) => one.subnet_id)
    const gone = await tx.query<{ subnet_id: string; ip_address: string; from_pool: boolean }>(
      `delete from ip_allocations a using unnest($2::uuid[], $3::inet[]) as x(s, i)
        where a.port_id = $1 and a.subnet_id = x.s and a.ip_address = x.i and ${holdPools('$4::text[]')}
        returning a.subnet_id, host(a.ip_address) as ip_address, a.from_pool`,
      [portId, subnetIds, held.map((one) => one.ip_address), subnetIds.map(poolOf)],
    )
    for (const subnetId of new Set(gone.map((one) => one.subnet_id))) {
      const mine = gone.filter((one) => one.subnet_id === subnetId && one.from_pool)
      await giveBack(
        tx,
        poolOf(subnetId),
        mine.map((one) => parseIp(one.ip_address)?.value as bigint),
      )
    }
  }

  const change: Ipam['change'] = async (owner, held, requests) => {
    const keep = held.filter((one) => requests.some((request) => namesAgain(request, one)))
    const fresh = requests.filter((request) => !keep.some((one) => namesAgain(request, one)))
    await release(
      owner.port_id,
      held.filter((one) => !keep.includes(one)),
    )
    return [...keep, ...(fresh.length > 0 ? await allocate(owner, fresh) : [])]
  }

  return { allocate, release, change, setPools: (subnetId, pools) => setPools(tx, subnetId, pools) }
}

const namesAgain = (request: AddressRequest, held: FixedIp): boolean =>
  request.ip_address === held.ip_address && (request.subnet_id === undefined || request.subnet_id === held.subnet_id)

/** Without wishes: one IPv4 address, one IPv6 address, and one in every subnet with automatic addresses. */
async function takeAny(tx: Transaction, owner: AddressOwner, subnets: readonly SubnetFacts[]): Promise<Taken[]> {
  const taken: Taken[] = []
  for (const one of subnets.filter((subnet) => subnet.automatic)) taken.push(await takeAutomatic(tx, owner, one))
  for (const version of [4, 6] as const) {
    const candidates = subnets.filter((one) => !one.automatic && one.block.version === version)
    if (candidates.length > 0) taken.push(await takeFromAny(tx, owner, candidates))
  }
  return taken
}

async function takeFromAny(tx: Transaction, owner: AddressOwner, candidates: readonly SubnetFacts[]): Promise<Taken> {
  for (const { id, block } of candidates) {
    const [number] = await takeNumbers(tx, poolOf(id), 1)
    if (number !== undefined)
      return { subnet_id: id, ip_address: formatIp({ version: block.version, value: number }), fromPool: true }
  }
  // The network may have gone, and its pools with it, while we waited for them.
  const there = await tx.query('select 1 from networks where id = $1', [owner.network_id])
  if (there.length === 0) throw new ApiError('NetworkNotFound', { net_id: owner.network_id })
  throw new ApiError(
    'IpAddressGenerationFailure',
    { net_id: owner.network_id },
    { reason: 'pools_exhausted', subnets: candidates.map((one) => one.id) },
  )
}

/** An address that nobody chooses is taken from the pool like any other: free or held, never both. */
async function takeAutomatic(tx: Transaction, owner: AddressOwner, { id, block }: SubnetFacts): Promise<Taken> {
  const ip = eui64(block, owner.mac_address)
  return { subnet_id: id, ip_address: formatIp(ip), fromPool: await takeNumber(tx, poolOf(id), ip.value) }
}

async function takeRequested(
  tx: Transaction,
  owner: AddressOwner,
  subnets: readonly SubnetFacts[],
  requests: readonly AddressRequest[],
): Promise<Taken[]> {
  const taken: Taken[] = []
  for (const request of requests) {
    const subnet = chooseSubnet(owner, subnets, request)
    if (request.ip_address !== undefined) taken.push(await takeExactly(tx, owner, subnet, request.ip_address))
    else taken.push(await (subnet.automatic ? takeAutomatic(tx, owner, subnet) : takeFromAny(tx, owner, [subnet])))
  }
  return taken
}

function chooseSubnet(
  owner: AddressOwner,
  subnets: readonly SubnetFacts[],
  { subnet_id, ip_address }: AddressRequest,
): SubnetFacts {
  const ip = ip_address === undefined ? null : parseIp(ip_address)
  if (subnet_id !== undefined) {
    const subnet = subnets.find((one) => one.id === subnet_id)
    const sentence = `Failed to create port on network ${owner.network_id}, because fixed_ips included invalid subnet ${subnet_id}`
    if (!subnet) throw new ApiError('InvalidInput', { error_message: sentence }, { reason: 'subnet_not_on_network' })
    if (ip && !contains(subnet.block, ip)) throw new ApiError('InvalidIpForSubnet', { ip_address })
    return subnet
  }
  if (!ip) throw new ApiError('InvalidInput', { error_message: 'IP allocation requires subnet_id or ip_address' })
  const subnet = subnets.find((one) => contains(one.block, ip))
  if (!subnet) throw new ApiError('InvalidIpForNetwork', { ip_address })
  return subnet
}

async function takeExactly(
  tx: Transaction,
  owner: AddressOwner,
  { id, block, automatic: auto }: SubnetFacts,
  text: string,
): Promise<Taken> {
  const ip = parseIp(text)
  if (!ip) throw new ApiError('InvalidIpForSubnet', { ip_address: text })
  const own = auto && formatIp(eui64(block, owner.mac_address)) === text
  if (auto && !own && !owner.device_owner.startsWith('network:router')) {
    throw new ApiError('AllocationOnAutoAddressSubnet', { ip: text, subnet_id: id })
  }
  const { first, last } = rangeOf(block)
  const reserved = last - first >= 2n && (ip.value === first || (block.version === 4 && ip.value === last))
  if (reserved) throw new ApiError('InvalidIpForSubnet', { ip_address: text })
  return { subnet_id: id, ip_address: text, fromPool: await takeNumber(tx, poolOf(id), ip.value) }
}

/**
 * An address asked for by name may have been given back while the insert waited for its former holder to go: it is
 * then held and free at once, so it is taken now. Nobody else can have drawn it: their insert would wait for ours.
 */
async function claimReturned(tx: Transaction, taken: readonly Taken[]): Promise<void> {
  for (const { subnet_id, ip_address, fromPool } of taken) {
    if (fromPool) continue
    const number = parseIp(ip_address)?.value as bigint
    if (await takeNumber(tx, poolOf(subnet_id), number))
      await tx.query('update ip_allocations set from_pool = true where subnet_id = $1 and ip_address = $2', [
        subnet_id,
        ip_address,
      ])
  }
}

/** The free ranges become `pools` minus what is held, while nobody takes or gives back. */
async function setPools(
  tx: Transaction,
  subnetId: string,
  pools: readonly { readonly start: string; readonly end: string }[],
): Promise<void> {
  const pool = poolOf(subnetId)
  const ranges = pools.map(({ start, end }) => ({
    first: parseIp(start)?.value as bigint,
    last: parseIp(end)?.value as bigint,
  }))
  await lockPool(tx, pool)
  const held = await tx.query<{ ip_address: string }>(
    'select host(ip_address) as ip_address from ip_allocations where subnet_id = $1',
    [subnetId],
  )
  const numbers = held.map((one) => parseIp(one.ip_address)?.value as bigint)
  await setRanges(tx, pool, ranges, numbers)
  if (held.length === 0) return
  const inside = held.filter((_, index) =>
    ranges.some(({ first, last }) => first <= (numbers[index] as bigint) && (numbers[index] as bigint) <= last),
  )
  await tx.query('update ip_allocations set from_pool = (host(ip_address) = any($2)) where subnet_id = $1', [
    subnetId,
    inside.map((one) => one.ip_address),
  ])
}
