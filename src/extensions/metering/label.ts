/** What counts traffic: a label, for the routers of its project or, shared, for all. */
import { defineResource, flag, type Row, text, whole } from '#model/define.ts'
import { identity } from '#resources/standard.ts'
import { meteringLabelRule } from './label-rule.ts'

const attributes = {
  ...identity,
  name: text({ set: 'create', default: '', filter: true, sort: true }),
  description: text({ set: 'create', default: '', max: 1024, filter: true, sort: true }),
  /** Counts at the routers of every project. Who sees the label is another matter. */
  shared: flag({ set: 'create', default: false, filter: true, sort: true }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type MeteringLabel = Row<typeof attributes>

export const meteringLabel = defineResource({
  name: 'metering_label',
  plural: 'metering_labels',
  path: 'metering/metering-labels',
  table: 'metering_labels',
  docs: 'Counts the traffic through routers that its rules choose.',
  notFound: { type: 'MeteringLabelNotFound', param: 'label_id' },
  operations: ['list', 'show', 'create', 'delete'],
  attributes,
  inTx: async (context, { op, before }) => {
    if (op !== 'delete') return undefined
    const { id } = before as MeteringLabel
    for (const rule of await context.find('metering_label_rule', { metering_label_id: id }))
      await context.remove(meteringLabelRule, String(rule['id']))
    return undefined
  },
})
