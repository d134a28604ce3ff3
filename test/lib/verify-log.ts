/** The change log as a reader sees it: what must hold of every row, and what a replay of it gives. */
import { isDeepStrictEqual } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ComposedResource } from '#model/compose.ts'
import type { Core } from '#core/operation.ts'
import { type ChangeRow, readChanges, readFence } from '#store/change-reader.ts'
import type { Cursor } from '#store/cursor.ts'
import { listImages } from '#store/list.ts'
import type { Database } from '#store/pool.ts'

export const BEGINNING: Cursor = { era: 0, xid: 0n, seq: 0n }

/** Everything behind the fence, from `from` on. */
export async function readAll(database: Database, from: Cursor = BEGINNING, batch = 100): Promise<ChangeRow[]> {
  const fence = await readFence(database)
  const rows: ChangeRow[] = []
  for (let at = from; ; ) {
    const next = await readChanges(database, at, fence, batch)
    rows.push(...next)
    const last = next.at(-1)
    if (!last || next.length < batch) return rows
    at = { era: last.era, xid: last.xid, seq: last.seq }
  }
}

/** The whole log, once no transaction of this database stands before the fence. */
export async function readWhole(database: Database): Promise<ChangeRow[]> {
  for (let patience = 200; ; patience--) {
    const { xmin, xmax } = await readFence(database)
    const rows = await readAll(database)
    const [count] = await database.query<{ n: number }>('/* once */ select count(*)::int as n from change')
    if (rows.length === count?.n) return rows
    if (patience === 0) throw new Error(`${rows.length} of ${count?.n} rows are readable; fence ${xmin}, ahead ${xmax}`)
    await sleep(10)
  }
}

const keyOf = ({ kind, id }: { kind: string; id: string }): string => `${kind} ${id}`

/** What is wrong with these rows, which are all there are; empty when nothing is. */
export function verifyRows(rows: readonly ChangeRow[]): string[] {
  const problems: string[] = []
  const chains = Map.groupBy(rows, keyOf)
  for (const [key, chain] of chains) {
    const ordered = [...chain].sort((a, b) => a.generation - b.generation)
    for (const [index, row] of ordered.entries()) {
      const before = ordered[index - 1]
      const where = `${key} generation ${row.generation}`
      if (before && before.generation >= row.generation) problems.push(`${where}: not above the one before`)
      if (!before && row.op !== 'create') problems.push(`${where}: begins with ${row.op}`)
      if (before && row.op === 'create') problems.push(`${where}: made twice`)
      if (before?.op === 'delete') problems.push(`${where}: goes on after its end`)
      if ((row.op === 'create') !== (row.before === null)) problems.push(`${where}: ${row.op} with wrong before`)
      if ((row.op === 'delete') !== (row.after === null)) problems.push(`${where}: ${row.op} with wrong after`)
      const differing = before ? differences(row.kind, before.after, row.before) : []
      if (differing.length > 0) problems.push(`${where}: before differs from the after before it in ${differing}`)
      if (!row.actor || !row.request_id) problems.push(`${where}: by nobody, or for no request`)
    }
  }
  return [...problems, ...verifySuperseded(rows)]
}

/** Read in order, a row is superseded exactly when a higher generation of its object came before. */
export function verifySuperseded(rows: readonly ChangeRow[]): string[] {
  const highest = new Map<string, number>()
  return rows.flatMap((row) => {
    const seen = highest.get(keyOf(row)) ?? 0
    highest.set(keyOf(row), Math.max(seen, row.generation))
    return row.superseded === seen > row.generation
      ? []
      : [`${row.cursor} ${keyOf(row)}: superseded is ${row.superseded} at generation ${row.generation} after ${seen}`]
  })
}

/** What is read from elsewhere at the time and is no change of the object. */
export const PASSING: Readonly<Record<string, readonly string[]>> = {
  agent: ['alive', 'heartbeat_timestamp', 'started_at', 'configurations'],
  port: [
    'network:shared',
    'network:shared_with',
    'trunk_details',
    'trunk:subport_of',
    'qos_network_policy_id',
    'resource_request',
  ],
  network: ['availability_zones'],
  router: ['availability_zones'],
  floatingip: ['port_details', 'qos_network_policy_id'],
  local_ip_port_association: ['host'],
  ...Object.fromEntries(
    ['bandwidth_limit', 'packet_rate_limit', 'dscp_marking', 'minimum_bandwidth', 'minimum_packet_rate'].map((type) => [
      `qos_${type}_rule`,
      ['ext_parent:shared', 'ext_parent:shared_with'],
    ]),
  ),
}

function differences(kind: string, a: ChangeRow['after'], b: ChangeRow['after']): string[] {
  const names = new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])
  return [...names].filter((name) => !PASSING[kind]?.includes(name) && !isDeepStrictEqual(a?.[name], b?.[name]))
}

/** The newest state of every object by what a reader got, in whatever order it got it. */
export function replay(
  rows: readonly Pick<ChangeRow, 'kind' | 'id' | 'generation' | 'after'>[],
): Map<string, ChangeRow['after']> {
  const newest = new Map<string, { generation: number; after: ChangeRow['after'] }>()
  for (const row of rows) {
    const known = newest.get(keyOf(row))
    if (!known || known.generation < row.generation) newest.set(keyOf(row), row)
  }
  return new Map([...newest].flatMap(([key, { after }]) => (after ? [[key, after] as const] : [])))
}

/** Came with the schema, and has no author: in the log from its first change on. */
export const isSeed = (kind: string, { revision_number }: Record<string, unknown>): boolean =>
  kind === 'default_security_group_rule' && revision_number === 1

/** Everything that is stored, as a replay from here on begins. */
export async function snapshot({ database, model }: Core): Promise<Map<string, ChangeRow['after']>> {
  const state = new Map<string, ChangeRow['after']>()
  for (const resource of storedResources(model))
    for (const image of await listImages(database, resource, { visible: true, filters: {}, sort: [] }))
      state.set(`${resource.name} ${String(image['id'])}`, image)
  return state
}

/** Views have no history of their own. */
export const storedResources = ({ resources }: Core['model']): ComposedResource[] =>
  [...resources.values()].filter(({ attributes }) => 'revision_number' in attributes)

/** Where a replay and the tables differ; empty when they are one. */
export async function compareWithTables(
  { database, model }: Core,
  state: ReadonlyMap<string, ChangeRow['after']>,
): Promise<string[]> {
  const rest = new Map(state)
  const problems: string[] = []
  const compare = async (resource: ComposedResource): Promise<void> => {
    for (const image of await listImages(database, resource, { visible: true, filters: {}, sort: [] })) {
      const key = `${resource.name} ${String(image['id'])}`
      const after = rest.get(key)
      rest.delete(key)
      if (!after && isSeed(resource.name, image)) continue
      const differing = after ? differences(resource.name, after, image) : ['everything']
      if (differing.length > 0) problems.push(`${key} differs in ${differing}`)
    }
  }
  for (const resource of storedResources(model)) await compare(resource)
  return [...problems, ...[...rest.keys()].map((key) => `${key} is in the log alone`)]
}
