/** A host's agent, as operators see it. Written by heartbeats, not by clients. */
import { defineResource, dictionary, flag, optional, type Row, text, timestamp, uuid, whole } from '#model/define.ts'

const attributes = {
  id: uuid({ filter: true }),
  agent_type: text({ filter: true }),
  binary: text({ filter: true, column: 'binary_name' }),
  topic: text({ filter: true }),
  host: text({ filter: true }),
  availability_zone: optional(text({ filter: true })),
  admin_state_up: flag({ set: 'update', filter: true }),
  description: optional(text({ set: 'update', filter: true })),
  alive: flag({
    filter: true,
    sql: "(t.refused is null and t.heartbeat_timestamp > now() - current_setting('deuteron.agent_down_time')::interval)",
  }),
  configurations: dictionary({
    column: 'configurations',
    sql: "(t.configurations || case when t.refused is null then '{}' else jsonb_build_object('refused', t.refused) end)",
  }),
  /** Whether Placement knows what the host has; null: nobody told it. */
  resources_synced: optional(flag({})),
  created_at: timestamp({ column: 'created_at', sql: agentTime('created_at') }),
  started_at: timestamp({ column: 'started_at', sql: agentTime('started_at') }),
  heartbeat_timestamp: timestamp({ column: 'heartbeat_timestamp', sql: agentTime('heartbeat_timestamp') }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
export type Agent = Row<typeof attributes>

export const agent = defineResource({
  name: 'agent',
  plural: 'agents',
  table: 'agents',
  docs: 'The agent of a host: whether it lives, and what it can do.',
  notFound: { type: 'AgentNotFound', param: 'id' },
  operations: ['list', 'show', 'update', 'delete'],
  attributes,
  inTx: async (context, { op, after, internal }) => {
    if (!after) return undefined
    // It is new, back, or says other things of itself.
    if (internal) await context.retryBindings({ hosts: [after.host, ...hostsBelow(after)] })
    if (op === 'create') return undefined
    // Shown among the configurations, kept apart from them.
    const { refused: _refused, ...configurations } = after.configurations
    return { configurations }
  },
})

/** A hardware switch says which hosts are plugged into which of its ports. */
function hostsBelow({ configurations }: Agent): readonly string[] {
  const { ports } = configurations as { readonly ports?: unknown }
  return typeof ports === 'object' && ports !== null ? Object.keys(ports) : []
}

/** Agents' times are written without a zone. */
function agentTime(column: string): string {
  return `to_char(t.${column} at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')`
}
