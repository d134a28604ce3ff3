/** What carries a network: reserving VNIs, VLANs and physical networks, and the MTU they leave. */
import { ApiError } from '#kernel/errors.ts'
import type { Context, Segment, SegmentSpec } from '#model/context.ts'
import { isAnyOutside, takeOutside } from '#store/ranges-outside.ts'
import { poolFor, takeEither, takeNumber } from '#store/ranges.ts'
import type { Transaction } from '#store/transaction.ts'
import type { TypeDriver } from '../contracts.ts'
import { giveSegmentBack, poolHolding, poolOf, rangedPhysicalNetworks, remakePools } from './segment-pools.ts'

export interface SegmentSettings {
  readonly drivers: ReadonlyMap<string, TypeDriver>
  /** Types tried in order for networks without provider attributes. */
  readonly tenantTypes: readonly string[]
  /** MTU of the physical networks and of the underlay, in bytes. */
  readonly physicalMtu: number
  /** MTU of the way between hosts where it is less; 0: it is not. */
  readonly pathMtu: number
  /** MTU of the physical networks that differ. */
  readonly physicalNetworkMtus: Readonly<Record<string, number>>
  /** IP version of the underlay. */
  readonly overlayIpVersion: 4 | 6
}

type Segments = Context['segments']
type Facts = Omit<Segment, 'id'>

export function createSegments(tx: Transaction, settings: SegmentSettings): Segments {
  const driverOf = (type: string): TypeDriver => {
    const driver = settings.drivers.get(type)
    if (!driver) throw new ApiError('InvalidInput', { error_message: `network_type value '${type}' not supported` })
    return driver
  }
  return {
    reserve: (spec, projectId) =>
      spec.network_type === null
        ? reserveTenant(tx, settings, spec, projectId)
        : reserveProvider(tx, driverOf(spec.network_type), spec, projectId),
    isPartial: ({ network_type, segmentation_id }) =>
      segmentation_id === null && driverOf(network_type ?? '').tenantPools !== null,
    anyLeft: (spec, projectId) => anyLeft(tx, driverOf(spec.network_type), spec, projectId),
    maxMtu: (segments) => maxMtu(settings, segments),
    release: async (segments) => {
      for (const segment of segments) await giveSegmentBack(tx, segment)
    },
    remakePools: (kind, id, changed) => remakePools(tx, kind, id, changed),
  }
}

/** What every one of the segments carries; local ones do not count. */
export function maxMtu(settings: SegmentSettings, segments: readonly Omit<Facts, 'segmentation_id'>[]): number {
  const { physicalMtu, pathMtu, physicalNetworkMtus, overlayIpVersion, drivers } = settings
  const limits = segments
    .filter((one) => one.network_type !== 'local')
    .map(({ network_type, physical_network }) => {
      const overhead = drivers.get(network_type)?.overhead ?? 0
      if (overhead === 0) return Math.min(physicalMtu, physicalNetworkMtus[physical_network ?? ''] ?? physicalMtu)
      return (pathMtu > 0 ? Math.min(physicalMtu, pathMtu) : physicalMtu) - overhead - OUTER_HEADER[overlayIpVersion]
    })
  return Math.min(physicalMtu, ...limits)
}

/** Bytes of the outer IP header. */
const OUTER_HEADER = { 4: 20, 6: 40 } as const

async function reserveTenant(
  tx: Transaction,
  { drivers, tenantTypes }: SegmentSettings,
  spec: SegmentSpec,
  projectId: string,
): Promise<Facts> {
  if (spec.physical_network !== null || spec.segmentation_id !== null) {
    throw new ApiError('InvalidInput', { error_message: 'network_type required' })
  }
  for (const type of tenantTypes) {
    if (type === 'local') return { network_type: 'local', physical_network: null, segmentation_id: null }
    const driver = drivers.get(type)
    const segment = driver && (await drawAnywhere(tx, driver, projectId))
    if (segment) return segment
  }
  throw new ApiError('NoNetworkAvailable', {}, { reason: 'segment_ids_exhausted', types: tenantTypes })
}

async function reserveProvider(
  tx: Transaction,
  driver: TypeDriver,
  spec: SegmentSpec,
  projectId: string,
): Promise<Facts> {
  const { type, tenantPools } = driver
  const { physical_network, segmentation_id, without } = spec
  const known = tenantPools?.some((one) => one.physical_network === physical_network)
  // A range makes a physical network known too: asked of the database only where the configuration does not say.
  const ranged = type === 'vlan' && physical_network !== null && !known ? await rangedPhysicalNetworks(tx) : []
  const [issue] = driver.check(spec, ranged)
  if (issue) throw issue
  const whole = { network_type: type, physical_network, segmentation_id }
  if (type === 'local') return whole
  if (tenantPools === null || segmentation_id !== null) return reserveExactly(tx, driver, whole)
  const drawn =
    physical_network === null
      ? await drawAnywhere(tx, driver, projectId)
      : await draw(tx, type, [{ physical_network }], projectId, without)
  if (drawn) return drawn
  throw new ApiError('NoNetworkAvailable', {}, { reason: 'segment_ids_exhausted', types: [type] })
}

/** Would reserving one, of the network type and perhaps on the physical network, succeed now? */
async function anyLeft(
  tx: Transaction,
  { type, tenantPools, check }: TypeDriver,
  { physical_network, without = [] }: Pick<SegmentSpec, 'physical_network' | 'without'>,
  projectId: string,
): Promise<boolean> {
  if (type === 'local') return true
  const ranged = type === 'vlan' ? await rangedPhysicalNetworks(tx) : []
  if (check({ network_type: type, physical_network, segmentation_id: null }, ranged).length > 0) return false
  if (tenantPools === null) {
    const [other] = await tx.query(
      'select 1 from network_segments where network_type = $1 and physical_network is not distinct from $2',
      [type, physical_network],
    )
    return other === undefined
  }
  const names =
    physical_network === null && type === 'vlan'
      ? [...tenantPools.map((one) => one.physical_network), ...ranged]
      : [physical_network]
  const pools = names.map((name) => poolOf({ network_type: type, physical_network: name }) as string)
  return isAnyOutside(
    tx,
    pools.flatMap((pool) => [pool, poolFor(pool, projectId)]),
    without,
  )
}

/** On the physical networks of the configuration, then on those that only ranges name. */
async function drawAnywhere(tx: Transaction, driver: TypeDriver, projectId: string): Promise<Facts | null> {
  const configured = driver.tenantPools ?? []
  const drawn = await draw(tx, driver.type, configured, projectId)
  if (drawn || driver.type !== 'vlan') return drawn
  const names = new Set(configured.map((one) => one.physical_network))
  const others = (await rangedPhysicalNetworks(tx)).filter((name) => !names.has(name))
  return draw(
    tx,
    driver.type,
    others.map((physical_network) => ({ physical_network })),
    projectId,
  )
}

/** Any id of the type: of the project's own ranges first, then of those all share. */
async function draw(
  tx: Transaction,
  network_type: string,
  pools: readonly { readonly physical_network: string | null }[],
  projectId: string,
  without: SegmentSpec['without'] = [],
): Promise<Facts | null> {
  for (const { physical_network } of pools) {
    const pool = poolOf({ network_type, physical_network }) as string
    const own = poolFor(pool, projectId)
    const number =
      without.length === 0
        ? await takeEither(tx, own, pool)
        : ((await takeOutside(tx, own, without)) ?? (await takeOutside(tx, pool, without)))
    if (number !== undefined) return { network_type, physical_network, segmentation_id: Number(number) }
  }
  return null
}

/** An id may lie outside the pools; the unique index has the last word on who owns it. */
async function reserveExactly(tx: Transaction, driver: TypeDriver, segment: Facts): Promise<Facts> {
  const pool = await poolHolding(tx, segment)
  const take = async (): Promise<boolean> =>
    pool !== null && takeNumber(tx, pool, BigInt(segment.segmentation_id as number))
  if (await take()) return segment
  const [other] = await tx.query(
    `select 1 from network_segments where network_type = $1 and physical_network is not distinct from $2
      and segmentation_id is not distinct from $3`,
    [segment.network_type, segment.physical_network, segment.segmentation_id],
  )
  if (other) throw driver.taken(segment)
  // Its last holder may have gone between the two looks: then it is free by now.
  await take()
  return segment
}
