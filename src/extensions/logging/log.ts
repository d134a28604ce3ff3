/** A log: packets of security groups, of a port, or of a project that shall be written down. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  type Draft,
  flag,
  oneOf,
  optional,
  parseText,
  type Resource,
  type Row,
  text,
  uuid,
} from '#model/define.ts'
import { identity, standard } from '#resources/standard.ts'

const parseLoggable = (value: unknown): string => {
  const resource_type = parseText(255)(value)
  if (resource_type === 'security_group') return resource_type
  throw new ApiError('InvalidLogResourceType', { resource_type })
}

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  resource_type: { ...text({ set: 'create', required: true, filter: true, sort: true }), parse: parseLoggable },
  /** A security group; null: any. */
  resource_id: optional(uuid({ set: 'create', filter: true, sort: true })),
  /** A port; null: all that are in the group, or in some group of the project. */
  target_id: optional(uuid({ set: 'create', filter: true, sort: true })),
  event: oneOf(['ACCEPT', 'DROP', 'ALL'], { set: 'create', default: 'ALL', filter: true }),
  enabled: flag({ set: 'always', default: true, filter: true, sort: true }),
  ...standard,
} as const
type Log = Row<typeof attributes>

export const log = defineResource({
  name: 'log',
  plural: 'logs',
  path: 'log/logs',
  table: 'logs',
  docs: 'Has the packets that security groups accept or drop written down.',
  notFound: { type: 'LogResourceNotFound', param: 'log_id' },
  attributes,
  conflicts: { logs_resource_id_fkey: 'again', logs_target_id_fkey: 'again' },
  inTx: async (context, { op, after }) => {
    if (op === 'create') await requireLoggable(context, after as Log)
    return undefined
  },
}) as Resource

/** What is logged is held until the log stands: it may not go meanwhile, nor the port leave the group. */
async function requireLoggable(context: Context, { resource_type, resource_id, target_id }: Log): Promise<void> {
  const group = resource_id && (await context.load('security_group', resource_id, 'share'))
  if (resource_id && !group) throw new ApiError('ResourceNotFound', { resource_id })
  const port = target_id && (await context.load('port', target_id, 'share'))
  if (target_id && !port) throw new ApiError('TargetResourceNotFound', { target_id })
  if (port && !takesLogging(port))
    throw new ApiError('LoggingTypeNotSupported', { log_type: resource_type, port_id: target_id })
  if (!port || !resource_id || (port['security_groups'] as readonly string[]).includes(resource_id)) return
  const facts = { resource: resource_type, resource_id, target_resource: 'port', target_id }
  throw new ApiError('InvalidResourceConstraint', facts)
}

/** Interfaces on which Open vSwitch could log: as they are plugged, or as they will be. */
function takesLogging(port: Readonly<Draft>): boolean {
  const vif = String(port['binding:vif_type'])
  if (vif === 'unbound' || vif === 'binding_failed') return port['binding:vnic_type'] === 'normal'
  return vif === 'ovs' || vif === 'vhostuser'
}

/** With what was logged goes its log. */
export async function removeLogs(context: Context, where: { resource_id: string }): Promise<void> {
  for (const one of await context.find('log', where)) await context.remove(log, String(one['id']))
}

export const loggableResource = defineResource({
  name: 'loggable_resource',
  plural: 'loggable_resources',
  path: 'log/loggable-resources',
  table: 'loggable_resources',
  docs: 'A kind of objects that can be logged.',
  notFound: { type: 'HTTPNotFound', param: 'resource' },
  operations: ['list'],
  attributes: { id: uuid({ visible: false }), type: text() },
})
