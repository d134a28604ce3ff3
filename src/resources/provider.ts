/**
 * What carries a network, as its own attributes say it: one segment by `provider:` attributes, several by `segments`.
 * Both are read where the segments are kept; dynamic ones, which come and go with bindings, are not told.
 */
import { ApiError } from '#kernel/errors.ts'
import { list, optional, parseText, Reject, type SegmentSpec, text, whole } from '#model/define.ts'

const LONGEST_NAME = 64
export const LARGEST_ID = 2 ** 32 - 1

const OF_NETWORK = 'from network_segments s where s.network_id = t.id and not s.is_dynamic'

/** The only segment's; null when there are several. A filter matches when any of them does. */
const ofSegment = (column: string) => ({
  sql: `(select min(s.${column}) ${OF_NETWORK} having count(*) = 1)`,
  filterAmong: `select s.${column} ${OF_NETWORK}`,
})

const parseId = (value: unknown): number | null => {
  if (value === null || value === '' || value === 0) return null
  const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) throw new Reject(`'${String(value)}' is not an integer`)
  return number
}

const NAMES = ['provider:network_type', 'provider:physical_network', 'provider:segmentation_id'] as const
type ProviderName = (typeof NAMES)[number]
export interface ProviderSegment {
  readonly 'provider:network_type': string | null
  readonly 'provider:physical_network': string | null
  readonly 'provider:segmentation_id': number | null
}

function parseSegment(value: unknown): ProviderSegment {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new Reject(`'${String(value)}' is not a dictionary`)
  const given = value as Partial<Record<ProviderName, unknown>>
  const unknown = Object.keys(given).filter((name) => !NAMES.includes(name as ProviderName))
  if (unknown.length > 0) throw new Reject(`Unrecognized attribute(s) '${unknown.join(', ')}'`)
  const word = (name: ProviderName, max: number): string | null => {
    const text = given[name] ?? null
    return text === null || text === '' ? null : parseText(max)(text)
  }
  return {
    'provider:network_type': word('provider:network_type', 32),
    'provider:physical_network': word('provider:physical_network', LONGEST_NAME),
    'provider:segmentation_id': parseId(given['provider:segmentation_id'] ?? null),
  }
}

const segmentSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    'provider:network_type': { type: 'string', maxLength: 32 },
    'provider:physical_network': { type: ['string', 'null'], maxLength: LONGEST_NAME },
    'provider:segmentation_id': { type: ['integer', 'null'], minimum: 0, maximum: LARGEST_ID },
  },
} as const

const common = { set: 'always', filter: true, policy: true } as const

export const provider = {
  'provider:network_type': optional(text({ ...common, max: 32, ...ofSegment('network_type') }), {}),
  'provider:physical_network': optional(text({ ...common, max: LONGEST_NAME, ...ofSegment('physical_network') }), {}),
  'provider:segmentation_id': optional(
    whole({ ...common, min: 0, max: LARGEST_ID, ...ofSegment('segmentation_id') }),
    {},
  ),
  /** Null when there is only one: then the `provider:` attributes have it. */
  segments: optional(
    list(
      { schema: segmentSchema, parse: parseSegment },
      {
        set: 'always',
        policy: true,
        sql: `(select json_agg(json_build_object('provider:network_type', s.network_type, 'provider:physical_network',
          s.physical_network, 'provider:segmentation_id', s.segmentation_id) order by s.segment_index)
          ${OF_NETWORK} having count(*) > 1)`,
      },
    ),
    {},
  ),
} as const

type Provided = Partial<ProviderSegment> & { readonly segments?: readonly ProviderSegment[] | null }

const specOf = (wish: Partial<ProviderSegment>): SegmentSpec => ({
  network_type: wish['provider:network_type'] || null,
  physical_network: wish['provider:physical_network'] || null,
  segmentation_id: wish['provider:segmentation_id'] ?? null,
})

/** The segments a new network asks for; one of no type when the system is to choose. */
export function wishesOf(wanted: Provided): readonly SegmentSpec[] {
  const single = NAMES.some((name) => (wanted[name] ?? null) !== null)
  const several = wanted.segments ?? null
  if (single && several !== null) throw new ApiError('SegmentsSetInConjunctionWithProviders')
  if (several === null || several.length === 0) return [specOf(wanted)]
  const specs = several.map(specOf)
  if (specs.some((one) => one.network_type === null))
    throw new ApiError('InvalidInput', { error_message: 'network_type required' })
  return specs
}

/** Partly specified segments may look the same: they will differ by the ids they draw. */
export function refuseDuplicates(specs: readonly SegmentSpec[], isPartial: (spec: SegmentSpec) => boolean): void {
  const whole = specs.filter((one) => !isPartial(one)).map((one) => JSON.stringify(one))
  if (new Set(whole).size < whole.length) throw new ApiError('SegmentsContainDuplicateEntry')
}

/** What may not change once the network is made, and differs from what is; the id alone may. */
export function refuseOtherProvider(old: Provided, wanted: Provided, given: ReadonlySet<string>): void {
  const fixed = ['provider:network_type', 'provider:physical_network', 'segments'] as const
  const changed = fixed.filter(
    (name) =>
      given.has(name) && (wanted[name] ?? null) !== null && JSON.stringify(wanted[name]) !== JSON.stringify(old[name]),
  )
  if (changed.length === 0) return
  const sentence = `Plugin does not support updating the following provider network attributes: ${changed.join(', ')}`
  throw new ApiError('InvalidInput', { error_message: sentence }, { reason: 'read_only', attributes: changed })
}
