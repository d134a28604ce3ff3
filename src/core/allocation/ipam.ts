/** Addresses of ports: which to take, from which subnet, and giving them back. */
import { ApiError } from '#kernel/errors.ts'
import { eui64, formatIp, type Ip, parseIp } from '#kernel/ip.ts'
import type { NumberRange } from '#kernel/ranges.ts'
import type { AddressOwner, Context, FixedIp, Where } from '#model/context.ts'
import type { Draft } from '#model/define.ts'
import {
  addRanges,
  anyLeft,
  dropPool,
  giveBack,
  holdPools,
  lockingPool,
  lockPool,
  setRanges,
  subtract,
  takeNumber,
  takeNumbers,
} from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'
import { changeOf, choices, factsOf, type Ground, type SubnetFacts, type Wish, wishesOf } from './ipam-requests.ts'

interface Taken extends FixedIp {
  readonly fromPool: boolean
}
interface Held extends Taken {
  readonly port_id: string
}

type Ipam = Context['ipam']
type Find = (resource: 'subnet' | 'segment_host', where: Where) => Promise<readonly Readonly<Draft>[]>

const poolOf = (subnetId: string): string => `subnet:${subnetId}`

/** What the port's write takes along: nothing of it is waited for before. */
export interface PendingIpam extends Ipam {
  /** Sends the holds of what was drawn; resolves when they and what was given back stand. */
  settle(): Promise<void>
  /** The same of all the operation does: what is left of new pools is written, what was drawn ahead given back. */
  finish(): Promise<void>
}

const HOLD = `insert into ip_allocations (subnet_id, ip_address, port_id, from_pool)
  select s, i, o, p from unnest($1::uuid[], $2::inet[], $3::uuid[], $4::boolean[]) as x(s, i, o, p)`

const RELEASE = `with gone as (
    delete from ip_allocations a using unnest($2::uuid[], $3::inet[], $4::numeric[]) as x(s, i, n)
    where a.port_id = $1 and a.subnet_id = x.s and a.ip_address = x.i and ${holdPools('$5::text[]')}
    returning x.s, x.n, a.from_pool)
  insert into free_ranges (pool, first, last) select 'subnet:' || s, n, n from gone where from_pool`

export function createIpam(tx: Transaction, find: Find): PendingIpam {
  const draws = createDraws(tx)
  const drawn: Held[] = []
  const sent: Promise<unknown>[] = []
  const send = (statement: Promise<unknown>): void => {
    statement.catch(() => undefined)
    sent.push(statement)
  }

  const take = async (owner: AddressOwner, wishes: readonly Wish[]): Promise<FixedIp[]> => {
    const fulfilled = new Map<Wish, Held>()
    // Addresses named first: one that somebody names must not be drawn as any.
    for (const wish of [...wishes].sort((a, b) => Number(a.kind === 'any') - Number(b.kind === 'any')))
      fulfilled.set(wish, { ...(await fulfil(draws, owner, wish)), port_id: owner.port_id })
    const taken = wishes.map((wish) => fulfilled.get(wish) as Held)
    drawn.push(...taken.filter((one) => one.fromPool))
    await holdOutside(
      tx,
      taken.filter((one) => !one.fromPool),
    )
    return taken.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address }))
  }

  const release = (portId: string, held: readonly FixedIp[]): void => {
    if (held.length > 0) send(tx.query(RELEASE, [portId, ...releasedColumns(held)]))
  }

  const settle = async (): Promise<void> => {
    if (drawn.length > 0) send(tx.query(HOLD, columnsOf(drawn.splice(0))))
    await Promise.all(sent.splice(0))
  }

  return {
    expect: draws.expect,
    anyLeft: draws.anyLeft,
    allocate: async (owner, requests) => {
      const ground = await readGround(find, owner)
      const grounds = requests ? [ground] : choices(owner, ground)
      // What is drawn where it may be undone is drawn for one port only.
      if (grounds.length > 1) await draws.giveBack()
      return firstOf(tx, grounds, (one) => take(owner, wishesOf(owner, one, requests)))
    },
    release: async (portId, held) => release(portId, held),
    change: async (owner, held, requests) => {
      const { keep, leave, wishes } = planChange(owner, await readGround(find, owner), held, requests)
      release(owner.port_id, leave)
      return [...keep, ...(await take(owner, wishes))]
    },
    setPools: async (subnetId, pools) => {
      send(draws.write(subnetId))
      await settle()
      await setPools(tx, subnetId, pools)
    },
    closePools: (where) => send(closePools(tx, where)),
    dropPools: (subnetId) => {
      send(draws.write(subnetId))
      send(dropPool(tx, poolOf(subnetId)))
    },
    newPools: (subnetId, pools) => draws.make(subnetId, rangesOf(pools)),
    settle,
    finish: () => {
      send(draws.giveBack())
      return settle()
    },
  }
}

function planChange(
  owner: AddressOwner,
  ground: Ground,
  held: readonly FixedIp[],
  requests: Parameters<Ipam['change']>[2],
) {
  const automatic = ground.subnets.filter((one) => one.automatic).map((one) => one.id)
  const { keep, leave, fresh } = changeOf(owner, held, requests, new Set(automatic))
  const handled = new Set([...keep, ...leave].map((one) => one.subnet_id))
  const open = automatic.some((id) => !handled.has(id))
  return { keep, leave, wishes: fresh.length > 0 || open ? wishesOf(owner, ground, fresh, keep, handled) : [] }
}

const numberOf = (address: string): string => String(parseIp(address)?.value)

function releasedColumns(held: readonly FixedIp[]): readonly unknown[] {
  const subnetIds = held.map((one) => one.subnet_id)
  const addresses = held.map((one) => one.ip_address)
  return [subnetIds, addresses, addresses.map(numberOf), subnetIds.map(poolOf)]
}

const columnsOf = (held: readonly Held[]): readonly unknown[] => [
  held.map((one) => one.subnet_id),
  held.map((one) => one.ip_address),
  held.map((one) => one.port_id),
  held.map((one) => one.fromPool),
]

/** Numbers of pools, drawn for several ports at once where several are expected. */
interface Draws {
  readonly tx: Transaction
  /** So many ports of the network will ask for any address. */
  expect(networkId: string, ports: number): void
  any(networkId: string, subnetId: string): Promise<bigint | undefined>
  /** False: not free in the pool. */
  exactly(subnetId: string, number: bigint): Promise<boolean>
  anyLeft(subnetId: string): Promise<boolean>
  /** A pool that this operation makes: nobody else knows it, so numbers of it are drawn here until it is written. */
  make(subnetId: string, ranges: readonly NumberRange[]): void
  /** What is left of a pool that was made here, from now on drawn from like any other. */
  write(subnetId: string): Promise<void>
  /** Writes what was made, and gives back what was drawn ahead. */
  giveBack(): Promise<void>
}

/** A pool in more parts than this is better off in its table. */
const MANY_PARTS = 64

function createDraws(tx: Transaction): Draws {
  /** By network: ports that still ask. By subnet: numbers drawn for them, and ranges not written yet. */
  const expected = new Map<string, number>()
  const ahead = new Map<string, bigint[]>()
  const made = new Map<string, readonly NumberRange[]>()
  const takeMade = (subnetId: string, number: bigint): void =>
    void made.set(subnetId, subtract(made.get(subnetId) ?? [], [number]))
  const write = async (subnetId: string): Promise<void> => {
    const ranges = made.get(subnetId) ?? []
    made.delete(subnetId)
    await addRanges(tx, poolOf(subnetId), ranges)
  }
  return {
    tx,
    expect: (networkId, ports) => void expected.set(networkId, ports),
    any: async (networkId, subnetId) => {
      const first = made.get(subnetId)?.[0]?.first
      if (first !== undefined) takeMade(subnetId, first)
      if (made.has(subnetId)) return first
      const known = ahead.get(subnetId) ?? []
      // Ports that name the subnet are not expected, and draw as well.
      const count = Math.max(1, expected.get(networkId) ?? 1)
      const numbers = known.length > 0 ? known : await takeNumbers(tx, poolOf(subnetId), count)
      ahead.set(subnetId, numbers)
      return numbers.shift()
    },
    exactly: async (subnetId, number) => {
      const ranges = made.get(subnetId)
      if (ranges && ranges.length > MANY_PARTS) await write(subnetId)
      else if (ranges) {
        if (!ranges.some(({ first, last }) => first <= number && number <= last)) return false
        takeMade(subnetId, number)
        return true
      }
      const numbers = ahead.get(subnetId) ?? []
      const at = numbers.indexOf(number)
      return at < 0 ? takeNumber(tx, poolOf(subnetId), number) : numbers.splice(at, 1).length > 0
    },
    anyLeft: async (subnetId) => {
      const ranges = made.get(subnetId)
      return ranges ? ranges.length > 0 : anyLeft(tx, poolOf(subnetId))
    },
    make: (subnetId, ranges) => void made.set(subnetId, ranges),
    write,
    giveBack: async () => {
      expected.clear()
      const back = [...ahead].map(([subnetId, numbers]) => giveBack(tx, poolOf(subnetId), numbers.splice(0)))
      await Promise.all([...[...made.keys()].map(write), ...back])
    },
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

function fulfil(draws: Draws, owner: AddressOwner, wish: Wish): Promise<Taken> {
  if (wish.kind === 'any') return takeFromAny(draws, owner, wish.subnets)
  const { id, block } = wish.subnet
  const ip = wish.kind === 'automatic' ? eui64(block, owner.mac_address) : (parseIp(wish.ip_address) as Ip)
  return takeThis(draws, id, ip)
}

async function takeFromAny(draws: Draws, owner: AddressOwner, candidates: readonly SubnetFacts[]): Promise<Taken> {
  const { network_id } = owner
  for (const { id, block } of candidates) {
    const number = await draws.any(network_id, id)
    if (number !== undefined)
      return { subnet_id: id, ip_address: formatIp({ version: block.version, value: number }), fromPool: true }
  }
  // The network may have gone, and its pools with it, while we waited for them.
  const there = await draws.tx.query('select 1 from networks where id = $1', [network_id])
  if (there.length === 0) throw new ApiError('NetworkNotFound', { net_id: network_id })
  throw new ApiError(
    'IpAddressGenerationFailure',
    { net_id: network_id },
    { reason: 'pools_exhausted', subnets: candidates.map((one) => one.id) },
  )
}

/** An address that nobody draws is taken from the pool like any other: free or held, never both. */
const takeThis = async (draws: Draws, subnet_id: string, ip: Ip): Promise<Taken> => ({
  subnet_id,
  ip_address: formatIp(ip),
  fromPool: await draws.exactly(subnet_id, ip.value),
})

/**
 * Addresses that were not free in a pool are held at once. One asked for by name may have been given back while the
 * insert waited for its former holder to go: it is then held and free at once, so it is taken now. Nobody else can have
 * drawn it: their insert would wait for ours.
 */
async function holdOutside(tx: Transaction, held: readonly Held[]): Promise<void> {
  if (held.length === 0) return
  await tx.query(HOLD, columnsOf(held))
  for (const { subnet_id, ip_address } of held) {
    if (await takeNumber(tx, poolOf(subnet_id), BigInt(numberOf(ip_address))))
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

/** In one order, whoever closes several. */
const closePools = (tx: Transaction, where: Parameters<Ipam['closePools']>[0]): Promise<unknown> =>
  tx.query(
    `select ${lockingPool('pool')} from (
      select 'subnet:' || id as pool from subnets where ${'id' in where ? 'id' : 'network_id'} = $1 order by id offset 0) s`,
    Object.values(where),
  )

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
