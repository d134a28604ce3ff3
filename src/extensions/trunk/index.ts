/** Trunks: one port that carries the VLANs of others, for servers that tag by themselves. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Call,
  type Context,
  defineExtension,
  defineResource,
  dictionary,
  type Draft,
  flag,
  list,
  oneOf,
  optional,
  parseUuid,
  type Resource,
  type Row,
  structure,
  text,
  uuid,
  type Write,
} from '#model/define.ts'
import { identity, standard } from '#resources/standard.ts'
import { type SubPort, resolveSubPorts, subPortList } from './sub-ports.ts'

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  port_id: uuid({ set: 'create', required: true, filter: true, sort: true }),
  admin_state_up: flag({ set: 'always', default: true, filter: true, sort: true }),
  status: oneOf(['ACTIVE', 'DOWN', 'BUILD', 'DEGRADED', 'ERROR'], { sort: true, filter: true }),
  sub_ports: subPortList({ set: 'create' }),
  ...standard,
} as const
type Trunk = Row<typeof attributes>

const refuseDisabled = ({ id, admin_state_up }: Pick<Trunk, 'id' | 'admin_state_up'>): void => {
  if (!admin_state_up) throw new ApiError('TrunkDisabled', { trunk_id: id })
}

/** Where a trunk's parent is bound, its VLANs would have to be wired under a running server. */
const isBound = (port: Readonly<Draft> | undefined): boolean => Boolean(port?.['binding:host_id'])

async function createTrunk(context: Context, wanted: Trunk): Promise<Partial<Draft>> {
  const { port_id } = wanted
  const parent = await context.load('port', port_id)
  if (parent?.['trunk:subport_of']) throw new ApiError('TrunkPortInUse', { port_id })
  if (parent?.['trunk_details'] || isBound(parent)) throw new ApiError('ParentPortInUse', { port_id })
  const sub_ports = await resolveSubPorts(context, { ...wanted, sub_ports: [] }, wanted.sub_ports)
  return { status: 'DOWN', sub_ports }
}

async function deleteTrunk(context: Context, gone: Trunk): Promise<undefined> {
  refuseDisabled(gone)
  if (isBound(await context.load('port', gone.port_id))) throw new ApiError('TrunkInUse', { trunk_id: gone.id })
}

type Held = Omit<Trunk, 'sub_ports'> & { readonly sub_ports: readonly SubPort[] }
type Change = (context: Context, current: Held, given: readonly SubPort[]) => Promise<readonly SubPort[]>

async function changed(context: Context, { object, body }: Call, change: Change): Promise<Draft> {
  const current = object as Held
  refuseDisabled(current)
  const sub_ports = await change(context, current, body['sub_ports'] as readonly SubPort[])
  return context.shown('trunk', await context.update(trunk as Resource, current.id, { sub_ports, status: 'DOWN' }))
}

const added: Change = async (context, current, given) => {
  if (current.status === 'ERROR') throw new ApiError('TrunkInErrorState', { trunk_id: current.id })
  return [...current.sub_ports, ...(await resolveSubPorts(context, current, given))]
}

const removed: Change = async (_, current, given) => {
  const going = new Set(given.map((one) => one.port_id))
  const unknown = given.find(({ port_id }) => !current.sub_ports.some((one) => one.port_id === port_id))
  if (unknown) throw new ApiError('SubPortNotFound', { port_id: unknown.port_id, trunk_id: current.id })
  return current.sub_ports.filter(({ port_id }) => !going.has(port_id))
}

const named = structure<Pick<SubPort, 'port_id'> & Partial<SubPort>>({
  port_id: { schema: { type: 'string', format: 'uuid' }, parse: parseUuid, required: true },
  segmentation_type: { schema: { type: 'string' }, parse: String },
  segmentation_id: { schema: { type: 'integer' }, parse: Number },
})

const actions: readonly Action[] = [
  {
    name: 'get_subports',
    method: 'GET',
    path: 'get_subports',
    rule: 'get_subports',
    docs: 'The subports of the trunk.',
    run: async (_, { object }) => ({ sub_ports: object['sub_ports'] }),
  },
  {
    name: 'add_subports',
    method: 'PUT',
    path: 'add_subports',
    rule: 'add_subports',
    body: { sub_ports: subPortList({ set: 'create', required: true }) },
    docs: 'Adds ports to the trunk, each with a VLAN of its own.',
    run: (context, call) => changed(context, call, added),
  },
  {
    name: 'remove_subports',
    method: 'PUT',
    path: 'remove_subports',
    rule: 'remove_subports',
    body: { sub_ports: list(named, { set: 'create', required: true }) },
    docs: 'Takes ports out of the trunk.',
    run: (context, call) => changed(context, call, removed),
  },
]

export const trunk = defineResource({
  name: 'trunk',
  plural: 'trunks',
  table: 'trunks',
  docs: 'A parent port and its subports, each a port of another network that the parent carries under a VLAN tag.',
  notFound: { type: 'TrunkNotFound', param: 'trunk_id' },
  quota: 'trunk',
  references: { port_id: { resource: 'port' } },
  conflicts: { trunks_one_parent: 'again', trunk_ports_one_trunk: 'again', trunk_ports_one_segment: 'again' },
  attributes,
  actions,
  inTx: async (context, { op, before, after }: Write<Trunk>) => {
    if (op === 'create') return createTrunk(context, after as Trunk)
    if (op === 'delete') return deleteTrunk(context, before as Trunk)
    return undefined
  },
})

const subPortsOf = `(select coalesce(json_agg(json_build_object('port_id', s.id, 'segmentation_type', s.segmentation_type,
  'segmentation_id', s.segmentation_id, 'mac_address', p.mac_address) order by s.segmentation_id, s.id), '[]')
  from trunk_ports s join ports p on p.id = s.id where s.trunk_id = k.id and not s.parent)`

const details = defineExtension({
  alias: 'trunk-details',
  name: 'Trunk port details',
  description: 'The trunk of a parent port, with its subports and their MACs.',
  updated: '2016-01-01T10:00:00-00:00',
  requires: ['trunk'],
  on: {
    port: {
      attributes: {
        trunk_details: optional(
          dictionary({
            policy: true,
            sql: `(case when k.id is not null then json_build_object('trunk_id', k.id, 'sub_ports', ${subPortsOf}) end)`,
            beside: { table: 'trunks', as: 'k', on: 'k.port_id = t.id' },
          }),
          {},
        ),
        'trunk:subport_of': optional(
          uuid({
            visible: false,
            sql: '(select s.trunk_id from trunk_ports s where s.id = t.id and not s.parent)',
          }),
          {},
        ),
      },
      async inTx(_, { op, before }) {
        if (op !== 'delete' || !before) return undefined
        const port_id = before['id']
        const trunk_id = before['trunk:subport_of']
        if (trunk_id) throw new ApiError('PortInUseAsSubPort', { port_id, trunk_id })
        const parent = before['trunk_details'] as { readonly trunk_id: string } | null
        if (parent) throw new ApiError('PortInUseAsTrunkParent', { port_id, trunk_id: parent.trunk_id })
        return undefined
      },
    },
  },
})

const trunks = defineExtension({
  alias: 'trunk',
  name: 'Trunk Extension',
  description: 'Ports that carry the VLANs of others.',
  updated: '2016-01-01T10:00:00-00:00',
  resources: [trunk as Resource],
})

export const trunkPorts = Object.freeze([trunks, details])
