/** The kinds of QoS rules: what each says, and how a policy lists them all. */
import { type Attributes, oneOf, type Options, whole } from '#model/define.ts'

const ANY_NUMBER = { min: 0, max: 2 ** 31 - 1, set: 'always', filter: true, sort: true } as const
const number = (options: Options<number> = {}) => whole({ ...ANY_NUMBER, ...options })
const direction = <const V extends string>(values: readonly V[]) =>
  oneOf(values, { set: 'always', default: 'egress' as V & 'egress', filter: true, sort: true })

/** Code points of the differentiated services that an operator may mark packets with (RFC 2474 and its profiles). */
const DSCP_MARKS = [0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56] as const

export interface RuleKind {
  /** One sentence for the reference page. */
  readonly docs: string
  readonly table: string
  readonly attributes: Attributes
}

/** In the order a policy lists them. Rates are in kbit/s and thousands of packets per second. */
export const ruleKinds = {
  bandwidth_limit: {
    docs: 'No more than this many kbit/s pass in one direction.',
    table: 'qos_bandwidth_limit_rules',
    attributes: {
      max_kbps: number({ required: true }),
      max_burst_kbps: number({ default: 0 }),
      direction: direction(['ingress', 'egress']),
    },
  },
  packet_rate_limit: {
    docs: 'No more than this many thousand packets per second pass in one direction.',
    table: 'qos_packet_rate_limit_rules',
    attributes: {
      max_kpps: number({ required: true }),
      max_burst_kpps: number({ default: 0 }),
      direction: direction(['ingress', 'egress']),
    },
  },
  dscp_marking: {
    docs: 'Packets leave with this differentiated services code point.',
    table: 'qos_dscp_marking_rules',
    attributes: { dscp_mark: whole({ of: DSCP_MARKS, required: true, set: 'always', filter: true, sort: true }) },
  },
  minimum_bandwidth: {
    docs: 'At least this many kbit/s are guaranteed in one direction.',
    table: 'qos_minimum_bandwidth_rules',
    attributes: { min_kbps: number({ required: true }), direction: direction(['ingress', 'egress']) },
  },
  minimum_packet_rate: {
    docs: 'At least this many thousand packets per second are guaranteed, in one direction or in both together.',
    table: 'qos_minimum_packet_rate_rules',
    attributes: { min_kpps: number({ required: true }), direction: direction(['any', 'ingress', 'egress']) },
  },
} as const satisfies Record<string, RuleKind>
export type RuleType = keyof typeof ruleKinds
export const RULE_TYPES = Object.keys(ruleKinds) as readonly RuleType[]

/** SQL over a policy's row `t`: all its rules, each with its type. */
export function listing(): string {
  const kinds = RULE_TYPES.map((type, order) => {
    const columns = ['id', 'qos_policy_id', ...Object.keys(ruleKinds[type].attributes)].map((name) => `r.${name}`)
    return `select ${order} as kind, r.id, to_jsonb(o) as rule from ${ruleKinds[type].table} r,
      lateral (select ${columns.join(', ')}, '${type}' as type) o where r.qos_policy_id = t.id`
  })
  return `(select coalesce(jsonb_agg(u.rule order by u.kind, u.id), '[]') from (${kinds.join(' union all ')}) u)`
}
