/**
 * From defaults and overrides to one consistent set of rules, or to every problem found, together.
 */
import { type Check, print, walk } from './ast.ts'
import type { RuleDefault } from './defaults/rule.ts'
import { parse, RuleSyntaxError, type RuleText } from './parse.ts'
import { canonical, CREDENTIALS, literalText } from './values.ts'

export interface Rule {
  readonly name: string
  /** What the defaults or the file say. */
  readonly text: Check
  /** The line that its default draws; null where there is none. */
  readonly within: Check | null
  /** What decides: both. */
  readonly check: Check
  readonly source: 'default' | 'file'
  /** Null for a rule that only the file knows. */
  readonly default: RuleDefault | null
}

export interface PolicyProblem {
  readonly rule: string
  /** Position in the rule's text, from 1; null when the text reads well but says something impossible. */
  readonly column: number | null
  readonly problem: string
}

/** Everything that is wrong with a policy; a line for each problem when there are several. */
export class PolicyError extends Error {
  readonly problems: readonly PolicyProblem[]

  constructor(problems: readonly PolicyProblem[]) {
    const told = problems.map(
      ({ rule, column, problem }) => `${rule}${column === null ? '' : `, column ${column}`}: ${problem}`,
    )
    super(`the policy cannot be used:${told.length === 1 ? ` ${told[0]}` : told.map((line) => `\n  ${line}`).join('')}`)
    this.name = 'PolicyError'
    this.problems = problems
  }
}

/**
 * An override replaces its default's texts, not the line around them (`within`); under a former name it counts as one
 * under the present. A default that is not overridden allows what its former text allowed too, unless `newDefaultsOnly`.
 * @throws PolicyError
 */
export function loadRules(
  defaults: readonly RuleDefault[],
  overrides: Readonly<Record<string, RuleText>>,
  newDefaultsOnly: boolean,
): ReadonlyMap<string, Rule> {
  const problems: PolicyProblem[] = []
  const rules = new Map<string, Rule>()
  const read = (rule: string, text: RuleText): Check | null => {
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof RuleSyntaxError)) throw error
      problems.push({ rule, column: error.column, problem: error.message })
      return null
    }
  }
  const add = (name: string, texts: readonly RuleText[], source: Rule['source'], known: RuleDefault | null): void => {
    const checks = texts.flatMap((one) => read(name, one) ?? [])
    const within = known?.within === undefined ? null : read(name, known.within)
    const [first] = checks
    if (!first) return
    const text = checks.length === 1 ? first : anyOf(checks)
    rules.set(name, {
      name,
      text,
      within,
      check: within ? { kind: 'all', of: [text, within] } : text,
      source,
      default: known,
    })
  }
  for (const known of defaults) {
    if (Object.hasOwn(overrides, known.name)) continue
    if (rules.has(known.name)) problems.push({ rule: known.name, column: null, problem: 'the default is given twice' })
    const texts = newDefaultsOnly || known.formerly === undefined ? [known.check] : [known.check, known.formerly]
    add(known.name, texts, 'default', known)
  }
  for (const [name, text] of Object.entries(overrides))
    add(name, [text], 'file', defaults.find((one) => one.name === name) ?? null)
  const unread = new Set(problems.map(({ rule }) => rule))
  problems.push(...[...rules.values()].flatMap((rule) => impossible(rule, rules, unread)), ...cycles(rules))
  if (problems.length > 0) throw new PolicyError(problems)
  return rules
}

const anyOf = (checks: readonly Check[]): Check => ({
  kind: 'any',
  of: checks.flatMap((check) => (check.kind === 'any' ? check.of : [check])),
})

/** The same overrides under present names; a rule that is overridden under both follows its present one. */
export function presentNames(
  defaults: readonly RuleDefault[],
  overrides: Readonly<Record<string, RuleText>>,
): { readonly overrides: Readonly<Record<string, RuleText>>; readonly renamed: readonly Renamed[] } {
  const known = new Set(defaults.map(({ name }) => name))
  const renamed = defaults.flatMap(({ name, formerNames = [] }) =>
    formerNames
      .filter((formerly) => !known.has(formerly) && Object.hasOwn(overrides, formerly))
      .map((formerly): Renamed => ({ formerly, name })),
  )
  if (renamed.length === 0) return { overrides, renamed }
  const present = new Map(renamed.map(({ formerly, name }) => [formerly, name]))
  // Former names first, so that a present one has the last word.
  const entries = Object.entries(overrides).sort(([a], [b]) => Number(present.has(b)) - Number(present.has(a)))
  return { overrides: Object.fromEntries(entries.map(([name, text]) => [present.get(name) ?? name, text])), renamed }
}

/** A rule that a policy file calls by the name of an earlier release. */
export interface Renamed {
  readonly formerly: string
  readonly name: string
}

/** References to rules and credentials that do not exist. */
function impossible(rule: Rule, rules: ReadonlyMap<string, Rule>, unread: ReadonlySet<string>): PolicyProblem[] {
  const say = (problem: string): PolicyProblem[] => [{ rule: rule.name, column: null, problem }]
  return [...walk(rule.check)].flatMap((check): PolicyProblem[] => {
    if (check.kind === 'rule' && !rules.has(check.name) && !unread.has(check.name))
      return say(`it refers to the rule '${check.name}', which does not exist`)
    if (check.kind === 'equal' && !isKnownLeft(check.left))
      return say(`'${print(check)}' can never hold: no caller has a credential '${check.left}'`)
    return []
  })
}

const isKnownLeft = (left: string): boolean =>
  left === 'is_admin' || literalText(left) !== null || CREDENTIALS.includes(canonical(left))

/** The names a rule stands on directly; `is_admin` stands on the rule that decides it. */
export const references = (check: Check): string[] =>
  [...walk(check)].flatMap((part): string[] => {
    if (part.kind === 'rule') return [part.name]
    return part.kind === 'equal' && part.left === 'is_admin' ? ['context_is_admin'] : []
  })

/** Each cycle once, told from its first member on. */
function cycles(rules: ReadonlyMap<string, Rule>): PolicyProblem[] {
  const problems: PolicyProblem[] = []
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name]
      problems.push({ rule: name, column: null, problem: `it refers to itself: ${cycle.join(' → ')}` })
      return
    }
    const rule = rules.get(name)
    if (!rule || done.has(name)) return
    for (const next of new Set(references(rule.check))) visit(next, [...path, name])
    done.add(name)
  }
  for (const name of rules.keys()) visit(name, [])
  return problems
}
