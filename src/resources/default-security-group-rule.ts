/** What new security groups start with: templates of rules, kept by the administrator. */
import { ApiError } from '#kernel/errors.ts'
import { isUuid } from '#kernel/ids.ts'
import { defineResource, type Draft, flag, optional, parseText, Reject, type Row, text, uuid } from '#model/define.ts'
import { checkRule, canonical, ruleKey } from './security-group-protocols.ts'
import { ruleTerms } from './security-group-rule.ts'
import { standard } from './standard.ts'

/** Stands for the group that a rule made from the template is in. */
const PARENT = 'PARENT'

const parseRemote = (value: unknown): string => {
  const given = parseText(36)(value)
  if (given.toUpperCase() === PARENT) return PARENT
  if (isUuid(given)) return given.toLowerCase()
  throw new Reject(`'${given}' is neither a UUID nor ${PARENT}`)
}

const attributes = {
  id: uuid({ filter: true, sort: true }),
  ...ruleTerms,
  /** A group, or `PARENT`. */
  remote_group_id: optional({ ...text({ set: 'create', filter: true, sort: true }), parse: parseRemote }),
  used_in_default_sg: flag({ set: 'create', default: false, filter: true, sort: true }),
  used_in_non_default_sg: flag({ set: 'create', default: true, filter: true, sort: true }),
  ...standard,
} as const
export type DefaultSecurityGroupRule = Row<typeof attributes>

export const defaultSecurityGroupRule = defineResource({
  name: 'default_security_group_rule',
  plural: 'default_security_group_rules',
  table: 'default_security_group_rules',
  docs: 'A template: each new default group, or each other new group, gets a rule like it. Groups that exist keep theirs.',
  notFound: { type: 'DefaultSecurityGroupRuleNotFound', param: 'id' },
  operations: ['list', 'show', 'create', 'delete'],
  attributes,
  check: (write) => (write.op === 'create' ? checkRule(write.after as DefaultSecurityGroupRule) : []),
  inTx: async (context, write) => {
    if (write.op !== 'create') return undefined
    const wanted = canonical(write.after as DefaultSecurityGroupRule)
    const key = ruleKey(wanted)
    const { direction, protocol, port_range_min, port_range_max } = wanted
    const twins = await context.find('default_security_group_rule', { direction })
    const twin = twins.find((one) => ruleKey(one as unknown as DefaultSecurityGroupRule) === key)
    if (twin) throw new ApiError('DefaultSecurityGroupRuleExists', { rule_id: twin['id'] })
    return { protocol, port_range_min, port_range_max }
  },
})

const TERMS = [...Object.keys(ruleTerms), 'description']

/** The rule a template stands for in this group. */
export const ruleFrom = (template: Readonly<Draft>, security_group_id: string): Draft => ({
  ...Object.fromEntries(TERMS.map((name) => [name, template[name]])),
  security_group_id,
  remote_group_id: template['remote_group_id'] === PARENT ? security_group_id : template['remote_group_id'],
})
