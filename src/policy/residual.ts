/**
 * Partial evaluation: the caller is known, the target is not. What remains is a boolean expression over attributes
 * of the target, simple enough to become part of an SQL statement, so that a list is filtered where its rows are.
 *
 * For whoever makes SQL of it: `equals` never answers null: `equals null` is `is null`, and a null attribute differs
 * from every other value (`is not distinct from`). `true` and `false` stand for booleans. Attributes have canonical
 * names: `project_id`, `network:project_id`; `shared` on a resource that has none means its network's.
 */
import type { Check, Template } from './ast.ts'
import {
  canonical,
  type Facts,
  fieldValue,
  literalText,
  lookup,
  type Scalar,
  same,
  type Target,
  textOf,
  valueOf,
} from './values.ts'

export type Residual =
  | boolean
  | { readonly op: 'and' | 'or'; readonly of: readonly Residual[] }
  | { readonly op: 'not'; readonly of: Residual }
  | { readonly op: 'equals'; readonly attribute: string; readonly value: Scalar }
  /** A regular expression found in a text; false on null. PostgreSQL: `~`, or `~*` when case is ignored. */
  | { readonly op: 'matches'; readonly attribute: string; readonly pattern: string; readonly ignoreCase: boolean }

/** What a check needs from the policy it stands in. */
export interface Surroundings {
  check(rule: string): Check
  isAdmin(facts: Facts): boolean
}

/** What is left of `check` for a caller with these credentials. */
export function reduce(check: Check, facts: Facts, around: Surroundings): Residual {
  switch (check.kind) {
    case 'always':
      return true
    case 'never':
      return false
    case 'all':
      return and(check.of.map((part) => reduce(part, facts, around)))
    case 'any':
      return or(check.of.map((part) => reduce(part, facts, around)))
    case 'not':
      return not(reduce(check.of, facts, around))
    case 'rule':
      return reduce(around.check(check.name), facts, around)
    case 'role':
      return or((facts['roles'] as readonly string[]).map((role) => solve(lowerCase(check.role), role, roleIs)))
    case 'field':
      return check.value.startsWith('~')
        ? {
            op: 'matches',
            attribute: canonical(check.attribute),
            pattern: `^(?:${check.value.slice(1)})`,
            ignoreCase: false,
          }
        : { op: 'equals', attribute: canonical(check.attribute), value: fieldValue(check.value) }
    case 'equal':
      return or(textsOnTheLeft(check, facts, around).map((text) => solve(check.right, text, attributeIs)))
  }
}

/**
 * The texts that the left side of a check stands for; a credential that is a list equals what any member equals.
 * A credential the caller lacks never equals an attribute, so that a token without project owns no ownerless object.
 */
export function textsOnTheLeft(
  check: Extract<Check, { kind: 'equal' }>,
  facts: Facts,
  around: Pick<Surroundings, 'isAdmin'>,
): readonly string[] {
  const literal = literalText(check.left)
  if (literal !== null) return [literal]
  if (check.left === 'is_admin') return [textOf(around.isAdmin(facts))]
  const fact = facts[canonical(check.left)]
  if (fact === undefined || (fact === null && check.right.some((part) => typeof part !== 'string'))) return []
  return Array.isArray(fact) ? fact : [textOf(fact)]
}

export const lowerCase = (template: Template): Template =>
  template.map((part) => (typeof part === 'string' ? part.toLowerCase() : part))

/** For which targets does the template give exactly `text`? Tries every split when two attributes share it. */
function solve(template: Template, text: string, is: (attribute: string, text: string) => Residual): Residual {
  const [head, ...rest] = template
  if (head === undefined) return text === ''
  if (typeof head === 'string') return text.startsWith(head) && solve(rest, text.slice(head.length), is)
  if (rest.length === 0) return is(head.attribute, text)
  const splits = Array.from({ length: text.length + 1 }, (_, at) =>
    and([is(head.attribute, text.slice(0, at)), solve(rest, text.slice(at), is)]),
  )
  return or(splits)
}

const attributeIs = (attribute: string, text: string): Residual => ({
  op: 'equals',
  attribute: canonical(attribute),
  value: valueOf(text),
})

const roleIs = (attribute: string, text: string): Residual => ({
  op: 'matches',
  attribute: canonical(attribute),
  pattern: `^${text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`,
  ignoreCase: true,
})

export const and = (parts: readonly Residual[]): Residual => join('and', parts)
export const or = (parts: readonly Residual[]): Residual => join('or', parts)
export const not = (part: Residual): Residual => {
  if (typeof part === 'boolean') return !part
  return part.op === 'not' ? part.of : { op: 'not', of: part }
}

/** Flattens; drops what changes nothing, what is said twice, and what another part says more strictly. */
function join(op: 'and' | 'or', parts: readonly Residual[]): Residual {
  const neutral = op === 'and'
  const distinct = new Map<string, Residual>()
  for (const part of parts.flatMap((p) => (typeof p === 'object' && p.op === op ? p.of : [p]))) {
    if (part === !neutral) return !neutral
    if (part !== neutral) distinct.set(JSON.stringify(part), part)
  }
  const of = absorb(distinct, neutral ? 'or' : 'and')
  if (of.length === 0) return neutral
  return of.length === 1 && of[0] !== undefined ? of[0] : { op, of }
}

/** `a and (a or b)` is `a`; `a or (a and b)` is `a`. `dual`: the operator inside. Parts by their JSON, all different. */
function absorb(parts: ReadonlyMap<string, Residual>, dual: 'and' | 'or'): Residual[] {
  const members = (key: string, part: Residual): readonly string[] =>
    typeof part === 'object' && part.op === dual ? part.of.map((one) => JSON.stringify(one)) : [key]
  const all = [...parts].map(([key, part]) => ({ part, of: new Set(members(key, part)) }))
  const absorbed = (one: ReadonlySet<string>, at: number): boolean =>
    all.some(({ of }, i) => i !== at && [...of].every((key) => one.has(key)) && (of.size < one.size || i < at))
  return all.filter(({ of }, at) => !absorbed(of, at)).map(({ part }) => part)
}

/** What the expression says of one target; the yardstick for anyone who translates residuals. */
export function holdsFor(residual: Residual, target: Target): boolean {
  if (typeof residual === 'boolean') return residual
  switch (residual.op) {
    case 'and':
      return residual.of.every((part) => holdsFor(part, target))
    case 'or':
      return residual.of.some((part) => holdsFor(part, target))
    case 'not':
      return !holdsFor(residual.of, target)
    case 'equals':
      return same(lookup(target, residual.attribute), residual.value)
    case 'matches': {
      const value = lookup(target, residual.attribute) ?? null
      return value !== null && new RegExp(residual.pattern, residual.ignoreCase ? 'i' : '').test(textOf(value))
    }
  }
}
