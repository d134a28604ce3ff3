/** Which traffic a metering label counts, or does not count. */
import { ApiError } from '#kernel/errors.ts'
import { formatPrefix, networkOf, type Prefix, parsePrefix, prefixesOverlap } from '#kernel/ip.ts'
import {
  type Context,
  defineResource,
  flag,
  oneOf,
  optional,
  parseText,
  type Resource,
  type Row,
  text,
  uuid,
  whole,
} from '#model/define.ts'
import { identity } from '#resources/standard.ts'

/** A prefix as it was given, made canonical; a bare address gets its full length. The empty text is none. */
const prefix = (name: string) => {
  const base = optional(text({ set: 'create', filter: true, sort: true }))
  const parse = (value: unknown): string | null => {
    if (value === null || value === '') return null
    const given = parseText(255)(value)
    const found = parsePrefix(given)
    if (found) return formatPrefix(found)
    throw new ApiError('Invalid', { reason: `${name}: ${given} is invalid [it is no address or prefix].` })
  }
  return { ...base, parse }
}

const attributes = {
  ...identity,
  metering_label_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  direction: oneOf(['ingress', 'egress'], { set: 'create', required: true, filter: true, sort: true }),
  excluded: flag({ set: 'create', default: false, filter: true, sort: true }),
  remote_ip_prefix: prefix('remote_ip_prefix'),
  source_ip_prefix: prefix('source_ip_prefix'),
  destination_ip_prefix: prefix('destination_ip_prefix'),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type MeteringLabelRule = Row<typeof attributes>

export const meteringLabelRule: Resource = defineResource({
  name: 'metering_label_rule',
  plural: 'metering_label_rules',
  path: 'metering/metering-label-rules',
  table: 'metering_label_rules',
  docs: 'Traffic that a label counts: its direction and where it comes from or goes to.',
  notFound: { type: 'MeteringLabelRuleNotFound', param: 'rule_id' },
  operations: ['list', 'show', 'create', 'delete'],
  references: { metering_label_id: { resource: 'metering_label' } },
  conflicts: { metering_label_rules_no_overlap: 'again', metering_label_rules_metering_label_id_fkey: 'again' },
  attributes,
  check: ({ after }) => (after ? checkPrefixes(after) : []),
  inTx: async (context, { after }) => {
    if (!after) return undefined
    await refuseOverlap(context, after)
    const label = await context.load('metering_label', after.metering_label_id)
    return { project_id: label?.['project_id'] }
  },
}) as Resource

function checkPrefixes(rule: MeteringLabelRule): ApiError[] {
  const ends = rule.source_ip_prefix ?? rule.destination_ip_prefix
  if (rule.remote_ip_prefix && ends)
    return [
      new ApiError('Invalid', {
        reason: "Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.",
      }),
    ]
  if (rule.remote_ip_prefix ?? ends) return []
  const names = "'remote_ip_prefix', or 'source_ip_prefix' or 'destination_ip_prefix'"
  return [new ApiError('Invalid', { reason: `You must define at least one of the following parameters ${names}.` })]
}

async function refuseOverlap(context: Context, rule: MeteringLabelRule): Promise<void> {
  const { remote_ip_prefix, metering_label_id, direction, excluded } = rule
  const wanted = blockOf(remote_ip_prefix)
  if (!wanted) return
  const others = await context.find('metering_label_rule', { metering_label_id, direction, excluded })
  const clash = others.find((other) => {
    const block = blockOf(other['remote_ip_prefix'])
    return block !== null && prefixesOverlap(block, wanted)
  })
  if (clash)
    throw new ApiError('MeteringLabelRuleOverlaps', { remote_ip_prefix }, { reason: 'overlap', rule_id: clash['id'] })
}

function blockOf(value: unknown): Prefix | null {
  const found = typeof value === 'string' ? parsePrefix(value) : null
  return found && networkOf(found)
}
