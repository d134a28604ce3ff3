/** What a range of segmentation ids says of itself, and what it works out from the networks and pools there are. */
import {
  dictionary,
  flag,
  list,
  oneOf,
  optional,
  parseText,
  Reject,
  type Row,
  text,
  timestamp,
  uuid,
  whole,
} from '#model/define.ts'

export const RANGE_TYPES = ['vlan', 'vxlan', 'gre', 'geneve'] as const
/** What any type has at most: the key of GRE (RFC 2890). */
const LARGEST_ID = 2 ** 32 - 1
/** So many ids `available` tells at most: one VLAN, or the VNIs of a usual cloud, whole. */
const TOLD = 65_536

/** Networks whose segments hold ids of the range, whoever drew or asked for them. */
const USED = `(select coalesce(json_object_agg(s.segmentation_id, n.project_id), '{}')
  from network_segments s join networks n on n.id = s.network_id
  where s.network_type = t.network_type and s.network_type <> 'local'
    and coalesce(s.physical_network, '') = coalesce(t.physical_network, '')
    and coalesce(s.segmentation_id, -1) between t.minimum and t.maximum)`

const POOL = `case t.network_type when 'vlan' then 'vlan:' || t.physical_network else t.network_type end`

/** Free ids, of the common pool and of those set apart for projects; ranges are told from the lowest on. */
const AVAILABLE = `(select coalesce(json_agg(x.n order by x.n), '[]') from (
  select n from (
    select greatest(f.first, t.minimum)::bigint as first, least(f.last, t.maximum)::bigint as last from free_ranges f
    where f.pool in (select ${POOL} union all select ${POOL} || ' for ' || t.project_id where t.project_id is not null
      union all select ${POOL} || ' for ' || r.project_id from network_segment_ranges r
        where r.network_type = t.network_type and r.physical_network is not distinct from t.physical_network
          and r.project_id is not null)
      and f.first <= t.maximum and f.last >= t.minimum order by f.first) f,
    generate_series(f.first, least(f.last, f.first + ${TOLD - 1})) n limit ${TOLD}) x)`

const parsePhysicalNetwork = (value: unknown): string => {
  const name = parseText(64)(value)
  if (/[\s:,]/.test(name)) throw new Reject(`'${name}' is no name of a physical network`)
  return name
}

const bound = whole({ set: 'always', required: true, min: 1, max: LARGEST_ID })

export const attributes = {
  id: uuid({ filter: true, sort: true }),
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  /** One of the configuration: read-only. */
  default: flag({ default: false, column: 'is_default' }),
  shared: flag({ set: 'create', default: true }),
  /** Whose networks draw from it; null when all do. */
  project_id: optional(text({ set: 'create', filter: true, sort: true }), {}),
  network_type: optional(oneOf(RANGE_TYPES, { set: 'create', filter: true })),
  physical_network: optional({
    ...text({ set: 'create', max: 64, filter: true }),
    parse: parsePhysicalNetwork,
  }),
  minimum: bound,
  maximum: bound,
  /** Id → project of the network that holds it. */
  used: dictionary({ secret: true, sql: USED }),
  available: list({ schema: { type: 'integer' }, parse: (value) => value as number }, { secret: true, sql: AVAILABLE }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at', visible: false }),
  updated_at: timestamp({ column: 'updated_at', visible: false }),
} as const
export type Range = Row<typeof attributes>
