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
export type { Context, SegmentSpec } from './context.ts'

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
  /** Sends, before an object that is to be deleted is locked, the locks that others take before theirs on it. */
  precede?(context: Context, op: Op, id: string): void
  /**
   * Asks for what `inTx` will read of objects that are about to be written (an update's say what it changes, and
   * their id; a delete's their id alone), so that it travels with the first statement. Waits for nothing.
   */
  foresee?(context: Context, op: Op, objects: readonly Partial<R>[]): void
  /** Pure. Answers all issues; which of them the caller sees is decided by precedence, not by position. */
  check?(write: Write<R>, limits: Limits): readonly ApiError[]
  /** In the transaction, before the row is written. Answers the attributes it decided. Not called when a check failed. */
  inTx?(context: Context, write: Write<R>): Promise<Partial<Draft> | undefined>
}

/** Configured limits, and the few other settings that hooks need. */
export interface Limits {
  readonly maxDnsNameservers: number
  readonly maxHostRoutes: number
  readonly maxAllowedAddressPairs: number
  /** Domain of the names of ports. */
  readonly dnsDomain: string
  /** DHCP agents that keep a network served. */
  readonly dhcpAgentsPerNetwork: number
  /** L3 agents of a router with high availability. */
  readonly maxL3AgentsPerRouter: number
  /** Zones of networks and routers that name none; empty: any. */
  readonly defaultAvailabilityZones: readonly string[]
  /** Seconds for which a binding that is not active is kept, unless it is written again. */
  readonly bindingLease: number
}

/**
 * An operation beside the usual five: `PUT /routers/{id}/add_router_interface`, `GET /agents/{id}/l3-routers`, … It
 * runs in one transaction, its object locked, like every write.
 */
export interface Action {
  /** Unique within its resource, as in `operationId`. */
  readonly name: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Below the object's path, or below the collection's; `:name` is a parameter. Empty: that path itself. */
  readonly path: string
  /** `collection`: not about one object. Default: `member`. */
  readonly on?: 'member' | 'collection'
  /** The policy rule that must hold, asked of the object; null: whoever sees the object. */
  readonly rule: string | null
  /** What the body may have; absent: no body is read. */
  readonly body?: Attributes
  /** The key the body stands under; null: it stands bare, as most actions' does. */
  readonly envelope?: string | null
  /** Lock on the object while the action runs; default `update`, for GET `none`. */
  readonly lock?: 'none' | 'share' | 'update'
  /** Default 200; an answer without a body is 204 unless this says otherwise. */
  readonly status?: number
  /** One sentence for the reference page. */
  readonly docs: string
  /** Answers the response's body; undefined: none. */
  run(context: Context, call: Call): Promise<unknown>
}

export interface Call {
  /** The object the path names, as the context loads it; empty for actions of a collection. */
  readonly object: Readonly<Draft>
  /** Parameters of the path. */
  readonly params: Readonly<Record<string, string>>
  /** Decoded body, defaults filled in. */
  readonly body: Readonly<Draft>
  /** Names of what the client gave in the body. */
  readonly given: ReadonlySet<string>
  readonly query: Readonly<Record<string, readonly string[]>>
}

/** What a constraint of the database refused. */
export interface Refused {
  /** The values of the constraint's columns that clashed, in their order. */
  readonly values: readonly string[]
  /** What was being written. */
  readonly object: Readonly<Draft>
}

/**
 * The error a client understands, by name of the constraint that had the last word. `again`: another writer came
 * between; the operation runs once more, and its own checks say what is wrong by now.
 */
export type Conflicts = Readonly<Record<string, 'again' | ((refused: Refused) => ApiError)>>

/** The resource an object is part of: its path leads there, its visibility comes from there. */
export interface Parent {
  readonly resource: string
  /** The attribute that holds the parent's id; set from the path. */
  readonly attribute: string
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
  /** Unique in the model; the kind of its rows in the change log. */
  readonly name: string
  /** Singular and plural as bodies have them. */
  readonly singular: string
  readonly plural: string
  /** As in `create_<policyName>`. */
  readonly policyName: string
  /** Path below /v2.0, or below the parent's object, where it differs from the plural with dashes. */
  readonly path: string
  readonly parent: Parent | null
  /** The attribute that names the object in a path; other than `id`: unique, within the parent if there is one. */
  readonly key: string
  readonly table: string
  readonly attributes: A
  readonly notFound: { readonly type: ErrorType; readonly param: string }
  /** None: an inner table of the product, without a path of its own. */
  readonly operations: readonly ('list' | 'show' | 'create' | 'update' | 'delete')[]
  readonly actions: readonly Action[]
  /** Counted per project against this quota; null: not limited. */
  readonly quota: string | null
  readonly references: Readonly<Record<string, Reference>>
  /** Parents whose revision rises, and whose change is logged, whenever this one is written. */
  readonly bumps: readonly string[]
  readonly conflicts: Conflicts
  /** Pure: what is wrong with the objects of one request beside each other. */
  checkTogether?(objects: readonly Row<A>[]): readonly ApiError[]
  /** What a client hears when others still refer to the object it deletes. */
  readonly inUse: ((before: Readonly<Draft>) => ApiError) | null
  /** True: who sees an object and may not change it hears that it is not there. */
  readonly discreet: boolean
  /** True: a page may begin behind any object that exists, seen or not. Neutron has kinds of both sorts. */
  readonly openMarkers: boolean
  /** One paragraph for the reference page. */
  readonly docs: string
}

type Defaulted =
  | 'singular'
  | 'policyName'
  | 'path'
  | 'parent'
  | 'key'
  | 'operations'
  | 'actions'
  | 'quota'
  | 'references'
  | 'bumps'
  | 'conflicts'
  | 'inUse'
  | 'discreet'
  | 'openMarkers'
type ResourceSpec<A extends Attributes> = Omit<Resource<A>, Defaulted> & Partial<Pick<Resource<A>, Defaulted>>

export const defineResource = <const A extends Attributes>(spec: ResourceSpec<A>): Resource<A> =>
  Object.freeze({
    singular: spec.name,
    policyName: spec.singular ?? spec.name,
    operations: ['list', 'show', 'create', 'update', 'delete'] as const,
    actions: [],
    quota: null,
    references: {},
    bumps: [],
    conflicts: {},
    inUse: null,
    discreet: false,
    openMarkers: false,
    parent: null,
    key: 'id',
    path: spec.plural.replaceAll('_', '-'),
    ...spec,
  })

export interface ExtensionPart extends ResourceHooks<Readonly<Draft>> {
  readonly attributes?: Attributes
  readonly actions?: readonly Action[]
  readonly references?: Readonly<Record<string, Reference>>
  readonly bumps?: readonly string[]
  readonly conflicts?: Conflicts
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
