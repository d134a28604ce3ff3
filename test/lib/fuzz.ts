/**
 * Generated requests for every operation the model has: values of an attribute's schema, mostly acceptable, and now and
 * then what no client should send. Ids are placeholders until a request goes out: what exists then is drawn.
 */
import fc from 'fast-check'
import type { Attribute, JsonSchema } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { Action } from '#model/define.ts'
import { OUTSIDE } from './fuzz-world.ts'

const ADDRESSES = ['10.0.0.5', '10.0.0.77', '10.0.1.9', '2001:db8::5', '192.0.2.1', '10.0.0.0', '10.0.0.255']
const CIDRS = [
  '10.0.0.0/24',
  '10.0.1.0/28',
  '10.0.0.0/16',
  '2001:db8::/64',
  '2001:db8:1::/80',
  '10.9.0.0/31',
  '10.9.9.9/32',
  '2001:db8::/127',
]
const MACS = ['fa:16:3e:00:00:01', 'fa:16:3e:00:00:02', 'FA-16-3E-00-00-03']
const nonsense = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    0,
    -1,
    2 ** 31,
    2 ** 53,
    1.5,
    1e308,
    true,
    [],
    {},
    [null],
    [[]],
    [{}],
    { a: { b: [] } },
    'constructor',
    '\u0000',
    '\ud800',
    '%',
    "'; drop table ports; --",
    'ü'.repeat(300),
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
)

/** Values of a schema, mostly acceptable. */
function valueOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['anyOf'])) return fc.oneof(...(schema['anyOf'] as JsonSchema[]).map(valueOf))
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
  if (schema['format'] === 'uuid') return fc.constant('?id')
  switch (schema['type']) {
    case 'boolean':
      return fc.oneof(fc.boolean(), fc.constantFrom('true', 'False', 1, 0))
    case 'integer': {
      const [min, max] = [Number(schema['minimum'] ?? -1000), Number(schema['maximum'] ?? 1000)]
      return fc.oneof(
        fc.integer({ min: Math.max(min, -(2 ** 31)), max: Math.min(max, 2 ** 31 - 1) }),
        fc.constantFrom(min, max, min - 1, max + 1),
      )
    }
    case 'array':
      return fc.array(valueOf((schema['items'] as JsonSchema | undefined) ?? {}), { maxLength: 3 })
    case 'object': {
      const properties = Object.entries((schema['properties'] as Record<string, JsonSchema> | undefined) ?? {})
      return fc.record(Object.fromEntries(properties.map(([name, one]) => [name, valueOf(one)])), { requiredKeys: [] })
    }
    default:
      return fc.oneof(
        fc.constantFrom(...ADDRESSES, ...CIDRS, ...MACS),
        fc.string({ maxLength: 12 }),
        fc.constantFrom('tcp', 'icmp', 'h1', 'p1', ''),
      )
  }
}

const HINTS: Readonly<Record<string, readonly unknown[]>> = {
  cidr: CIDRS,
  mac_address: MACS,
  gateway_ip: [...ADDRESSES, null],
  ip_version: [4, 6],
  mtu: [0, 68, 1280, 1450, 1500],
  project_id: ['p1', 'p2'],
}

const attributeValue = (name: string, attribute: Attribute): fc.Arbitrary<unknown> => {
  const hints = HINTS[name]
  const good = hints
    ? fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...hints) }, valueOf(attribute.schema))
    : valueOf(attribute.schema)
  return fc.oneof({ weight: 40, arbitrary: good }, { weight: 1, arbitrary: nonsense })
}

/** A body's object: required attributes nearly always, others sometimes, now and then what does not belong. */
function bodyOf(
  resource: Pick<ComposedResource, 'attributes'>,
  op: 'create' | 'update',
): fc.Arbitrary<Record<string, unknown>> {
  const settable = Object.entries(resource.attributes).filter(([, { set }]) => set === 'always' || set === op)
  const needed = settable
    .filter(([name, { required }]) => op === 'create' && (required || name === 'cidr'))
    .map(([name]) => name)
  const shape = Object.fromEntries(settable.map(([name, attribute]) => [name, attributeValue(name, attribute)]))
  const optional = settable.map(([name]) => name).filter((name) => name !== 'project_id')
  const names = fc.oneof(
    { weight: 20, arbitrary: fc.subarray(optional, { maxLength: Math.min(3, optional.length) }) },
    { weight: 1, arbitrary: fc.constant<string[]>(['project_id']) },
  )
  const foreign = fc.tuple(fc.constantFrom('id', 'status', 'nonsense', 'revision_number', '__proto__'), nonsense)
  const extra = fc.oneof({ weight: 30, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: foreign })
  return fc.tuple(fc.record(shape), names, extra).map(([values, chosen, extra]) => ({
    ...Object.fromEntries(Object.entries(values).filter(([name]) => needed.includes(name) || chosen.includes(name))),
    ...(extra && { [extra[0]]: extra[1] }),
  }))
}

function queryOf(resource: ComposedResource): fc.Arbitrary<string> {
  const names = [
    ...Object.keys(resource.attributes),
    'fixed_ips',
    'limit',
    'marker',
    'sort_key',
    'sort_dir',
    'fields',
    'as_of',
    'changed_since',
    'page_reverse',
    'nonsense',
    '',
  ]
  const sample = fc.oneof(
    fc.constantFrom(
      ...ADDRESSES,
      ...CIDRS,
      ...MACS,
      'true',
      'asc',
      'name',
      'id',
      '3',
      'ip_address=10.0.0.5',
      'subnet_id=x',
      'ip_address_substr=%',
      '2026-01-01T00:00:00Z',
      '9999-12-31T00:00:00Z',
      '9999-12-31T23:59:59-14:00',
      '0001-01-01T00:00:00+14:00',
      '0001-01-01',
      '',
    ),
    fc.string({ unit: 'binary', maxLength: 10 }),
  )
  return fc
    .array(fc.tuple(fc.constantFrom(...names), sample), { maxLength: 3 })
    .map((pairs) =>
      pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value.toWellFormed())}`).join('&'),
    )
}

/** What is asked of the API; `body` still has placeholders for ids. */
export interface Step {
  /** `list`, `show`, `create`, `update`, `delete`, or the name of one of the resource's actions. */
  readonly kind: string
  /** Its name. */
  readonly resource: string
  readonly body: unknown
  readonly query: string
  /** Decides which ids are drawn. */
  readonly seed: number
  /** Number of the caller. */
  readonly by: number
  readonly headers: Readonly<Record<string, string>>
}

const HEADERS = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  fc.constantFrom<Record<string, string>>(
    { 'if-match': 'revision_number=1' },
    { 'if-match': 'x' },
    { 'idempotency-key': 'k1' },
    { 'idempotency-key': 'k2' },
  ),
)

const DRY = fc.constantFrom('', '', '', 'dry_run=true')
const NONE = fc.constant(undefined)

function creating(resource: ComposedResource): fc.Arbitrary<unknown> {
  const { singular, plural } = resource
  const several = fc.array(bodyOf(resource, 'create'), { maxLength: 3 })
  return fc.oneof(
    { weight: 6, arbitrary: bodyOf(resource, 'create').map((one) => ({ [singular]: one })) },
    { weight: 1, arbitrary: several.map((all) => ({ [plural]: all })) },
    { weight: 1, arbitrary: nonsense },
  )
}

const changing = (resource: ComposedResource): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 8, arbitrary: bodyOf(resource, 'update').map((one) => ({ [resource.singular]: one })) },
    { weight: 1, arbitrary: nonsense },
  )

function acting({ body, envelope = null }: Action): fc.Arbitrary<unknown> {
  if (!body) return NONE
  const given = bodyOf({ attributes: body as ComposedResource['attributes'] }, 'create')
  return fc.oneof(
    { weight: 8, arbitrary: given.map((one) => (envelope === null ? one : { [envelope]: one })) },
    { weight: 1, arbitrary: nonsense },
  )
}

const BODIES = { list: () => NONE, show: () => NONE, delete: () => NONE, create: creating, update: changing } as const
const WEIGHTS = { create: 5, update: 3, delete: 2, list: 2, show: 1 } as const

/** One request of any of these resources, by one of `callers` callers. */
export const stepOf = (resources: readonly ComposedResource[], callers: number): fc.Arbitrary<Step> =>
  fc.constantFrom(...resources).chain((resource) => {
    const step = (kind: string, body: fc.Arbitrary<unknown>, query: fc.Arbitrary<string>): fc.Arbitrary<Step> =>
      fc.record({
        kind: fc.constant(kind),
        resource: fc.constant(resource.name),
        body,
        query,
        seed: fc.nat(10_000),
        by: fc.nat(callers - 1),
        headers: HEADERS,
      })
    const usual = (Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).map((kind) => ({
      // What is not offered is refused by the router: seldom of interest.
      weight: resource.operations.includes(kind) ? 10 * WEIGHTS[kind] : 1,
      arbitrary: step(kind, BODIES[kind](resource), kind === 'list' || kind === 'show' ? queryOf(resource) : DRY),
    }))
    const actions = resource.actions.map((action) => ({
      weight: 10,
      arbitrary: step(action.name, acting(action), DRY),
    }))
    return fc.oneof(...usual, ...actions)
  })

/** Words that speak of a resource without its name. */
const WORDS: Readonly<Record<string, string>> = {
  'external_gateway_info.network_id': OUTSIDE,
  floating_network_id: OUTSIDE,
  remote_group_id: 'security_group',
  resource_id: 'security_group',
  object_id: 'qos_policy',
  security_groups: 'security_group',
  ext_parent_port_id: 'port',
}

/** The resource whose objects the attribute or parameter `key` speaks of, by its references or by its name. */
export function kindMeant(key: string, resource: ComposedResource, names: readonly string[]): string {
  const word = WORDS[key] ?? WORDS[key.split('.').at(-1) as string]
  if (word) return word
  const referred = resource.references[key]?.resource
  if (referred) return referred
  const within = names.filter((name) => key.includes(name)).sort((a, b) => b.length - a.length)
  return within[0] ?? (/group/.test(key) ? 'security_group' : 'port')
}
