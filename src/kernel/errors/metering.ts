/** Errors of metering labels and rules. */
import { define } from './spec.ts'

export const meteringErrors = define({
  MeteringLabelNotFound: {
    status: 404,
    message: "Metering label '%(label_id)s' does not exist.",
    when: 'The label is not there, or not for this caller.',
  },
  MeteringLabelRuleNotFound: {
    status: 404,
    message: "Metering label rule '%(rule_id)s' does not exist.",
    when: 'The rule is not there, or not for this caller.',
  },
  MeteringLabelRuleOverlaps: {
    status: 409,
    message: "Metering label rule with remote_ip_prefix '%(remote_ip_prefix)s' overlaps another.",
    when: 'A rule of the same label, direction and exclusion has addresses in common with this one.',
  },
  Invalid: {
    status: 400,
    message: '%(reason)s',
    when: 'A rule of a label names no prefix, several that do not go together, or something that is none.',
  },
})
