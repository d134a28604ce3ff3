/** `add_prefixes` and `remove_prefixes`: a subnet pool's prefixes, one by one. */
import { ApiError } from '#kernel/errors.ts'
import { formatPrefix, type Prefix, parsePrefix } from '#kernel/ip.ts'
import { compact, overlap, subtract } from '#kernel/prefixes.ts'
import { type Action, type Call, cidr, type Context, defineExtension, list, type Resource } from '#model/define.ts'
import { prefixesOf, subnetPool } from '#resources/subnet-pool.ts'

const body = { prefixes: list(cidr({ bareAddress: true }), { set: 'create', required: true }) }

const parsed = (texts: readonly string[]): Prefix[] => texts.map((one) => parsePrefix(one) as Prefix)

function named({ object, body }: Call): { held: readonly string[]; named: readonly string[] } {
  const prefixes = body['prefixes'] as readonly string[]
  if (prefixes.length === 0) throw new ApiError('HTTPBadRequest', { reason: 'Request body contains invalid data' })
  return { held: object['prefixes'] as readonly string[], named: prefixes }
}

async function store(context: Context, { object }: Call, prefixes: readonly string[]): Promise<unknown> {
  const { prefixes: stored } = await context.update(subnetPool as Resource, String(object['id']), { prefixes })
  return { prefixes: stored }
}

async function add(context: Context, call: Call): Promise<unknown> {
  const { held, named: added } = named(call)
  return store(context, call, prefixesOf([...held, ...added]).map(formatPrefix))
}

async function remove(context: Context, call: Call): Promise<unknown> {
  const { held, named: removed } = named(call)
  const gone = parsed(removed).filter((one) => one.version === call.object['ip_version'])
  if (!overlap(parsed(held), gone)) return { prefixes: held }
  const subnets = await context.find('subnet', { subnetpool_id: String(call.object['id']) })
  const taken = parsed(subnets.map((one) => String(one['cidr'])))
  if (overlap(taken, gone))
    throw new ApiError('IllegalSubnetPoolPrefixUpdate', {
      msg: 'One or more the prefixes to be removed is in use by a subnet.',
    })
  return store(context, call, subtract(parsed(held), compact(gone)).map(formatPrefix))
}

const action = (name: string, docs: string, run: Action['run']): Action => ({
  name,
  method: 'PUT',
  path: name,
  rule: name,
  body,
  docs,
  run,
})

export const prefixOperations = defineExtension({
  alias: 'subnetpool-prefix-ops',
  name: 'Subnet Pool Prefix Operations',
  description: 'Adds prefixes to a subnet pool and takes unused ones away.',
  updated: '2019-02-08T10:00:00-00:00',
  requires: ['subnet_allocation'],
  on: {
    subnetpool: {
      actions: [
        action('add_prefixes', 'Adds prefixes to the pool.', add),
        action('remove_prefixes', 'Takes prefixes from the pool that no subnet uses.', remove),
      ],
    },
  },
})
