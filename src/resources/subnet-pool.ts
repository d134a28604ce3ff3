/** Prefixes to cut subnets from, with how large a subnet may be and how much of them a project may have. */
import { ApiError } from '#kernel/errors.ts'
import { bits, formatPrefix, type IpVersion, parsePrefix, type Prefix } from '#kernel/ip.ts'
import { compact, covers } from '#kernel/prefixes.ts'
import {
  type Attribute,
  cidr,
  type Context,
  defineResource,
  type Draft,
  flag,
  list,
  optional,
  Reject,
  type Row,
  text,
  whole,
  type Write,
} from '#model/define.ts'
import { shareable } from './sharing.ts'
import { identity, standard } from './standard.ts'

/** A length of prefixes: taken as a number, answered as text, as Neutron has it. */
function prefixLength(column: string): Attribute<string> {
  const number = whole({ min: 0 })
  return {
    ...text({ set: 'always', filter: true, sort: true, column, sql: `t.${column}::text` }),
    schema: { anyOf: [{ type: 'string', pattern: '^[0-9]+$' }, number.schema] },
    parse: (value) => String(number.parse(value)),
  }
}

const parseName = (value: unknown): string => {
  const name = text().parse(value)
  if (name.trim() === '') throw new Reject(`'${name}' Blank strings are not permitted`)
  return name
}

const attributes = {
  ...identity,
  name: { ...text({ set: 'always', required: true, filter: true, sort: true }), parse: parseName },
  ip_version: whole({ of: [4, 6], filter: true, sort: true }),
  prefixes: list(cidr({ bareAddress: true }), { set: 'always', required: true }),
  min_prefixlen: prefixLength('min_prefixlen'),
  max_prefixlen: prefixLength('max_prefixlen'),
  default_prefixlen: prefixLength('default_prefixlen'),
  /** How much a project may have: IPv4 addresses, or IPv6 prefixes of 64 bits. */
  default_quota: optional(whole({ set: 'always', min: 0, filter: true, sort: true })),
  is_default: flag({ set: 'always', default: false, filter: true, sort: true, policy: true }),
  ...shareable,
  shared: { ...shareable.shared, set: 'create' },
  ...standard,
} as const
export type SubnetPool = Row<typeof attributes>

export const subnetPool = defineResource({
  name: 'subnetpool',
  plural: 'subnetpools',
  table: 'subnetpools',
  docs: 'Prefixes to cut subnets from: a subnet asks for a size, or for a block, and gets it if it is free.',
  notFound: { type: 'SubnetPoolNotFound', param: 'subnetpool_id' },
  quota: 'subnetpool',
  inUse: () => new ApiError('SubnetPoolDeleteError', { reason: 'Subnet pool has existing allocations' }),
  conflicts: {
    subnetpools_one_default: () =>
      new ApiError('InvalidInput', {
        error_message:
          'A default subnetpool for this IP family has already been set. Only one default may exist per IP family',
      }),
  },
  attributes,
  inTx: async (context, write) => {
    if (write.op === 'create') return createPool(context, write.after as SubnetPool)
    return write.op === 'update' ? updatePool(context, write) : undefined
  },
})

async function createPool(context: Context, wanted: SubnetPool): Promise<Partial<Draft>> {
  const prefixes = prefixesOf(wanted.prefixes)
  const ip_version = (prefixes[0] as Prefix).version
  const decided = { ip_version, prefixes: prefixes.map(formatPrefix), ...boundsOf(wanted, ip_version) }
  await context.prefixes.reset(wanted.id, decided.prefixes)
  return decided
}

async function updatePool(context: Context, { before, after, internal }: Write<SubnetPool>): Promise<Partial<Draft>> {
  const [old, wanted] = [before as SubnetPool, after as SubnetPool]
  const bounds = boundsOf(wanted, old.ip_version as IpVersion)
  const prefixes = prefixesOf(wanted.prefixes).map(formatPrefix)
  if (prefixes.join() === old.prefixes.join()) return { ...bounds, prefixes: old.prefixes }
  if (!internal) requireKept(prefixesOf(old.prefixes), prefixesOf(wanted.prefixes))
  await context.prefixes.reset(old.id, prefixes)
  return { ...bounds, prefixes }
}

/** What clients write may be more, never less: `remove_prefixes` takes away. */
function requireKept(old: readonly Prefix[], wanted: readonly Prefix[]): void {
  if (old[0]?.version === wanted[0]?.version && covers(wanted, old)) return
  throw new ApiError('IllegalSubnetPoolPrefixUpdate', {
    msg: 'Existing prefixes must be a subset of the new prefixes',
  })
}

/** As few prefixes as there can be. Throws EmptySubnetPoolPrefixList, PrefixVersionMismatch. */
export function prefixesOf(texts: readonly string[]): Prefix[] {
  const prefixes = texts.map((one) => parsePrefix(one) as Prefix)
  const [first] = prefixes
  if (!first) throw new ApiError('EmptySubnetPoolPrefixList')
  if (prefixes.some((one) => one.version !== first.version)) throw new ApiError('PrefixVersionMismatch')
  return compact(prefixes)
}

type Bounds = Pick<SubnetPool, 'min_prefixlen' | 'max_prefixlen' | 'default_prefixlen'>

/** Lengths left out are Neutron's: from /8 or /64 to whole addresses, the largest by default. */
function boundsOf(wanted: Bounds, version: IpVersion): Bounds {
  const longest = bits(version)
  const min = Number(wanted.min_prefixlen ?? (version === 4 ? 8 : 64))
  const max = Number(wanted.max_prefixlen ?? longest)
  const standard = Number(wanted.default_prefixlen ?? min)
  inOrder(['min_prefixlen', min], ['max_prefixlen', max])
  inOrder(['max_prefixlen', max], ['ip_version_max', longest])
  inOrder(['min_prefixlen', min], ['default_prefixlen', standard], 'second')
  inOrder(['default_prefixlen', standard], ['max_prefixlen', max])
  return { min_prefixlen: String(min), max_prefixlen: String(max), default_prefixlen: String(standard) }
}

type Bound = readonly [name: string, length: number]

function inOrder(low: Bound, high: Bound, wrong: 'first' | 'second' = 'first'): void {
  if (low[1] <= high[1]) return
  const [[prefix_type, prefixlen], [base_prefix_type, base_prefixlen]] = wrong === 'first' ? [low, high] : [high, low]
  throw new ApiError('IllegalSubnetPoolPrefixBounds', { prefix_type, prefixlen, base_prefix_type, base_prefixlen })
}
