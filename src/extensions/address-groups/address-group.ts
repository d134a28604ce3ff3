/** Address groups: named lists of prefixes, kept in one place for all rules that refer to them. */
import { ApiError } from '#kernel/errors.ts'
import {
  type Action,
  audienceList,
  type Call,
  cidr,
  type Context,
  defineResource,
  flag,
  list,
  type Resource,
  text,
} from '#model/define.ts'
import { identity, standard } from '#resources/standard.ts'

const prefix = cidr()
/** In actions a bare address stands for itself alone. */
const prefixOrAddress = cidr({ bareAddress: true })

/** Canonical prefixes, each once. */
const addresses = (item: typeof prefix, required: boolean) => {
  const kind = list(item, { set: 'create', required, default: [] })
  return { ...kind, parse: (value: unknown) => (value === null ? [] : [...new Set(kind.parse(value))]) }
}

const attributes = {
  ...identity,
  name: text({ set: 'always', default: '', filter: true, sort: true }),
  addresses: addresses(prefix, false),
  /** Said by RBAC policies alone, and shown to nobody; rules ask for it. */
  shared: flag({ visible: false, audience: { list: 'shared_with', sql: 't.shared_with' } }),
  shared_with: audienceList({ column: 'shared_with' }),
  ...standard,
  description: text({ set: 'always', default: '', filter: true, sort: true, max: 1024 }),
  revision_number: { ...standard.revision_number, visible: false },
  created_at: { ...standard.created_at, visible: false },
  updated_at: { ...standard.updated_at, visible: false },
} as const

const held = ({ object }: Call): readonly string[] => object['addresses'] as readonly string[]

const quoted = (prefixes: readonly string[]): string => `[${prefixes.map((one) => `'${one}'`).join(', ')}]`

async function store(context: Context, { object }: Call, prefixes: readonly string[]): Promise<unknown> {
  const changed = await context.update(addressGroup as Resource, String(object['id']), { addresses: prefixes })
  return { address_group: context.shown('address_group', changed) }
}

/** `PUT …/<verb>_addresses`; as in the peer, whoever may change the group may. */
const change = (verb: 'add' | 'remove', docs: string, run: Action['run']): Action => ({
  name: `${verb}_addresses`,
  method: 'PUT',
  path: `${verb}_addresses`,
  rule: 'update_address_group',
  body: { addresses: addresses(prefixOrAddress, true) },
  docs,
  run,
})

const add = change('add', 'Puts prefixes into the group, none of which it holds yet.', (context, call) => {
  const given = call.body['addresses'] as readonly string[]
  const known = given.filter((one) => held(call).includes(one))
  if (known.length > 0)
    throw new ApiError('AddressesAlreadyExist', { addresses: quoted(known), address_group_id: call.object['id'] })
  return store(context, call, [...held(call), ...given])
})

const remove = change('remove', 'Takes prefixes out of the group, all of which it holds.', (context, call) => {
  const given = call.body['addresses'] as readonly string[]
  const missing = given.filter((one) => !held(call).includes(one))
  if (missing.length > 0)
    throw new ApiError('AddressesNotFound', { addresses: quoted(missing), address_group_id: call.object['id'] })
  return store(
    context,
    call,
    held(call).filter((one) => !given.includes(one)),
  )
})

export const addressGroup = defineResource({
  name: 'address_group',
  plural: 'address_groups',
  table: 'address_groups',
  docs: 'A named list of prefixes. Rules of security groups that name it let through what any of its prefixes holds.',
  notFound: { type: 'AddressGroupNotFound', param: 'address_group_id' },
  quota: 'address_group',
  discreet: true,
  inUse: ({ id }) => new ApiError('AddressGroupInUse', { address_group_id: id }, { reason: 'in_use' }),
  attributes,
  actions: [add, remove],
})
