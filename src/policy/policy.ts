/**
 * May a caller do that? Rules come from the defaults and from an operator's file; they are read, checked and
 * compiled once, then asked many times a request.
 *
 * While the old defaults hold (`enforceNewDefaults` off), a caller for whom `context_is_admin` holds passes every
 * rule, as in Neutron's Zed release; afterwards admins too are subject to each rule's own text.
 */
import type { Caller } from '#kernel/caller.ts'
import { type Check, print } from './ast.ts'
import { type Compiled, compile } from './compile.ts'
import { defaultRules } from './defaults/index.ts'
import type { Operation, RuleDefault } from './defaults/rule.ts'
import { type Explanation, type Reason, reason } from './explain.ts'
import type { Overrides } from './file.ts'
import { loadRules, presentNames, type Renamed, type Rule, references } from './load.ts'
import { type Residual, reduce } from './residual.ts'
import { credentialsOf, type Facts, type Scope, scopeOf, type Target } from './values.ts'

export interface PolicyOptions {
  /** Rules of the policy file; each replaces the default of its name. */
  readonly overrides?: Overrides
  /** Off: a default allows what its former text allowed too. On: its present text alone. */
  readonly enforceNewDefaults: boolean
  /** On: tokens whose scope a rule is not made for are refused by it. */
  readonly enforceScope: boolean
  /** Rules of resources beyond the core ones; by default the product's own list. */
  readonly defaults?: readonly RuleDefault[]
}

export interface EffectiveRule {
  readonly name: string
  /** As a policy file would write it. */
  readonly text: string
  /** What must hold besides; no file changes it. */
  readonly within: string | null
  readonly source: 'default' | 'file'
  readonly description: string
  readonly operations: readonly Operation[]
}

export interface Policy {
  has(rule: string): boolean
  /**
   * `target`: the attributes of the object under their canonical names (`project_id`, not `tenant_id`), and its
   * parents' as `network:project_id`, `security_group:project_id`, `ext_parent:project_id`; `shared` (of the object,
   * or `network:shared`) as this caller sees it. A rule that does not exist is decided by the rule `default`.
   */
  allows(rule: string, caller: Caller, target: Target): boolean
  /** What is left to ask of a target when the caller is known. `holdsFor(residual(…), target)` is `allows(…, target)`. */
  residual(rule: string, caller: Caller): Residual
  /** May this caller do that, and by which rule? */
  explain(rule: string, caller: Caller, target: Target): Explanation
  /** All rules by name, as they are in force. */
  effective(): readonly EffectiveRule[]
  /** Rules of the file that have no default and that nothing refers to: most likely typing errors. */
  unused(): readonly string[]
  /** Rules that the file calls by a former name. */
  renamed(): readonly Renamed[]
  /** Does `context_is_admin` hold? The caller's own credentials are the target. */
  isAdmin(caller: Caller): boolean
}

/** What decides before a rule's own text does. */
type Foreclosed = 'admin' | 'scope' | null

/** @throws PolicyError with all problems of the overrides together */
export function createPolicy(options: PolicyOptions): Policy {
  const { enforceNewDefaults, enforceScope, defaults = defaultRules } = options
  const { overrides, renamed } = presentNames(defaults, options.overrides ?? {})
  const rules = loadRules(defaults, overrides, enforceNewDefaults)
  const engine = createEngine(rules)
  const viewOf = createViews(engine)

  const foreclosed = (rule: Rule, view: View): Foreclosed => {
    if (!enforceNewDefaults && view.isAdmin) return 'admin'
    const scopes = enforceScope ? rule.default?.scopes : undefined
    return scopes && !scopes.includes(view.scope) ? 'scope' : null
  }
  const residualOf = (rule: Rule, view: View): Residual => {
    const early = foreclosed(rule, view)
    return early === null ? reduce(rule.check, view.facts, engine) : early === 'admin'
  }

  return {
    has: (rule) => rules.has(rule),
    allows: (name, caller, target) => {
      const rule = engine.find(name)
      const view = viewOf(caller)
      const early = foreclosed(rule, view)
      return early === null ? engine.rule(rule.name)(view.facts, target) : early === 'admin'
    },
    residual: (name, caller) => {
      const view = viewOf(caller)
      let residual = view.residuals.get(name)
      if (residual === undefined) view.residuals.set(name, (residual = residualOf(engine.find(name), view)))
      return residual
    },
    explain: (name, caller, target) => {
      const rule = engine.find(name)
      const view = viewOf(caller)
      return explain(engine, rule, foreclosed(rule, view), view, target)
    },
    effective: () => [...rules.values()].map(effectiveRule).sort((a, b) => (a.name < b.name ? -1 : 1)),
    unused: () => {
      const used = new Set([...rules.values()].flatMap((rule) => references(rule.check)))
      return [...rules.values()].filter((rule) => !rule.default && !used.has(rule.name)).map((rule) => rule.name)
    },
    renamed: () => renamed,
    isAdmin: (caller) => viewOf(caller).isAdmin,
  }
}

function explain(engine: Engine, rule: Rule, early: Foreclosed, { facts, scope }: View, target: Target): Explanation {
  const why = (check: Check, on: Target): Reason =>
    reason(check, facts, on, { check: engine.check, compile: (part) => compile(part, engine) })
  if (early === 'admin') {
    const { name, check } = engine.find('context_is_admin')
    return { allowed: true, rule: name, text: print(check), because: why(check, facts), within: null }
  }
  const text = print(rule.text)
  if (early === 'scope') {
    const say = `the scope of the token (${scope}) is one of: ${rule.default?.scopes?.join(', ')}`
    return { allowed: false, rule: rule.name, text, because: { text: say, holds: false, of: [] }, within: null }
  }
  const because = why(rule.text, target)
  const within = rule.within && why(rule.within, target)
  return { allowed: because.holds && within?.holds !== false, rule: rule.name, text, because, within }
}

const effectiveRule = ({ name, text, source, default: known }: Rule): EffectiveRule => ({
  name,
  text: print(text),
  within: known?.within ?? null,
  source,
  description: known?.description ?? '',
  operations: known?.operations ?? [],
})

interface Engine {
  /** The rule of that name, or the rule `default`. */
  find(name: string): Rule
  check(name: string): Check
  rule(name: string): Compiled
  isAdmin(facts: Facts): boolean
}

/** Compiles each rule when it is first needed, and never twice. */
function createEngine(rules: ReadonlyMap<string, Rule>): Engine {
  const compiled = new Map<string, Compiled>()
  const engine: Engine = {
    find: (name) => {
      const rule = rules.get(name) ?? rules.get('default')
      if (!rule) throw new Error(`neither the rule '${name}' nor the rule 'default' exists`)
      return rule
    },
    check: (name) => engine.find(name).check,
    rule: (name) => {
      let made = compiled.get(name)
      if (!made) compiled.set(name, (made = compile(engine.find(name).check, engine)))
      return made
    },
    isAdmin: (facts) => rules.has('context_is_admin') && engine.rule('context_is_admin')(facts, facts),
  }
  return engine
}

/** A caller as rules see it, with what was found out about it already. */
interface View {
  readonly facts: Facts
  readonly scope: Scope
  readonly isAdmin: boolean
  /** By rule. */
  readonly residuals: Map<string, Residual>
}

const VIEWS_KEPT = 1024

/** The key holds all of a caller that a rule can read, so that every token of one user and project shares a view. */
function createViews(engine: Engine): (caller: Caller) => View {
  const byCaller = new WeakMap<Caller, View>()
  const byFacts = new Map<string, View>()
  const shared = (caller: Caller): View => {
    const facts = credentialsOf(caller)
    const key = JSON.stringify(facts)
    const known = byFacts.get(key)
    if (known) return known
    if (byFacts.size >= VIEWS_KEPT) byFacts.clear()
    const view = { facts, scope: scopeOf(caller), isAdmin: engine.isAdmin(facts), residuals: new Map() }
    byFacts.set(key, view)
    return view
  }
  return (caller) => {
    let view = byCaller.get(caller)
    if (!view) byCaller.set(caller, (view = shared(caller)))
    return view
  }
}
