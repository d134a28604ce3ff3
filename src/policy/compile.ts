/** From a tree to a closure: what is constant is worked out once, so that asking costs a few comparisons. */
import type { Check, Template } from './ast.ts'
import { lowerCase, textsOnTheLeft } from './residual.ts'
import { canonical, type Facts, fieldValue, lookup, same, type Target, textOf } from './values.ts'

export type Compiled = (facts: Facts, target: Target) => boolean

/** What a check needs from the policy it stands in; rules are compiled when first asked for. */
export interface Linker {
  rule(name: string): Compiled
  isAdmin(facts: Facts): boolean
}

export function compile(check: Check, link: Linker): Compiled {
  switch (check.kind) {
    case 'always':
      return () => true
    case 'never':
      return () => false
    case 'all': {
      const parts = check.of.map((part) => compile(part, link))
      return (facts, target) => parts.every((part) => part(facts, target))
    }
    case 'any': {
      const parts = check.of.map((part) => compile(part, link))
      return (facts, target) => parts.some((part) => part(facts, target))
    }
    case 'not': {
      const part = compile(check.of, link)
      return (facts, target) => !part(facts, target)
    }
    case 'rule':
      return link.rule(check.name)
    case 'role':
      return compileRole(lowerCase(check.role))
    case 'field':
      return compileField(check)
    case 'equal': {
      const right = compileTemplate(check.right)
      return (facts, target) => {
        const text = right(target)
        return text !== null && textsOnTheLeft(check, facts, link).includes(text)
      }
    }
  }
}

function compileRole(role: Template): Compiled {
  const name = compileTemplate(role, (value) => (value === null ? null : textOf(value).toLowerCase()))
  return (facts, target) => {
    const wanted = name(target)
    return wanted !== null && (facts['roles'] as readonly string[]).includes(wanted)
  }
}

function compileField(check: Extract<Check, { kind: 'field' }>): Compiled {
  const attribute = canonical(check.attribute)
  if (!check.value.startsWith('~')) {
    const value = fieldValue(check.value)
    return (_, target) => same(lookup(target, attribute), value)
  }
  const pattern = new RegExp(`^(?:${check.value.slice(1)})`)
  return (_, target) => {
    const value = lookup(target, attribute) ?? null
    return value !== null && pattern.test(textOf(value))
  }
}

/** The filled-in text, or null when the target lacks an attribute. */
function compileTemplate(
  template: Template,
  text: (value: unknown) => string | null = textOf,
): (target: Target) => string | null {
  const parts = template.map((part) => (typeof part === 'string' ? part : { attribute: canonical(part.attribute) }))
  const [only] = parts
  if (parts.length === 0) return () => ''
  if (parts.length === 1 && typeof only === 'string') return () => only
  return (target) => {
    let filled = ''
    for (const part of parts) {
      const value = typeof part === 'string' ? part : lookup(target, part.attribute)
      const piece = value === undefined ? null : text(value)
      if (piece === null) return null
      filled += piece
    }
    return filled
  }
}
