/**
 * The language resources and extensions are written in: data, three hooks, nothing else.
 *
 * `check` is pure and returns every issue it finds; `inTx` runs inside the operation's transaction and touches nothing
 * outside it; whatever must happen elsewhere reads the change log. Definitions are values: nothing registers itself.
 */
import type { ApiError, ErrorType } from '#kernel/errors.ts'
import type { Attributes, Row } from './attribute.ts'
import type { Context } from './context.ts'

export * from './attribute.ts'
export type { Context } from './context.ts'

export type Op = 'create' | 'update' | 'delete'

/** A resource's object as logic sees it: every attribute by its API name, the extensions' included. */
export type Draft = Record<string, unknown>

/** One object being written. */
export interface Write<R = Readonly<Draft>> {
  readonly op: Op
  /** Null on create. */
  readonly before: R | null
  /** What will be stored; null on delete. Attributes not yet decided are undefined. */
  readonly after: R | null
  /** Names of the attributes the client gave. */
  readonly given: ReadonlySet<string>
  /** Written by the system inside another operation: limits that guard users do not hold. */
  readonly internal: boolean
}

/** Written as methods: a resource's hooks take its own row type, and a list of resources holds them all. */
export interface ResourceHooks<R> {
  /** Pure. Answers all issues; which of them the caller sees is decided by precedence, not by position. */
  check?(write: Write<R>, limits: Limits): readonly ApiError[]
  /** In the transaction, before the row is written. Answers the attributes it decided. Not called when a check failed. */
  inTx?(context: Context, write: Write<R>): Promise<Partial<Draft> | undefined>
}

/** Configured limits that checks need. */
export interface Limits {
  readonly maxDnsNameservers: number
  readonly maxHostRoutes: number
  readonly maxAllowedAddressPairs: number
}

/** A reference to a parent that must exist and that the caller may see. */
export interface Reference {
  readonly resource: string
  /** The parent's attributes copied to `<resource>:<attribute>` for policy. */
  readonly policyAttributes?: readonly string[]
  /** Lock taken on the parent for the rest of the transaction; default: none but the foreign key's. */
  readonly lock?: 'share' | 'update'
}

export interface Resource<A extends Attributes = Attributes> extends ResourceHooks<Row<A>> {
  /** Singular, as in bodies and policy names. */
  readonly name: string
  readonly plural: string
  /** Path below /v2.0 where it differs from the plural with dashes. */
  readonly path: string
  readonly table: string
  readonly attributes: A
  readonly notFound: { readonly type: ErrorType; readonly param: string }
  readonly operations: readonly ('list' | 'show' | 'create' | 'update' | 'delete')[]
  /** Counted per project against this quota; null: not limited. */
  readonly quota: string | null
  readonly references: Readonly<Record<string, Reference>>
  /** Parents whose revision rises, and whose change is logged, whenever this one is written. */
  readonly bumps: readonly string[]
  /** One paragraph for the reference page. */
  readonly docs: string
}

type Defaulted = 'path' | 'operations' | 'quota' | 'references' | 'bumps'
type ResourceSpec<A extends Attributes> = Omit<Resource<A>, Defaulted> & Partial<Pick<Resource<A>, Defaulted>>

export const defineResource = <const A extends Attributes>(spec: ResourceSpec<A>): Resource<A> =>
  Object.freeze({
    operations: ['list', 'show', 'create', 'update', 'delete'] as const,
    quota: null,
    references: {},
    bumps: [],
    path: spec.plural.replaceAll('_', '-'),
    ...spec,
  })

export interface ExtensionPart extends ResourceHooks<Readonly<Draft>> {
  readonly attributes?: Attributes
}

export interface Extension {
  readonly alias: string
  /** As Neutron writes it: some clients match the name. */
  readonly name: string
  readonly description: string
  /** RFC 3339. */
  readonly updated: string
  readonly requires: readonly string[]
  /** What it adds, by resource name. */
  readonly on: Readonly<Record<string, ExtensionPart>>
  readonly resources: readonly Resource[]
}

export const defineExtension = (
  spec: Omit<Extension, 'requires' | 'on' | 'resources'> & Partial<Pick<Extension, 'requires' | 'on' | 'resources'>>,
): Extension => Object.freeze({ requires: [], on: {}, resources: [], ...spec })
