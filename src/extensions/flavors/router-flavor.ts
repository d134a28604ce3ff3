/** Routers made with a flavor: what its provider is decides whether they are distributed and highly available. */
import { ApiError } from '#kernel/errors.ts'
import { type Draft, type ExtensionPart, optional, uuid } from '#model/define.ts'
import { driverOf, type Flavor } from './flavor.ts'
import { providerOf } from './service-profile.ts'

interface Flags {
  readonly distributed: boolean
  readonly ha: boolean
}

/** What the routers of each provider are. */
const PROVIDERS: Readonly<Record<string, Flags>> = {
  single_node: { distributed: false, ha: false },
  ha: { distributed: false, ha: true },
  dvr: { distributed: true, ha: false },
  dvrha: { distributed: true, ha: true },
}
const FLAGS = ['distributed', 'ha'] as const

const bad = (error_message: string): ApiError => new ApiError('InvalidInput', { error_message })

export const routerFlavor: ExtensionPart = {
  attributes: { flavor_id: optional(uuid({ set: 'create', sort: true, policy: true }), {}) },
  references: { flavor_id: { resource: 'flavor' } },
  check: ({ op, before, given, after }) => {
    const changed = FLAGS.some((name) => given.has(name) && after?.[name] !== before?.[name])
    if (op !== 'update' || !before?.['flavor_id'] || !changed) return []
    return [bad("Changing the 'ha' and 'distributed' attributes on a router associated with a flavor is not supported")]
  },
  async inTx(context, { op, after, given }) {
    const id = op === 'create' && after?.['flavor_id']
    if (!id || !after) return undefined
    const flavor = (await context.load('flavor', String(id))) as Readonly<Draft> | undefined
    const name = await providerOf(context, await driverOf(context, flavor as unknown as Flavor))
    const flags = PROVIDERS[name]
    if (!flags) throw bad(`Provider ${name} makes no routers`)
    const wrong = FLAGS.find((flag) => given.has(flag) && after[flag] !== flags[flag])
    if (wrong) throw bad(`Provider ${name} does not support ${wrong}=${after[wrong] === true ? 'True' : 'False'}`)
    return { ...flags }
  },
}
