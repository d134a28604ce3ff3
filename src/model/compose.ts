/** Puts resources and extensions together once, at boot; reports every clash at once, then freezes. */
import type { Attribute, Audience } from './attribute.ts'
import type { Extension, Resource, ResourceHooks } from './define.ts'

/** A resource with everything the extensions added. */
export interface ComposedResource extends Omit<Resource, 'precede' | 'foresee' | 'check' | 'inTx' | 'attributes'> {
  readonly attributes: Readonly<Record<string, Attribute>>
  /** Attributes that depend on who asks, with where their lists stand. */
  readonly audiences: readonly (readonly [name: string, audience: Audience])[]
  readonly precedes: readonly NonNullable<ResourceHooks<never>['precede']>[]
  readonly foresees: readonly NonNullable<ResourceHooks<never>['foresee']>[]
  readonly checks: readonly NonNullable<ResourceHooks<never>['check']>[]
  readonly inTxs: readonly NonNullable<ResourceHooks<never>['inTx']>[]
}

export interface Model {
  /** By singular name. */
  readonly resources: ReadonlyMap<string, ComposedResource>
  readonly extensions: readonly Extension[]
  resource(name: string): ComposedResource
}

export class ModelError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the model does not compose:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

export function compose(resources: readonly Resource[], extensions: readonly Extension[]): Model {
  const ordered = inOrder(extensions)
  const all = [...resources, ...ordered.flatMap((extension) => extension.resources)]
  const problems = [
    ...duplicates(
      all.map((one) => one.name),
      'resource',
    ),
    ...missing(all, extensions),
  ]
  const composed = new Map(all.map((one) => [one.name, extend(one, ordered, problems)]))
  if (problems.length > 0) throw new ModelError(problems)
  return Object.freeze({
    resources: composed,
    extensions: Object.freeze(ordered),
    resource(name: string) {
      const found = composed.get(name)
      if (!found) throw new Error(`the model has no resource ${name}`)
      return found
    },
  })
}

/** Required extensions first; ties by alias. */
function inOrder(extensions: readonly Extension[]): Extension[] {
  const byAlias = new Map([...extensions].sort((a, b) => (a.alias < b.alias ? -1 : 1)).map((one) => [one.alias, one]))
  const done = new Set<string>()
  const out: Extension[] = []
  const visit = (extension: Extension): void => {
    if (done.has(extension.alias)) return
    done.add(extension.alias)
    for (const alias of [...extension.requires].sort()) {
      const required = byAlias.get(alias)
      if (required) visit(required)
    }
    out.push(extension)
  }
  for (const extension of byAlias.values()) visit(extension)
  return out
}

function missing(resources: readonly Resource[], extensions: readonly Extension[]): string[] {
  const aliases = new Set(extensions.map((one) => one.alias))
  const names = new Set(resources.map((one) => one.name))
  return [
    ...duplicates(
      extensions.map((one) => one.alias),
      'extension',
    ),
    ...extensions.flatMap((one) =>
      one.requires
        .filter((alias) => !aliases.has(alias))
        .map((alias) => `${one.alias} requires ${alias}, which is absent`),
    ),
    ...extensions.flatMap((one) =>
      Object.keys(one.on)
        .filter((name) => !names.has(name))
        .map((name) => `${one.alias} extends ${name}, which is absent`),
    ),
    ...resources.flatMap((one) =>
      Object.entries(one.references)
        .filter(([, reference]) => !names.has(reference.resource))
        .map(([attribute, reference]) => `${one.name}.${attribute} refers to ${reference.resource}, which is absent`),
    ),
    ...resources.flatMap(({ name, parent }) =>
      parent && !names.has(parent.resource) ? [`${name} is part of ${parent.resource}, which is absent`] : [],
    ),
  ]
}

const duplicates = (names: readonly string[], what: string): string[] =>
  [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map(
    (name) => `${what} ${name} is defined twice`,
  )

function extend(resource: Resource, extensions: readonly Extension[], problems: string[]): ComposedResource {
  // Without a prototype: `constructor` is no attribute.
  const attributes: Record<string, Attribute> = Object.create(null)
  const add = (name: string, attribute: Attribute, by: string): void => {
    if (name in attributes) problems.push(`${resource.name}.${name} is defined twice, the second time by ${by}`)
    const column = attribute.column === '' ? name.replaceAll(/[:-]/g, '_') : attribute.column
    attributes[name] = Object.freeze({ ...attribute, column: attribute.sql && attribute.column === '' ? null : column })
  }
  for (const [name, attribute] of Object.entries(resource.attributes)) add(name, attribute as Attribute, resource.name)
  const parts = extensions.flatMap((one) =>
    one.on[resource.name] ? [{ alias: one.alias, ...one.on[resource.name] }] : [],
  )
  for (const part of parts) {
    for (const [name, attribute] of Object.entries(part.attributes ?? {})) add(name, attribute as Attribute, part.alias)
  }
  const { precede, foresee, check, inTx, ...rest } = resource
  return Object.freeze({
    ...rest,
    actions: [...resource.actions, ...parts.flatMap((part) => part.actions ?? [])],
    references: Object.assign({}, resource.references, ...parts.map((part) => part.references)),
    bumps: [...resource.bumps, ...parts.flatMap((part) => part.bumps ?? [])],
    conflicts: Object.assign({}, resource.conflicts, ...parts.map((part) => part.conflicts)),
    audiences: Object.entries(attributes).flatMap(([name, { audience }]) =>
      audience ? [[name, audience] as const] : [],
    ),
    attributes: Object.freeze(attributes),
    precedes: hooks<Hook<'precede'>>(precede, ...parts.map((part) => part.precede)),
    foresees: hooks<Hook<'foresee'>>(foresee, ...parts.map((part) => part.foresee)),
    checks: hooks<Hook<'check'>>(check, ...parts.map((part) => part.check)),
    inTxs: hooks<Hook<'inTx'>>(inTx, ...parts.map((part) => part.inTx)),
  })
}

type Hook<Name extends keyof ResourceHooks<never>> = NonNullable<ResourceHooks<never>[Name]>

/** Those that are there; each takes the row type of its own definition. */
const hooks = <H>(...all: readonly (H | undefined)[]): readonly H[] => all.filter((one) => one !== undefined)

/** Does the change log tell of it? What is only read is computed from others, or is no object of its own. */
export const isLogged = ({ operations }: Pick<Resource, 'operations'>): boolean =>
  operations.some((one) => one === 'create' || one === 'update' || one === 'delete')
