/**
 * The policy language as data: what a rule says once it is read. Frozen, without behaviour.
 *
 * The language is oslo.policy's (OpenStack, "Policy configuration file format"), with Neutron's `field:` check.
 * `print` writes a tree back as text; `parse(print(tree))` is that tree again.
 */

/** Literal text and `%(attribute)s` holes, in order. */
export type Template = readonly (string | { readonly attribute: string })[]

export type Check =
  /** `@` or an empty rule. */
  | { readonly kind: 'always' }
  /** `!` */
  | { readonly kind: 'never' }
  | { readonly kind: 'all'; readonly of: readonly Check[] }
  | { readonly kind: 'any'; readonly of: readonly Check[] }
  | { readonly kind: 'not'; readonly of: Check }
  /** `rule:name` */
  | { readonly kind: 'rule'; readonly name: string }
  /** `role:name`; upper and lower case are alike. */
  | { readonly kind: 'role'; readonly role: Template }
  /** `field:resources:attribute=value`; a value that begins with `~` is a regular expression tied to the start. */
  | { readonly kind: 'field'; readonly resource: string; readonly attribute: string; readonly value: string }
  /** `left:right`: `left` names a credential (`project_id`) or is a literal (`True`, `None`, `5`, `'text'`). */
  | { readonly kind: 'equal'; readonly left: string; readonly right: Template }

/** The text of a check, with no more parentheses than its shape needs. */
export const print = (check: Check): string => {
  switch (check.kind) {
    case 'always':
      return '@'
    case 'never':
      return '!'
    case 'all':
      return check.of.map((part) => wrap(part, part.kind === 'any' || part.kind === 'all')).join(' and ')
    case 'any':
      return check.of.map((part) => wrap(part, part.kind === 'any')).join(' or ')
    case 'not':
      return `not ${wrap(check.of, check.of.kind === 'any' || check.of.kind === 'all')}`
    case 'rule':
      return `rule:${check.name}`
    case 'role':
      return `role:${printTemplate(check.role)}`
    case 'field':
      return `field:${check.resource}:${check.attribute}=${check.value}`
    case 'equal':
      return `${check.left}:${printTemplate(check.right)}`
  }
}

const wrap = (check: Check, needed: boolean): string => (needed ? `(${print(check)})` : print(check))

const printTemplate = (template: Template): string =>
  template.map((part) => (typeof part === 'string' ? part.replaceAll('%', '%%') : `%(${part.attribute})s`)).join('')

/** The check itself and all below it; what a `rule:` refers to is not followed. */
export function* walk(check: Check): Generator<Check> {
  yield check
  if (check.kind === 'all' || check.kind === 'any') for (const part of check.of) yield* walk(part)
  if (check.kind === 'not') yield* walk(check.of)
}

/** The attributes of the target that a template reads. */
export const holes = (template: Template): string[] =>
  template.flatMap((part) => (typeof part === 'string' ? [] : [part.attribute]))
