/**
 * `external_gateway_info` of a router: which fields it has, where each is kept and read. Whoever adds a field adds an
 * entry here, and a hidden attribute of the router that stores it.
 */
import {
  type Attribute,
  type JsonSchema,
  optional,
  parseAddress,
  parseFlag,
  parseUuid,
  Reject,
  structure,
} from '#model/define.ts'
import { GATEWAY_OWNER } from './owners.ts'

export interface ExternalIp {
  readonly subnet_id?: string
  readonly ip_address?: string
}
export interface GatewayInfo {
  readonly network_id: string
  readonly enable_snat?: boolean
  readonly external_fixed_ips?: readonly ExternalIp[]
  /** Left out: as it is. */
  readonly qos_policy_id?: string | null
}

interface Field {
  readonly schema: JsonSchema
  readonly parse: (value: unknown) => unknown
  readonly required?: true
  /** SQL over the router's row `t` and its gateway's port `p`. */
  readonly sql: string
  /** The router's attribute that keeps it, and what that says where the client says nothing. */
  readonly kept?: { readonly attribute: string; readonly otherwise: unknown }
}

const externalIp = structure<ExternalIp>({
  subnet_id: { schema: { type: 'string', format: 'uuid' }, parse: parseUuid },
  ip_address: { schema: { type: 'string' }, parse: parseAddress },
})

const FIELDS: Readonly<Record<string, Field>> = {
  network_id: {
    schema: { type: 'string', format: 'uuid' },
    parse: parseUuid,
    required: true,
    sql: 'p.network_id',
  },
  external_fixed_ips: {
    schema: { type: 'array', items: externalIp.schema },
    parse: (value) => {
      if (!Array.isArray(value)) throw new Reject(`'${JSON.stringify(value)}' is not a list`)
      return value.map((one) => externalIp.parse(one))
    },
    sql: 'p.fixed_ips',
  },
  enable_snat: {
    schema: { type: 'boolean' },
    parse: parseFlag,
    sql: 't.enable_snat',
    kept: { attribute: 'enable_snat', otherwise: true },
  },
  // Kept by what QoS adds to routers.
  qos_policy_id: {
    schema: { anyOf: [{ type: 'string', format: 'uuid' }, { type: 'null' }] },
    parse: (value) => (value === null ? null : parseUuid(value)),
    sql: 't.qos_policy_id',
  },
}

const sql = `(select json_strip_nulls(json_build_object(${Object.entries(FIELDS)
  .map(([name, field]) => `'${name}', ${field.sql}`)
  .join(', ')})) from ports p where p.router_id = t.id and p.device_owner = '${GATEWAY_OWNER}')`

const info = structure<GatewayInfo>(FIELDS as never, { set: 'always', policy: true, sql })
const parse = (value: unknown): GatewayInfo | null =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0) ? null : info.parse(value)

/** Null and `{}` mean: no gateway. */
export const gatewayInfo: Attribute<GatewayInfo | null> = { ...optional(info), parse }

/** What the router itself keeps of its gateway. */
export const keptOf = (wanted: GatewayInfo | null): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(FIELDS).flatMap(([name, { kept }]) =>
      kept ? [[kept.attribute, wanted?.[name as keyof GatewayInfo] ?? kept.otherwise]] : [],
    ),
  )
