/**
 * What clients do with bindings. Each runs with the port's row locked, so that of any number of writers one after
 * another is served, and a port never has two active bindings or none.
 */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  type Attribute,
  type Call,
  type Context,
  dictionary,
  type Draft,
  oneOf,
  Reject,
  type Resource,
  text,
} from '#model/define.ts'
import { port as portResource, VNIC_TYPES } from '#resources/port.ts'
import {
  activeOf,
  bind,
  endWaiting,
  giveUp,
  isMovable,
  leaseOf,
  portBinding,
  refusedBinding,
  type Shown,
  shown,
  waitingOf,
} from './binding.ts'
import type { Waiting } from './binding.ts'
import { listed, withFields } from './listing.ts'

const ports = portResource as unknown as Resource
type Run = (context: Context, call: Call) => Promise<unknown>

/** Refuses what Neutron refuses: ports that belong to no server. */
const ofServers =
  (run: Run): Run =>
  (context, call) => {
    if (isMovable(call.object)) return run(context, call)
    const msg = `Invalid port ${String(call.object['id'])}. Operation only valid on compute ports`
    throw new ApiError('BadRequest', { resource: 'port', msg })
  }

const hostName: Attribute<string> = {
  ...text({ set: 'always' }),
  parse: (value) => {
    const host = text().parse(value)
    if (host === '') throw new Reject("'' is no name of a host")
    return host
  },
}
const vnic_type = oneOf(VNIC_TYPES, { set: 'always' })
const profile = dictionary({ set: 'always', max: 4095 })

const hostOf = ({ params }: Call): string => params['host'] ?? ''
const missing = ({ object }: Call, host: string): ApiError =>
  new ApiError('PortBindingNotFound', { port_id: object['id'], host })

async function allOf(context: Context, port: Readonly<Draft>): Promise<readonly Shown[]> {
  const waiting = (await waitingOf(context, port['id'])).toSorted((a, b) => (a.host < b.host ? -1 : 1))
  return [shown(activeOf(port), 'ACTIVE'), ...waiting.map((one) => shown(one, 'INACTIVE'))]
}

const list: Run = async (context, { object, query }) => ({ bindings: listed(await allOf(context, object), query) })

const show: Run = async (context, call) => {
  const host = hostOf(call)
  const found = (await allOf(context, call.object)).find((one) => one.host === host)
  if (!found) throw missing(call, host)
  return { binding: withFields(found, call.query) }
}

const create: Run = async (context, { object: port, body }) => {
  const wanted = {
    host: String(body['host']),
    vnic_type: String(body['vnic_type'] ?? 'normal'),
    profile: (body['profile'] ?? {}) as Waiting['profile'],
  }
  await requireFree(context, port, wanted.host)
  const bound = await bind(context, port, wanted)
  const values = { port_id: port['id'], ...wanted, ...bound, proven: false, expires_at: leaseOf(context) }
  const made = await context.create(portBinding, values)
  return { binding: shown(made as unknown as Waiting, 'INACTIVE') }
}

async function requireFree(context: Context, port: Readonly<Draft>, host: string): Promise<void> {
  if ((await allOf(context, port)).some((one) => one.host === host))
    throw new ApiError('PortBindingAlreadyExists', { port_id: port['id'], host })
}

/** What was not given stays. Whatever is given, a binding that waits begins its lease anew. */
const update: Run = async (context, call) => {
  const { object: port, body, given } = call
  const host = hostOf(call)
  const wanted = Object.fromEntries([...given].map((name) => [name, body[name]]))
  const to = typeof wanted['host'] === 'string' ? wanted['host'] : host
  const active = activeOf(port)
  const waiting = (await waitingOf(context, port['id'])).find((one) => one.host === host)
  if (active.host !== host && !waiting) throw missing(call, host)
  if (to !== host) await requireFree(context, port, to)
  if (waiting) return { binding: await updateWaiting(context, port, waiting, wanted) }
  const changed = { ...active, ...wanted }
  const values = {
    'binding:host_id': changed.host,
    'binding:vnic_type': changed.vnic_type,
    'binding:profile': changed.profile,
  }
  if (same(changed, active)) return { binding: shown(active, 'ACTIVE') }
  const image = await context.update(ports, String(port['id']), { ...values, status: 'DOWN' })
  const after = activeOf(image)
  if (after.vif_type === 'binding_failed') throw refusedBinding(port, to, image['binding:failure'])
  return { binding: shown(after, 'ACTIVE') }
}

const same = (one: object, other: object): boolean => JSON.stringify(one) === JSON.stringify(other)

async function updateWaiting(
  context: Context,
  port: Readonly<Draft>,
  waiting: Waiting,
  wanted: Readonly<Draft>,
): Promise<Shown> {
  const changed: Waiting = { ...waiting, ...wanted }
  const again = !same(changed, waiting) || waiting.vif_type === 'unbound'
  const bound = again && { ...(await bind(context, port, changed)), proven: false }
  if (bound) giveUp(context, waiting.levels)
  const image = await context.update(portBinding, waiting.id, { ...wanted, ...bound, expires_at: leaseOf(context) })
  return shown(image as unknown as Waiting, 'INACTIVE')
}

/** Without its active binding a port is bound nowhere. */
const remove: Run = async (context, call) => {
  const { object: port } = call
  const host = hostOf(call)
  const waiting = (await waitingOf(context, port['id'])).find((one) => one.host === host)
  if (waiting) await endWaiting(context, waiting)
  else if (host !== '' && activeOf(port).host === host)
    await context.update(ports, String(port['id']), { 'binding:host_id': '', status: 'DOWN' })
  else throw missing(call, host)
  return undefined
}

/**
 * Swaps. The binding that was active stays as one that waits, unbound, until it is deleted or its lease is over;
 * activated again it is bound anew.
 */
const activate: Run = async (context, call) => {
  const { object: port } = call
  const host = hostOf(call)
  const [id, active] = [String(port['id']), activeOf(port)]
  if (active.host === host) throw new ApiError('PortBindingAlreadyActive', { port_id: id, host })
  const waiting = (await waitingOf(context, id)).find((one) => one.host === host)
  if (!waiting) throw missing(call, host)
  const bound = waiting.vif_type === 'unbound' ? await bind(context, port, waiting) : waiting
  if (bound !== waiting) giveUp(context, waiting.levels)
  // What carried it stays where it was left: until it stands on its new host, the old one delivers.
  const left = { ...active, vif_type: 'unbound', vif_details: {}, levels: port['binding:levels'], proven: false }
  if (active.host === '') await context.remove(portBinding, waiting.id)
  else await context.update(portBinding, waiting.id, { ...left, expires_at: leaseOf(context) })
  const image = await context.update(ports, id, {
    'binding:host_id': host,
    'binding:vnic_type': waiting.vnic_type,
    'binding:profile': waiting.profile,
    'binding:vif_type': bound.vif_type,
    'binding:vif_details': bound.vif_details,
    'binding:levels': bound.levels,
    'binding:failure': null,
    status: 'DOWN',
  })
  return shown(activeOf(image), 'ACTIVE')
}

export const actions: readonly Action[] = [
  {
    name: 'list_port_bindings',
    method: 'GET',
    path: 'bindings',
    rule: 'get_port_binding',
    docs: 'The bindings of a port: the active one, and those that wait for a live migration.',
    run: ofServers(list),
  },
  {
    name: 'create_port_binding',
    method: 'POST',
    path: 'bindings',
    rule: 'create_port_binding',
    body: {
      host: { ...hostName, required: true },
      vnic_type: oneOf(VNIC_TYPES, { set: 'always', default: 'normal' }),
      profile,
      project_id: text({ set: 'always' }),
    },
    envelope: 'binding',
    status: 201,
    docs: 'Binds a port to one more host, without moving it there.',
    run: ofServers(create),
  },
  {
    name: 'show_port_binding',
    method: 'GET',
    path: 'bindings/:host',
    rule: 'get_port_binding',
    docs: 'The binding of a port to a host.',
    run: ofServers(show),
  },
  {
    name: 'update_port_binding',
    method: 'PUT',
    path: 'bindings/:host',
    rule: 'update_port_binding',
    body: { host: hostName, vnic_type, profile },
    envelope: 'binding',
    docs: 'Binds a port to the host anew, as it is wanted now.',
    run: ofServers(update),
  },
  {
    name: 'delete_port_binding',
    method: 'DELETE',
    path: 'bindings/:host',
    rule: 'delete_port_binding',
    status: 204,
    docs: 'Ends the binding of a port to a host.',
    run: ofServers(remove),
  },
  {
    name: 'activate_port_binding',
    method: 'PUT',
    path: 'bindings/:host/activate',
    rule: 'activate_port_binding',
    docs: 'Makes a binding that waits the active one, and the active one one that waits.',
    run: ofServers(activate),
  },
]
