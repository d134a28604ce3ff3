/**
 * Which hosts reach a segment: those whose agents are plugged into its physical network, and those an operator names,
 * for hosts without an agent that says so (bare metal, appliances).
 */
import {
  type Action,
  type Context,
  defineResource,
  type Draft,
  flag,
  list,
  parseText,
  Reject,
  type Resource,
  text,
  uuid,
  whole,
} from '#model/define.ts'
import { segment } from '#resources/segment.ts'

/** A host that reaches a segment; for hooks. */
export const segmentHost = defineResource({
  name: 'segment_host',
  plural: 'segment_hosts',
  table: 'segment_hosts',
  docs: 'A host that reaches a segment: as its agent says, or as an operator says.',
  notFound: { type: 'SegmentNotFound', param: 'segment_id' },
  operations: [],
  attributes: {
    id: uuid(),
    segment_id: uuid(),
    network_id: uuid(),
    host: text(),
    /** Where its segment stands among the network's. */
    segment_index: whole(),
    /** An agent of the host says so. */
    reported: flag(),
  },
})

const host = {
  schema: { type: 'string', minLength: 1, maxLength: 255 },
  parse: (value: unknown): string => {
    const name = parseText(255)(value)
    if (!/^\S+$/.test(name)) throw new Reject(`'${name}' is not the name of a host`)
    return name
  },
} as const
const hostList = { unique: true, pg: 'text[]' } as const

/** Named by an operator. Shown by the actions below. */
export const hosts = list(host, {
  ...hostList,
  visible: false,
  default: [],
  column: 'hosts',
  sql: 'to_jsonb(t.hosts)',
})

export const hostActions: readonly Action[] = [
  {
    name: 'list_segment_hosts',
    method: 'GET',
    path: 'hosts',
    rule: 'get_segment',
    docs: 'The hosts that reach the segment: `hosts` as operators say, `reported` as agents say.',
    run: async (context, { object }) => reachedBy(context, object),
  },
  {
    name: 'replace_segment_hosts',
    method: 'PUT',
    path: 'hosts',
    rule: 'update_segment',
    body: { hosts: list(host, { ...hostList, set: 'create', required: true }) },
    docs: 'Names the hosts that reach the segment beside those whose agents say so.',
    run: async (context, { object, body }) => {
      const named = [...(body['hosts'] as readonly string[])].sort()
      const changed = JSON.stringify(named) !== JSON.stringify(object['hosts'])
      const wanted = changed
        ? await context.update(segment as unknown as Resource, String(object['id']), { hosts: named })
        : object
      return reachedBy(context, wanted)
    },
  },
]

async function reachedBy(context: Context, { id, hosts: named }: Readonly<Draft>): Promise<Draft> {
  const reached = await context.find('segment_host', { segment_id: String(id), reported: true })
  return { hosts: named, reported: reached.map((one) => String(one['host'])).sort() }
}
