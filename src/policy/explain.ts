/** Why a rule allows or denies: its tree, with what each part came to. */
import { type Check, print } from './ast.ts'
import type { Compiled } from './compile.ts'
import type { Facts, Target } from './values.ts'

export interface Reason {
  /** The check, as a policy file would write it. */
  readonly text: string
  readonly holds: boolean
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
  return {
    text: print(check),
    holds: around.compile(check)(facts, target),
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
