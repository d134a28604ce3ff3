/** What carries a network: reserving VNIs, VLANs and physical networks, and the MTU they leave. */
import { ApiError } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import type { Context, Segment, SegmentSpec } from '#model/context.ts'
import { giveBack, lockPool, setRanges, takeNumber, takeNumbers } from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'
import type { TypeDriver } from './contracts.ts'

export interface SegmentSettings {
  readonly drivers: ReadonlyMap<string, TypeDriver>
  /** Types tried in order for networks without provider attributes. */
  readonly tenantTypes: readonly string[]
  /** MTU of the physical networks and of the underlay, in bytes. */
  readonly physicalMtu: number
}

type Segments = Context['segments']

export function createSegments(tx: Transaction, settings: SegmentSettings): Segments {
  const driverOf = (type: string): TypeDriver => {
    const driver = settings.drivers.get(type)
    if (!driver) throw new ApiError('InvalidInput', { error_message: `network_type value '${type}' not supported` })
    return driver
  }

  const store = async (networkId: string, segment: Omit<Segment, 'id'>): Promise<Segment> => {
    const stored = { id: newId(), ...segment }
    await tx.query(
      'insert into network_segments (id, network_id, network_type, physical_network, segmentation_id) values ($1, $2, $3, $4, $5)',
      [stored.id, networkId, stored.network_type, stored.physical_network, stored.segmentation_id],
    )
    return stored
  }

  return {
    reserve: async (networkId, spec) => {
      if (spec.network_type === null) return store(networkId, await reserveTenant(tx, settings, spec))
      return store(networkId, await reserveProvider(tx, driverOf(spec.network_type), spec))
    },
    maxMtu: ({ network_type }) => settings.physicalMtu - (settings.drivers.get(network_type)?.overhead ?? 0),
    release: async (networkId) => {
      const gone = await tx.query<Segment & Record<string, unknown>>(
        'delete from network_segments where network_id = $1 returning *',
        [networkId],
      )
      for (const segment of gone) {
        const driver = settings.drivers.get(segment.network_type)
        const pool = driver?.poolOf(segment)
        const inside =
          pool && driver?.pools.get(pool)?.some(({ first, last }) => within(segment.segmentation_id, first, last))
        if (pool && inside) await giveBack(tx, pool, [BigInt(segment.segmentation_id as number)])
      }
    },
  }
}

const within = (id: number | null, first: bigint, last: bigint): boolean =>
  id !== null && first <= BigInt(id) && BigInt(id) <= last

async function reserveTenant(
  tx: Transaction,
  { drivers, tenantTypes }: SegmentSettings,
  spec: SegmentSpec,
): Promise<Omit<Segment, 'id'>> {
  if (spec.physical_network !== null || spec.segmentation_id !== null) {
    throw new ApiError('InvalidInput', { error_message: 'network_type required' })
  }
  for (const type of tenantTypes) {
    if (type === 'local') return { network_type: 'local', physical_network: null, segmentation_id: null }
    for (const { pool, physical_network } of drivers.get(type)?.tenantPools() ?? []) {
      const [number] = await takeNumbers(tx, pool, 1)
      if (number !== undefined) return { network_type: type, physical_network, segmentation_id: Number(number) }
    }
  }
  throw new ApiError('NoNetworkAvailable', {}, { reason: 'segment_ids_exhausted', types: tenantTypes })
}

async function reserveProvider(tx: Transaction, driver: TypeDriver, spec: SegmentSpec): Promise<Omit<Segment, 'id'>> {
  const [issue] = driver.check(spec)
  if (issue) throw issue
  const whole = {
    network_type: driver.type,
    physical_network: spec.physical_network,
    segmentation_id: spec.segmentation_id,
  }
  if (driver.type === 'local') return whole
  if (driver.poolOf(spec) === null || spec.segmentation_id !== null) return reserveExactly(tx, driver, whole)
  const pools =
    spec.physical_network === null
      ? driver.tenantPools()
      : [{ pool: driver.poolOf(spec) as string, physical_network: spec.physical_network }]
  for (const { pool, physical_network } of pools) {
    const [number] = await takeNumbers(tx, pool, 1)
    if (number !== undefined) return { ...whole, physical_network, segmentation_id: Number(number) }
  }
  throw new ApiError('NoNetworkAvailable', {}, { reason: 'segment_ids_exhausted', types: [driver.type] })
}

/** An id may lie outside the pools; the unique index has the last word on who owns it. */
async function reserveExactly(
  tx: Transaction,
  driver: TypeDriver,
  segment: Omit<Segment, 'id'>,
): Promise<Omit<Segment, 'id'>> {
  const pool = driver.poolOf(segment)
  if (pool && segment.segmentation_id !== null) await takeNumber(tx, pool, BigInt(segment.segmentation_id))
  const [other] = await tx.query(
    `select 1 from network_segments where network_type = $1 and coalesce(physical_network, '') = coalesce($2, '')
      and coalesce(segmentation_id, -1) = coalesce($3, -1)`,
    [segment.network_type, segment.physical_network, segment.segmentation_id],
  )
  if (other) throw driver.taken(segment)
  return segment
}

/** Makes the pools what the configuration says, minus what networks hold; costs nothing when nothing changed. */
export async function seedPools(tx: Transaction, { drivers }: SegmentSettings): Promise<string[]> {
  const changed: string[] = []
  for (const driver of drivers.values()) {
    for (const [pool, ranges] of driver.pools) {
      const source = ranges.map(({ first, last }) => `${first}-${last}`).join(',')
      const fresh = await tx.query(
        `insert into range_sources as r (pool, source) values ($1, $2)
          on conflict (pool) do update set source = excluded.source where r.source <> excluded.source returning 1`,
        [pool, source],
      )
      if (fresh.length === 0) continue
      await lockPool(tx, pool)
      const held = await tx.query<{ id: number }>(
        `select segmentation_id as id from network_segments where network_type = $1 and segmentation_id is not null
          and ($2 = '' or physical_network = $2)`,
        [driver.type, pool.includes(':') ? pool.slice(pool.indexOf(':') + 1) : ''],
      )
      await setRanges(
        tx,
        pool,
        ranges,
        held.map((one) => BigInt(one.id)),
      )
      changed.push(pool)
    }
  }
  return changed
}
