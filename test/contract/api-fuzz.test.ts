/**
 * Every operation under generated bodies and queries, well formed and not: never a 5xx, never a hang, always JSON in
 * Neutron's form with a status the document announces; afterwards every invariant of the database holds.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { openApiDocument } from '#api/openapi.ts'
import { catalogue } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import type { ComposedResource } from '#model/compose.ts'
import { actionPath, collectionPath, objectPath } from '#model/paths.ts'
import { kindMeant, type Step, stepOf } from '../lib/fuzz.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let callers: Client[]
let resources: ComposedResource[]

before(async () => {
  const settings = {
    quotaNetwork: 40,
    quotaSubnet: 60,
    quotaPort: 80,
    quotaSecurityGroup: 20,
    quotaSecurityGroupRule: 60,
  }
  server = await testServer({ settings })
  resources = [...server.core.model.resources.values()].filter(({ operations }) => operations.length > 0)
  callers = [server.admin, server.admin, server.as('p1'), server.as('p1'), server.as('p2'), server.as('p1', 'reader')]
  for (const [project_id, shared] of [
    ['p1', false],
    ['p1', false],
    ['p2', true],
  ] as const)
    remember('network', [(await server.admin.make('network', { project_id, shared }))['id']])
})
after(() => server.close())

/** Ids of what was made, with the parent's where there is one: the latest of each kind. */
const seen = new Map<string, { readonly id: string; readonly parent: string | undefined }[]>()
const remember = (kind: string, ids: readonly string[], parent?: string): void =>
  void seen.set(kind, [...(seen.get(kind) ?? []), ...ids.map((id) => ({ id, parent }))].slice(-30))

/** One that exists when it is drawn; now and then one that does not. */
function draw(kind: string, seed: number): { readonly id: string; readonly parent: string | undefined } {
  const known = seen.get(kind) ?? []
  return (seed % 7 === 0 ? undefined : known[seed % known.length]) ?? { id: newId(), parent: undefined }
}

/** What a key of a step's body or a parameter of its path speaks of. */
const meant = (key: string, { resource }: Step): string =>
  kindMeant(key, server.core.model.resource(resource), [...server.core.model.resources.keys()])

/** The placeholder of an id becomes one of the resource that `key` speaks of. */
function withIds(value: unknown, key: string, step: Step): unknown {
  if (value === '?id') return draw(meant(key, step), step.seed).id
  if (Array.isArray(value)) return value.map((one) => withIds(one, key, step))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withIds(one, name, step)]))
}

const METHODS = { list: 'GET', show: 'GET', create: 'POST', update: 'PUT', delete: 'DELETE' } as const

function routeOf({ kind, resource: name }: Step): { readonly method: string; readonly pattern: string } {
  const { model } = server.core
  const resource = model.resource(name)
  const action = resource.actions.find((one) => one.name === kind)
  if (action) return { method: action.method, pattern: actionPath(model, resource, action) }
  const one = kind !== 'list' && kind !== 'create'
  return {
    method: METHODS[kind as keyof typeof METHODS],
    pattern: one ? objectPath(model, resource) : collectionPath(model, resource),
  }
}

/** The path with ids drawn for its parameters. */
function pathOf(step: Step, pattern: string): { readonly path: string; readonly parent: string | undefined } {
  const above = server.core.model.resource(step.resource).parent
  const { id, parent = above ? draw(above.resource, step.seed).id : undefined } = draw(step.resource, step.seed)
  const path = pattern.replaceAll(/:(\w+)/g, (_, name: string) => {
    if (name === 'id') return id
    return name === 'parent_id' ? (parent ?? newId()) : draw(meant(name, step), step.seed).id
  })
  return { path, parent }
}

interface Outcome {
  readonly reply: Reply
  readonly parent: string | undefined
}

async function carryOut(step: Step): Promise<Outcome> {
  const { method, pattern } = routeOf(step)
  const { path, parent } = pathOf(step, pattern)
  const payload = step.body === undefined ? undefined : JSON.stringify(withIds(step.body, '', step))
  const url = `${path}${step.query && `?${step.query}`}`
  return { reply: await (callers[step.by] as Client).send(method, url, payload, step.headers), parent }
}

const sentence = ({ kind, resource, body, query }: Step, { status, text }: Reply): string =>
  `${kind} ${resource} ${JSON.stringify(body)}?${query} → ${status} ${text.slice(0, 300)}`

test('generated requests', { timeout: 240_000 }, async () => {
  const document = openApiDocument(server.core.model)
  const announced = (step: Step): string[] => {
    const { method, pattern } = routeOf(step)
    const item = document.paths[pattern.replaceAll(/:(\w+)/g, '{$1}')] as Record<string, { responses: object }>
    const operation = item?.[method.toLowerCase()]
    return operation ? Object.keys(operation.responses) : ['404', '405']
  }
  const tally = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(fc.array(stepOf(resources, callers.length), { minLength: 4, maxLength: 12 }), async (steps) => {
      for (const each of steps) {
        const { reply, parent } = await carryOut(each)
        const what = sentence(each, reply)
        tally.set(reply.status, (tally.get(reply.status) ?? 0) + 1)
        assert.ok(announced(each).includes(String(reply.status)) && noFault(reply), what)
        checkForm(each, reply, what)
        keep(each, reply, parent)
      }
    }),
    { numRuns: 150 + 15 * resources.length, endOnFailure: true },
  )
  for (const status of [200, 201, 204, 400, 403, 404, 409])
    assert.ok((tally.get(status) ?? 0) > 0, `never a ${status}: ${JSON.stringify([...tally])}`)
  assert.deepEqual(await verify(server.core), [])
})

/** Pools may be used up; nothing else is the server's. */
const noFault = ({ status, body }: Reply): boolean => status < 500 || body.NeutronError.type === 'NoNetworkAvailable'

function checkForm({ kind, resource: name }: Step, { status, body, text, headers }: Reply, what: string): void {
  const resource = server.core.model.resource(name)
  if (text === '') return assert.ok(status === 204 || !(kind in METHODS), what)
  assert.notEqual(status, 204, what)
  assert.match(String(headers['content-type']), /^application\/json/, what)
  if (status >= 400) {
    const { type, message, detail } = body.NeutronError
    assert.equal(catalogue[type as keyof typeof catalogue].status, status, what)
    assert.ok(typeof message === 'string' && message !== '' && !message.includes('undefined'), what)
    assert.ok(detail === '' || typeof detail === 'object', what)
    return
  }
  if (!(kind in METHODS)) return
  const shown = body[resource.singular] ? [body[resource.singular]] : (body[resource.plural] ?? [])
  const visible = new Set([
    'tenant_id',
    ...Object.keys(resource.attributes).filter((name) => resource.attributes[name]?.visible),
  ])
  for (const one of shown) for (const name of Object.keys(one)) assert.ok(visible.has(name), `${name} in ${what}`)
}

function keep({ kind, resource, query }: Step, { status, body }: Reply, parent: string | undefined): void {
  if (kind !== 'create' || status !== 201 || query) return
  const { name, singular, plural, key } = server.core.model.resource(resource)
  const made = body[singular] ? [body[singular]] : body[plural]
  remember(
    name,
    made.map((one: Record<string, string>) => one[key] as string),
    parent,
  )
}

test('the same requests side by side leave the database whole', { timeout: 240_000 }, async () => {
  const steps = fc.sample(stepOf(resources, callers.length), { numRuns: 400 })
  for (let at = 0; at < steps.length; at += 20) {
    const some = steps.slice(at, at + 20)
    const outcomes = await Promise.all(some.map(carryOut))
    for (const [index, { reply }] of outcomes.entries()) assert.ok(noFault(reply), sentence(some[index] as Step, reply))
  }
  assert.deepEqual(await verify(server.core), [])
})
