/** Why a rule allows or denies: its tree, with what each part came to and what it found. */
import { type Check, holes, print } from './ast.ts'
import type { Compiled } from './compile.ts'
import { canonical, type Facts, literalText, lookup, type Target, textOf } from './values.ts'

export interface Reason {
  /** The check, as a policy file would write it. */
  readonly text: string
  readonly holds: boolean
  /** The values it compared: `project_id is p; network:project_id is q`. Absent where it compares none. */
  readonly found?: string
  /** Parts of the check, or the rule that it refers to. */
  readonly of: readonly Reason[]
}

export interface Explanation {
  readonly allowed: boolean
  /** The rule that decided; not always the one asked for: an unknown rule is decided by `default`. */
  readonly rule: string
  readonly text: string
  readonly because: Reason
  /** The line around the rule, which must hold as well; null where there is none. */
  readonly within: Reason | null
}

/** Every part is shown, also those that evaluation would have skipped. */
export function reason(
  check: Check,
  facts: Facts,
  target: Target,
  around: { readonly check: (rule: string) => Check; readonly compile: (check: Check) => Compiled },
): Reason {
  const parts = partsOf(check, around.check)
  const found = [...credentialsOf(check, facts), ...attributesOf(check, target)].join('; ')
  return {
    text: print(check),
    holds: around.compile(check)(facts, target),
    ...(found === '' ? {} : { found }),
    of: parts.map((part) => reason(part, facts, target, around)),
  }
}

function partsOf(check: Check, rule: (name: string) => Check): readonly Check[] {
  switch (check.kind) {
    case 'all':
    case 'any':
      return check.of
    case 'not':
      return [check.of]
    case 'rule':
      return [rule(check.name)]
    case 'always':
    case 'never':
    case 'role':
    case 'field':
    case 'equal':
      return []
  }
}

/** What the caller has of the credential on the left. */
function credentialsOf(check: Check, facts: Facts): readonly string[] {
  if (check.kind !== 'equal' || check.left === 'is_admin' || literalText(check.left) !== null) return []
  const fact = facts[canonical(check.left)] ?? null
  const value = Array.isArray(fact) ? fact.join(', ') : fact
  return [`the caller's ${canonical(check.left)} is ${value === null || value === '' ? 'not known' : textOf(value)}`]
}

/** What the target has of the attributes on the right. */
function attributesOf(check: Check, target: Target): readonly string[] {
  return attributeNames(check).map((name) => {
    const value = lookup(target, canonical(name))
    return `the target's ${canonical(name)} is ${value === undefined ? 'not known' : textOf(value)}`
  })
}

function attributeNames(check: Check): readonly string[] {
  if (check.kind === 'field') return [check.attribute]
  if (check.kind === 'equal') return holes(check.right)
  return check.kind === 'role' ? holes(check.role) : []
}
