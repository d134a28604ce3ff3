/** Who may run segments of networks and the ranges their ids come from: administrators. */
import { administered, crud, type RuleDefault } from './rule.ts'

export const segment: readonly RuleDefault[] = [
  ...administered('segment', 'a segment of a network', crud('/segments')),
  ...administered('network_segment_range', 'a range of segmentation ids', crud('/network_segment_ranges')),
]
