/** Sends generated requests to a server and judges each answer: its status, its form, its words. */
import { openApiDocument } from '#api/openapi.ts'
import { catalogue } from '#kernel/errors.ts'
import { newId } from '#kernel/ids.ts'
import type { Model } from '#model/compose.ts'
import { actionPath, collectionPath, objectPath } from '#model/paths.ts'
import { kindMeant, type Step } from './fuzz.ts'
import type { World } from './fuzz-world.ts'
import type { Client, Reply, TestServer } from './server.ts'

export interface Outcome {
  readonly reply: Reply
  /** What is wrong with the answer; null when nothing is. */
  readonly fault: string | null
}

export interface Player {
  play(step: Step): Promise<Outcome>
}

const METHODS = { list: 'GET', show: 'GET', create: 'POST', update: 'PUT', delete: 'DELETE' } as const

interface Route {
  readonly method: string
  readonly pattern: string
}

/** Plays with `callers`; what is made is remembered in `world`. */
export function createPlayer({ core: { model } }: TestServer, callers: readonly Client[], world: World): Player {
  const names = [...model.resources.keys()]
  const operations = announcedOperations(model)

  const routeOf = ({ kind, resource: name }: Step): Route => {
    const resource = model.resource(name)
    const action = resource.actions.find((one) => one.name === kind)
    if (action) return { method: action.method, pattern: actionPath(model, resource, action) }
    const path = kind === 'list' || kind === 'create' ? collectionPath : objectPath
    return { method: METHODS[kind as keyof typeof METHODS], pattern: path(model, resource) }
  }

  const meant = (key: string, step: Step): string => kindMeant(key, model.resource(step.resource), names)

  /** The placeholder of an id becomes one of the kind that its key speaks of. */
  const withIds = (value: unknown, key: string, step: Step, within = ''): unknown => {
    if (value === '?id') return world.draw(meant(`${within}${key}`, step), step.seed).id
    if (Array.isArray(value)) return value.map((one) => withIds(one, key, step, within))
    if (value === null || typeof value !== 'object') return value
    const here = key === '' ? '' : `${key}.`
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withIds(one, name, step, here)]))
  }

  /** The path with ids drawn for its parameters; a part's parent is the one it has. */
  const pathOf = (step: Step, pattern: string): { readonly path: string; readonly parent: string | undefined } => {
    const above = model.resource(step.resource).parent
    const { id, parent = above ? world.draw(above.resource, step.seed).id : undefined } = world.draw(
      step.resource,
      step.seed,
    )
    const path = pattern.replaceAll(/:(\w+)/g, (_, name: string) => {
      if (name === 'id') return id
      return name === 'parent_id' ? (parent ?? newId()) : world.draw(meant(name, step), step.seed).id
    })
    return { path, parent }
  }

  const announced = ({ method, pattern }: Route): readonly string[] => {
    const operation = operations.get(`${method.toLowerCase()} ${pattern.replaceAll(/:\w+/g, '{}')}`)
    return operation ? Object.keys(operation.responses) : ['404', '405']
  }

  const remember = ({ kind, resource, query }: Step, { status, body }: Reply, parent: string | undefined): void => {
    if (kind !== 'create' || status !== 201 || query !== '') return
    const { name, singular, plural, key } = model.resource(resource)
    for (const one of body[singular] ? [body[singular]] : body[plural]) world.remember(name, one[key], parent)
  }

  const play = async (step: Step): Promise<Outcome> => {
    const route = routeOf(step)
    const { path, parent } = pathOf(step, route.pattern)
    const payload = step.body === undefined ? undefined : JSON.stringify(withIds(step.body, '', step))
    const url = `${path}${step.query && `?${step.query}`}`
    const reply = await (callers[step.by] as Client).send(route.method, url, payload, step.headers)
    const fault = faultOf(reply, announced(route)) ?? (step.kind in METHODS ? strayIn(reply, step) : null)
    remember(step, reply, parent)
    return { reply, fault: fault && `${fault}: ${route.method} ${url} ${payload ?? ''} → ${shown(reply)}` }
  }

  /** An attribute that is not the resource's. */
  const strayIn = ({ status, body }: Reply, step: Step): string | null => {
    if (status >= 300 || !body) return null
    const { singular, plural, attributes } = model.resource(step.resource)
    const objects: readonly object[] = body[singular] ? [body[singular]] : (body[plural] ?? [])
    const stray = objects
      .flatMap((one) => Object.keys(one))
      .find((name) => name !== 'tenant_id' && !attributes[name]?.visible)
    return stray === undefined ? null : `${step.resource} shows ${stray}`
  }

  return { play }
}

/** By method and path, whatever its parameters are called. */
function announcedOperations(model: Model): ReadonlyMap<string, { readonly responses: object }> {
  const paths = Object.entries(openApiDocument(model).paths as Record<string, Record<string, { responses: object }>>)
  const operations = paths.flatMap(([path, item]) =>
    Object.entries(item).map(([method, one]) => [`${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`, one] as const),
  )
  return new Map(operations)
}

const shown = ({ status, text }: Reply): string => `${status} ${text.slice(0, 300)}`

/** What an operator has to see to: pools used up, a service switched off. As in Neutron, it has a 503. */
const OPERATORS = ['NoNetworkAvailable', 'ServiceProfileDisabled']
const isOurs = ({ status, body }: Reply): boolean => status >= 500 && !OPERATORS.includes(body?.NeutronError?.type)

function faultOf(reply: Reply, announced: readonly string[]): string | null {
  const { status, text, headers } = reply
  if (isOurs(reply)) return `a ${status}`
  if (!announced.includes(String(status))) return `a ${status}, which is not announced`
  if ((text === '') !== (status === 204 || headers['content-length'] === '0'))
    return `a ${status} with or without a body`
  if (text !== '' && !String(headers['content-type']).startsWith('application/json')) return 'not JSON'
  return status >= 400 ? wrongError(reply) : null
}

function wrongError({ status, body }: Reply): string | null {
  const { type, message, detail } = body?.NeutronError ?? {}
  if (catalogue[type as keyof typeof catalogue]?.status !== status) return `a ${status} of type ${type}`
  if (typeof message !== 'string' || message === '') return 'no message'
  if (/undefined|\[object |NaN/.test(message)) return `a message of "${/undefined|\[object |NaN/.exec(message)?.[0]}"`
  return typeof detail === 'string' ? null : 'a detail of the wrong form'
}
