/** Addresses of ports: which to take, from which subnet, and giving them back. */
import { ApiError } from '#kernel/errors.ts'
import { eui64, formatIp, type Ip, parseIp } from '#kernel/ip.ts'
import type { AddressOwner, Context, FixedIp, Where } from '#model/context.ts'
import type { Draft } from '#model/define.ts'
import { giveBack, holdPools, lockPool, type NumberRange, setRanges, takeNumber, takeNumbers } from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'
import { changeOf, choices, factsOf, type Ground, type SubnetFacts, type Wish, wishesOf } from './ipam-requests.ts'

interface Taken extends FixedIp {
  readonly fromPool: boolean
}

type Ipam = Context['ipam']
type Find = (resource: 'subnet' | 'segment_host', where: Where) => Promise<readonly Readonly<Draft>[]>

const poolOf = (subnetId: string): string => `subnet:${subnetId}`

export function createIpam(tx: Transaction, find: Find): Ipam {
  const record = async (portId: string, taken: readonly Taken[]): Promise<void> => {
    if (taken.length === 0) return
    await tx.query(
      `insert into ip_allocations (subnet_id, ip_address, port_id, from_pool)
        select s, i, $1, p from unnest($2::uuid[], $3::inet[], $4::boolean[]) as x(s, i, p)`,
      [portId, taken.map((one) => one.subnet_id), taken.map((one) => one.ip_address), taken.map((one) => one.fromPool)],
    )
  }

  const take = async (owner: AddressOwner, wishes: readonly Wish[]): Promise<FixedIp[]> => {
    const fulfilled = new Map<Wish, Taken>()
    // Addresses named first: one that somebody names must not be drawn as any.
    for (const wish of [...wishes].sort((a, b) => Number(a.kind === 'any') - Number(b.kind === 'any')))
      fulfilled.set(wish, await fulfil(tx, owner, wish))
    const taken = wishes.map((wish) => fulfilled.get(wish) as Taken)
    await record(owner.port_id, taken)
    await claimReturned(tx, taken)
    return taken.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address }))
  }

  const allocate: Ipam['allocate'] = async (owner, requests) => {
    const ground = await readGround(find, owner)
    const grounds = requests ? [ground] : choices(owner, ground)
    return firstOf(tx, grounds, (one) => take(owner, wishesOf(owner, one, requests)))
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
    const ground = await readGround(find, owner)
    const { subnets } = ground
    const automatic = new Set(subnets.filter((one) => one.automatic).map((one) => one.id))
    const { keep, leave, fresh } = changeOf(owner, held, requests, automatic)
    await release(owner.port_id, leave)
    const handled = new Set([...keep, ...leave].map((one) => one.subnet_id))
    const open = subnets.some((one) => one.automatic && !handled.has(one.id))
    const wishes = fresh.length > 0 || open ? wishesOf(owner, ground, fresh, keep, handled) : []
    return [...keep, ...(await take(owner, wishes))]
  }

  return {
    allocate,
    release,
    change,
    setPools: (subnetId, pools) => setPools(tx, subnetId, pools),
    newPools: (subnetId, pools) => setRanges(tx, poolOf(subnetId), rangesOf(pools), []),
  }
}

async function readGround(find: Find, { network_id, host }: AddressOwner): Promise<Ground> {
  const subnets = (await find('subnet', { network_id })).map(factsOf)
  // Only networks with subnets on segments are asked which of them a host reaches.
  if (!host || subnets.every((one) => one.segmentId === null)) return { subnets, reach: null }
  const reached = await find('segment_host', { network_id, host })
  const ordered = reached.toSorted((a, b) => Number(a['segment_index']) - Number(b['segment_index']))
  return { subnets, reach: ordered.map((one) => String(one['segment_id'])) }
}

/** What is taken on the first ground that has enough; what was taken of one that ran out is given back. */
async function firstOf<T>(
  tx: Transaction,
  grounds: readonly Ground[],
  takeOn: (one: Ground) => Promise<T>,
): Promise<T> {
  for (const ground of grounds.slice(0, -1)) {
    await tx.query('savepoint choice')
    try {
      return await takeOn(ground)
    } catch (error) {
      if (!(error instanceof ApiError && error.type === 'IpAddressGenerationFailure')) throw error
      await tx.query('rollback to savepoint choice')
    }
  }
  return takeOn(grounds.at(-1) as Ground)
}

function fulfil(tx: Transaction, owner: AddressOwner, wish: Wish): Promise<Taken> {
  if (wish.kind === 'any') return takeFromAny(tx, owner, wish.subnets)
  const { id, block } = wish.subnet
  const ip = wish.kind === 'automatic' ? eui64(block, owner.mac_address) : (parseIp(wish.ip_address) as Ip)
  return takeThis(tx, id, ip)
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

/** An address that nobody draws is taken from the pool like any other: free or held, never both. */
async function takeThis(tx: Transaction, subnet_id: string, ip: Ip): Promise<Taken> {
  return { subnet_id, ip_address: formatIp(ip), fromPool: await takeNumber(tx, poolOf(subnet_id), ip.value) }
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

interface Pool {
  readonly start: string
  readonly end: string
}

const rangesOf = (pools: readonly Pool[]): NumberRange[] =>
  pools.map(({ start, end }) => ({ first: parseIp(start)?.value as bigint, last: parseIp(end)?.value as bigint }))

/** The free ranges become `pools` minus what is held, while nobody takes or gives back. */
async function setPools(tx: Transaction, subnetId: string, pools: readonly Pool[]): Promise<void> {
  const pool = poolOf(subnetId)
  const ranges = rangesOf(pools)
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
