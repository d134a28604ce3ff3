/** The subports of a trunk: what a body may say of them, and what they become once their ports are known. */
import { ApiError } from '#kernel/errors.ts'
import { type Context, type Draft, list, parseUuid, Reject, structure, whole } from '#model/define.ts'

export interface SubPort {
  readonly port_id: string
  readonly segmentation_type: string
  readonly segmentation_id: number
}

/** Type and id may be left out where the port's network gives them (`inherit`). */
type Asked = Pick<SubPort, 'port_id'> & Partial<SubPort>

const asked = structure<Asked>({
  port_id: { schema: { type: 'string', format: 'uuid' }, parse: parseUuid, required: true },
  segmentation_type: {
    schema: { type: 'string', enum: ['vlan', 'inherit'] },
    parse: (value) => {
      if (value === 'vlan' || value === 'inherit') return value
      throw new Reject(`Unknown segmentation_type '${String(value)}'`)
    },
  },
  segmentation_id: {
    schema: { type: 'integer', minimum: 1, maximum: 4094 },
    parse: whole({ min: 1, max: 4094 }).parse,
  },
})

const INCOMPLETE = 'missing segmentation information. Must specify both segmentation_id and segmentation_type'

/** A list of subports, none of its ports and none of its segments twice. */
const parseSubPorts = (value: unknown): readonly Asked[] => {
  const given = list(asked).parse(value)
  const ports = new Set<string>()
  const segments = new Set<string>()
  for (const { port_id, segmentation_type, segmentation_id } of given) {
    if (segmentation_type !== 'inherit' && (segmentation_type === undefined) !== (segmentation_id === undefined))
      throw new Reject(`Invalid subport details '${port_id}': ${INCOMPLETE}`)
    if (ports.has(port_id)) throw new Reject(`Duplicate subport port_id '${port_id}'`)
    ports.add(port_id)
    if (segmentation_id === undefined) continue
    const segment = `${segmentation_type} ${segmentation_id}`
    if (segments.has(segment))
      throw new Reject(`Segmentation ID '${segmentation_id}' for '${String(segmentation_type)}' is not unique`)
    segments.add(segment)
  }
  return given
}

export const subPortList = (options: { readonly set: 'create'; readonly required?: boolean }) => {
  const { required = false } = options
  return {
    ...list(asked, { set: 'create', policy: true, ...(required ? { required } : { default: [] }) }),
    parse: parseSubPorts,
  }
}

/** What the checks need to know of the trunk the ports join. */
interface Joined {
  readonly id: string
  readonly port_id: string
  readonly sub_ports: readonly SubPort[]
}

/** The subports with their segments, or what is wrong with the first that is wrong. Two statements for any number. */
export async function resolveSubPorts(context: Context, trunk: Joined, given: readonly Asked[]): Promise<SubPort[]> {
  if (given.length === 0) return []
  const ports = byId(await context.visible('port', [...given.map((one) => one.port_id), trunk.port_id]))
  const networkIds = [...new Set([...ports.values()].map((one) => String(one['network_id'])))]
  const networks = byId(await context.find('network', { id: networkIds }))
  const networkOf = (portId: string): Readonly<Draft> | undefined =>
    networks.get(String(ports.get(portId)?.['network_id']))
  const trunkMtu = Number(networkOf(trunk.port_id)?.['mtu'])
  return given.map((one) => {
    const { port_id } = one
    if (port_id === trunk.port_id) throw new ApiError('ParentPortInUse', { port_id })
    const port = ports.get(port_id)
    if (!port) throw new ApiError('PortNotFound', { port_id })
    const mtu = Number(networkOf(port_id)?.['mtu'])
    if (mtu > trunkMtu)
      throw new ApiError('SubPortMtuGreaterThanTrunkPortMtu', {
        port_id,
        port_mtu: mtu,
        trunk_id: trunk.id,
        trunk_mtu: trunkMtu,
      })
    const segment = segmentOf(one, networkOf(port_id))
    refuseUsed(port)
    refuseTaken(trunk, segment)
    return { port_id, ...segment }
  })
}

const byId = (objects: readonly Readonly<Draft>[]): Map<string, Readonly<Draft>> =>
  new Map(objects.map((one) => [String(one['id']), one]))

function segmentOf(given: Asked, network: Readonly<Draft> | undefined): Omit<SubPort, 'port_id'> {
  const inherits = given.segmentation_type === 'inherit'
  const segmentation_type = inherits ? network?.['provider:network_type'] : given.segmentation_type
  const segmentation_id = inherits ? network?.['provider:segmentation_id'] : given.segmentation_id
  if (typeof segmentation_type !== 'string' || typeof segmentation_id !== 'number')
    throw new ApiError('InvalidInput', {
      error_message: `Invalid subport details '${given.port_id}': ${INCOMPLETE}`,
    })
  if (segmentation_type !== 'vlan')
    throw new ApiError('InvalidInput', { error_message: `Unknown segmentation_type '${segmentation_type}'` })
  return { segmentation_type, segmentation_id }
}

/** A subport is nobody's interface yet. */
function refuseUsed(port: Readonly<Draft>): void {
  const port_id = port['id']
  if (port['trunk:subport_of']) throw new ApiError('TrunkPortInUse', { port_id })
  if (port['trunk_details']) throw new ApiError('ParentPortInUse', { port_id })
  if (port['device_id'])
    throw new ApiError('PortInUse', { port_id, net_id: port['network_id'], device_id: port['device_id'] })
}

function refuseTaken({ id, sub_ports }: Joined, segment: Omit<SubPort, 'port_id'>): void {
  const { segmentation_type, segmentation_id } = segment
  const taken = sub_ports.some(
    (one) => one.segmentation_type === segmentation_type && one.segmentation_id === segmentation_id,
  )
  if (taken) throw new ApiError('DuplicateSubPort', { segmentation_type, segmentation_id, trunk_id: id })
}
