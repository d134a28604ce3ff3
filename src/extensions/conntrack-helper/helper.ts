/** A conntrack helper of a router: connections to this port are followed, so that those they announce are let through. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Context,
  defineResource,
  dictionary,
  type ExtensionPart,
  list,
  oneOf,
  type Refused,
  type Resource,
  type Row,
  text,
  uuid,
  whole,
} from '#model/define.ts'

/** Linux's helpers, with the protocols each of them reads. */
const HELPERS: Readonly<Record<string, readonly string[]>> = {
  amanda: ['tcp'],
  ftp: ['tcp'],
  h323: ['udp', 'tcp'],
  irc: ['tcp'],
  'netbios-ns': ['udp'],
  pptp: ['tcp'],
  sane: ['tcp'],
  sip: ['udp', 'tcp'],
  snmp: ['udp'],
  tftp: ['udp'],
}
const PROTOCOLS = ['dccp', 'icmp', 'ipv6-icmp', 'sctp', 'tcp', 'udp'] as const

const ofRouter = '(select r.project_id from routers r where r.id = t.router_id)'
const always = { set: 'always', required: true, filter: true, sort: true } as const

const attributes = {
  id: uuid({ filter: true, sort: true }),
  /** The router's. */
  project_id: text({ set: 'create', visible: false }),
  'ext_parent:project_id': text({ visible: false, sql: ofRouter }),
  router_id: uuid({ visible: false }),
  protocol: oneOf(PROTOCOLS, always),
  port: whole({ ...always, min: 1, max: 65_535 }),
  helper: text({ ...always, max: 64 }),
  revision_number: whole({ visible: false, max: Number.MAX_SAFE_INTEGER }),
} as const
type ConntrackHelper = Row<typeof attributes>

export const conntrackHelper: Resource = defineResource({
  name: 'router_conntrack_helper',
  singular: 'conntrack_helper',
  plural: 'conntrack_helpers',
  policyName: 'router_conntrack_helper',
  path: 'conntrack_helpers',
  parent: { resource: 'router', attribute: 'router_id' },
  table: 'conntrack_helpers',
  docs: 'A protocol that a router’s connection tracking follows at a port.',
  notFound: { type: 'ConntrackHelperNotFound', param: 'id' },
  references: { router_id: { resource: 'router', policyAttributes: ['project_id'] } },
  bumps: ['router_id'],
  conflicts: { conntrack_helpers_once: duplicate, conntrack_helpers_router_id_fkey: 'again' },
  attributes,
  check: ({ after }) => (after ? checkHelper(after) : []),
  inTx: async (context, { op, after }) => {
    if (op !== 'create' || !after) return undefined
    return { project_id: (await context.load('router', after.router_id))?.['project_id'] }
  },
}) as unknown as Resource

function checkHelper({ helper, protocol }: ConntrackHelper): ApiError[] {
  const supported = Object.hasOwn(HELPERS, helper) ? HELPERS[helper] : undefined
  if (!supported) return [new ApiError('ConntrackHelperNotAllowed', { helper })]
  if (supported.includes(protocol)) return []
  return [new ApiError('InvalidProtocolForHelper', { helper, protocol, supported_protocols: supported.join(', ') })]
}

function duplicate({ values: [router_id, protocol, port, helper] }: Refused): ApiError {
  const msg = `A duplicate conntrack helper entry with same attributes already exists, conflicting values are router_id ${router_id}, protocol ${protocol}, port ${port}, helper ${helper}`
  return new ApiError('BadRequest', { resource: 'conntrack_helper', msg })
}

const shown = `(select coalesce(json_agg(json_build_object('protocol', h.protocol, 'port', h.port, 'helper', h.helper)
    order by h.protocol, h.port, h.helper), '[]')
  from conntrack_helpers h where h.router_id = t.id)`

/** A router shows its helpers, and takes them with it. */
export const helpedRouters: ExtensionPart = {
  attributes: { conntrack_helpers: list(dictionary(), { sql: shown }) },
  async inTx(context: Context, { op, before }) {
    const helpers = (before?.['conntrack_helpers'] ?? []) as readonly unknown[]
    if (op !== 'delete' || helpers.length === 0) return undefined
    for (const one of await context.find(conntrackHelper.name, { router_id: String(before?.['id']) }))
      await context.remove(conntrackHelper, String(one['id']))
    return undefined
  },
}
