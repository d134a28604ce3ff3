/** A port that answers to a local IP on its host. */
import { ApiError } from '#kernel/errors.ts'
import {
  address,
  defineResource,
  optional,
  type Refused,
  type Resource,
  type Row,
  text,
  uuid,
  whole,
} from '#model/define.ts'
import { addressOf, badRequest } from './address.ts'

const ofLocalIp = (column: string): string => `(select l.${column} from local_ips l where l.id = t.local_ip_id)`

const attributes = {
  id: uuid({ visible: false }),
  /** The local IP's. */
  project_id: text({ set: 'create', visible: false }),
  'ext_parent:project_id': text({ visible: false, sql: ofLocalIp('project_id') }),
  local_ip_id: uuid(),
  local_ip_address: address({ filter: true, sort: true, sql: ofLocalIp('local_ip_address') }),
  fixed_port_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  fixed_ip: optional(address({ set: 'create', filter: true, sort: true })),
  fixed_subnet_id: uuid({ visible: false }),
  /** Where the port is bound; it has a history of its own. */
  host: text({ filter: true, sort: true, sql: '(select p.binding_host from ports p where p.id = t.fixed_port_id)' }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type Association = Row<typeof attributes>

export const localIpAssociation: Resource = defineResource({
  name: 'local_ip_port_association',
  singular: 'port_association',
  plural: 'port_associations',
  policyName: 'local_ip_port_association',
  path: 'port_associations',
  parent: { resource: 'local_ip', attribute: 'local_ip_id' },
  key: 'fixed_port_id',
  table: 'local_ip_associations',
  docs: 'A port that a local IP leads to on the host of the port.',
  notFound: { type: 'LocalIPAssociationNotFound', param: 'port_id' },
  operations: ['list', 'show', 'create', 'delete'],
  references: { local_ip_id: { resource: 'local_ip', policyAttributes: ['project_id'] } },
  conflicts: {
    local_ip_associations_once: duplicate,
    local_ip_associations_need_fixed_ip: 'again',
    local_ip_associations_fixed_port_id_fkey: 'again',
  },
  attributes,
  inTx: async (context, { op, after }) => {
    if (op !== 'create') return undefined
    const { local_ip_id, fixed_port_id, fixed_ip } = after as Association
    const local = await context.load('local_ip', local_ip_id)
    const [port] = await context.visible('port', [fixed_port_id])
    if (!port) throw badRequest('local_ip_port_association', `Port ${fixed_port_id} not found`)
    const { ip_address, subnet_id } = addressOf(port, fixed_ip)
    return { project_id: local?.['project_id'], fixed_ip: ip_address, fixed_subnet_id: subnet_id }
  },
}) as unknown as Resource

function duplicate({ values }: Refused): ApiError {
  return new ApiError('NeutronDbObjectDuplicateEntry', {
    object_type: 'LocalIPAssociation',
    attributes: 'local_ip_id, fixed_port_id',
    values: values.join(', '),
  })
}
