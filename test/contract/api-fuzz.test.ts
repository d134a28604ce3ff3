/**
 * Every operation under generated bodies and queries, well formed and not: never a 5xx, never a hang, always JSON in
 * Neutron's form with a status the document announces; afterwards every invariant of the database holds.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { catalogue } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import type { Attribute, JsonSchema } from '#model/attribute.ts'
import type { ComposedResource } from '#model/compose.ts'
import { openApiDocument } from '#api/openapi.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let callers: Client[]

before(async () => {
  const settings = {
    quotaNetwork: 40,
    quotaSubnet: 60,
    quotaPort: 80,
    quotaSecurityGroup: 20,
    quotaSecurityGroupRule: 60,
  }
  server = await testServer({ settings })
  callers = [server.admin, server.admin, server.as('p1'), server.as('p1'), server.as('p2'), server.as('p1', 'reader')]
  for (const [project_id, shared] of [
    ['p1', false],
    ['p1', false],
    ['p2', true],
  ] as const)
    seen.set('network', [
      ...(seen.get('network') ?? []),
      (await server.admin.make('network', { project_id, shared }))['id'],
    ])
})
after(() => server.close())

/** Ids that exist are drawn at the time of the request; a few stand for ids that do not. */
type Draw = (name: string) => string

const seen = new Map<string, string[]>()
const draw =
  (seed: number): Draw =>
  (name) => {
    const known = seen.get(name) ?? []
    return known.length === 0 || seed % 7 === 0 ? newId() : (known[seed % known.length] as string)
  }

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
function bodyOf(resource: ComposedResource, op: 'create' | 'update'): fc.Arbitrary<Record<string, unknown>> {
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

/** The placeholder of an id becomes one of the resource that `key` speaks of. */
function withIds(value: unknown, key: string, pick: Draw): unknown {
  if (value === '?id') {
    const kind = /network/.test(key)
      ? 'network'
      : /subnet/.test(key)
        ? 'subnet'
        : /group/.test(key)
          ? 'security_group'
          : 'port'
    return pick(kind)
  }
  if (Array.isArray(value)) return value.map((one) => withIds(one, key, pick))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withIds(one, name, pick)]))
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

type Step = {
  readonly method: string
  readonly resource: ComposedResource
  readonly body: unknown
  readonly query: string
  readonly seed: number
  readonly by: number
  readonly headers: Record<string, string>
}

function step(resources: readonly ComposedResource[]): fc.Arbitrary<Step> {
  return fc.constantFrom(...resources).chain((resource) => {
    const make = fc.oneof(
      { weight: 6, arbitrary: bodyOf(resource, 'create').map((one) => ({ [resource.name]: one })) },
      {
        weight: 1,
        arbitrary: fc.array(bodyOf(resource, 'create'), { maxLength: 3 }).map((all) => ({ [resource.plural]: all })),
      },
      { weight: 1, arbitrary: nonsense },
    )
    const change = fc.oneof(
      { weight: 8, arbitrary: bodyOf(resource, 'update').map((one) => ({ [resource.name]: one })) },
      { weight: 1, arbitrary: nonsense },
    )
    const [dry, none] = [fc.constantFrom('', '', '', 'dry_run=true'), fc.constant(undefined)]
    const headers = fc.oneof(
      { weight: 8, arbitrary: fc.constant({}) },
      fc.constantFrom<Record<string, string>>(
        { 'if-match': 'revision_number=1' },
        { 'if-match': 'x' },
        { 'idempotency-key': 'k1' },
        { 'idempotency-key': 'k2' },
      ),
    )
    const rest = { resource: fc.constant(resource), seed: fc.nat(10_000), by: fc.nat(5), headers }
    const request = (method: string, body: fc.Arbitrary<unknown>, query: fc.Arbitrary<string>): fc.Arbitrary<Step> =>
      fc.record({ method: fc.constant(method), body, query, ...rest }) as fc.Arbitrary<Step>
    return fc.oneof(
      { weight: 5, arbitrary: request('POST', make, dry) },
      { weight: 3, arbitrary: request('PUT', change, dry) },
      { weight: 2, arbitrary: request('DELETE', none, dry) },
      { weight: 2, arbitrary: request('GET', none, queryOf(resource)) },
      { weight: 1, arbitrary: request('SHOW', none, queryOf(resource)) },
    )
  })
}

async function carryOut({ method, resource, body, query, seed, by, headers }: Step): Promise<Reply> {
  const pick = draw(seed)
  const one = ['PUT', 'DELETE', 'SHOW'].includes(method)
  const path = `${resource.path}${one ? `/${pick(resource.name)}` : ''}${query && `?${query}`}`
  const payload = body === undefined ? undefined : JSON.stringify(withIds(body, '', pick))
  return (callers[by] as Client).send(method === 'SHOW' ? 'GET' : method, path, payload, headers)
}

test('generated requests', { timeout: 120_000 }, async () => {
  const resources = [...server.core.model.resources.values()]
  const document = openApiDocument(server.core.model)
  const announced = ({ method, resource }: Step): string[] => {
    const path = `/v2.0/${resource.path}${['PUT', 'DELETE', 'SHOW'].includes(method) ? '/{id}' : ''}`
    const item = document.paths[path] as Record<string, { responses: object }>
    const operation = item[(method === 'SHOW' ? 'GET' : method).toLowerCase()]
    return operation ? Object.keys(operation.responses) : ['405']
  }
  const tally = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(fc.array(step(resources), { minLength: 4, maxLength: 12 }), async (steps) => {
      for (const each of steps) {
        const reply = await carryOut(each)
        const what = `${each.method} ${each.resource.name} ${JSON.stringify(each.body)}?${each.query} → ${reply.status} ${reply.text.slice(0, 300)}`
        tally.set(reply.status, (tally.get(reply.status) ?? 0) + 1)
        assert.ok(announced(each).includes(String(reply.status)) && noFault(reply), what)
        checkForm(each.resource, reply, what)
        remember(each, reply)
      }
    }),
    { numRuns: 150, endOnFailure: true },
  )
  for (const status of [200, 201, 204, 400, 403, 404, 409])
    assert.ok((tally.get(status) ?? 0) > 0, `never a ${status}: ${JSON.stringify([...tally])}`)
  assert.deepEqual(await verify(server.core), [])
})

/** Pools may be used up; nothing else is the server's. */
const noFault = ({ status, body }: Reply): boolean => status < 500 || body.NeutronError.type === 'NoNetworkAvailable'

function checkForm(resource: ComposedResource, { status, body, text, headers }: Reply, what: string): void {
  if (status === 204) return assert.equal(text, '', what)
  assert.match(String(headers['content-type']), /^application\/json/, what)
  if (status >= 400) {
    const { type, message, detail } = body.NeutronError
    assert.equal(catalogue[type as keyof typeof catalogue].status, status, what)
    assert.ok(typeof message === 'string' && message !== '' && !message.includes('undefined'), what)
    assert.ok(detail === '' || typeof detail === 'object', what)
    return
  }
  const shown = body[resource.name] ? [body[resource.name]] : (body[resource.plural] ?? [])
  const visible = new Set([
    'tenant_id',
    ...Object.keys(resource.attributes).filter((name) => resource.attributes[name]?.visible),
  ])
  for (const one of shown) for (const name of Object.keys(one)) assert.ok(visible.has(name), `${name} in ${what}`)
}

function remember({ method, resource, query }: Step, { status, body }: Reply): void {
  if (method !== 'POST' || status !== 201 || query) return
  const made = body[resource.name] ? [body[resource.name]] : body[resource.plural]
  seen.set(resource.name, [...(seen.get(resource.name) ?? []), ...made.map((one: { id: string }) => one.id)].slice(-30))
}

test('the same requests side by side leave the database whole', { timeout: 120_000 }, async () => {
  const resources = [...server.core.model.resources.values()]
  const steps = fc.sample(step(resources), { numRuns: 400 })
  const replies: Reply[] = []
  for (let at = 0; at < steps.length; at += 20)
    replies.push(...(await Promise.all(steps.slice(at, at + 20).map(carryOut))))
  for (const [index, reply] of replies.entries())
    assert.ok(noFault(reply), `${JSON.stringify(steps[index]?.body)} → ${reply.status} ${reply.text}`)
  assert.deepEqual(await verify(server.core), [])
})
