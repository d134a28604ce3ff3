/**
 * From the text of a rule to its tree. Words are separated by white space and parentheses; `not` binds tighter than
 * `and`, `and` tighter than `or`. What oslo.policy would quietly turn into "never" is an error here, with its column.
 */
import type { Check, Template } from './ast.ts'

/** A rule as a policy file holds it: text, or the old list form (outer list: or; inner lists: and). */
export type RuleText = string | readonly (string | readonly string[])[]

/** What is wrong with a rule's text. `column` counts from 1. */
export class RuleSyntaxError extends Error {
  readonly column: number

  constructor(column: number, message: string) {
    super(message)
    this.name = 'RuleSyntaxError'
    this.column = column
  }
}

interface Token {
  readonly kind: '(' | ')' | 'and' | 'or' | 'not' | 'word'
  readonly text: string
  readonly column: number
}

/** @throws RuleSyntaxError */
export const parse = (rule: RuleText): Check => (typeof rule === 'string' ? parseText(rule) : parseList(rule))

function parseText(text: string): Check {
  if (text === '') return ALWAYS
  const tokens = tokenize(text)
  let at = 0
  const peek = (): Token | undefined => tokens[at]
  const accept = (kind: Token['kind']): boolean => peek()?.kind === kind && ++at > 0

  const sequence = (join: 'and' | 'or', kind: 'all' | 'any', operand: () => Check): Check => {
    const of = [operand()]
    while (accept(join)) of.push(operand())
    return of.length === 1 && of[0] ? of[0] : freeze({ kind, of: Object.freeze(of) })
  }
  const or = (): Check => sequence('or', 'any', and)
  const and = (): Check => sequence('and', 'all', unary)
  const unary = (): Check => {
    const token = peek()
    if (accept('not')) return freeze({ kind: 'not', of: unary() })
    if (accept('(')) {
      const inner = or()
      if (!accept(')')) throw new RuleSyntaxError(token?.column ?? 1, 'this parenthesis is never closed')
      return inner
    }
    if (token && accept('word')) return parseCheck(token.text, token.column)
    throw new RuleSyntaxError(
      token?.column ?? text.length + 1,
      token ? `a check is expected here, not '${token.text}'` : 'the rule ends where a check is expected',
    )
  }

  const tree = or()
  const rest = peek()
  if (rest) throw new RuleSyntaxError(rest.column, `'and' or 'or' is expected here, not '${rest.text}'`)
  return tree
}

function parseList(rule: Exclude<RuleText, string>): Check {
  if (rule.length === 0) return ALWAYS
  const of = rule.flatMap((inner): Check[] => {
    const checks = (typeof inner === 'string' ? [inner] : inner).map((word) => parseCheck(word, 1))
    if (checks.length === 0) return []
    return checks.length === 1 ? checks : [freeze({ kind: 'all', of: Object.freeze(checks) })]
  })
  if (of.length === 0) return NEVER
  return of.length === 1 && of[0] ? of[0] : freeze({ kind: 'any', of: Object.freeze(of) })
}

/** Parentheses group at the edges of a word only, for inside they belong to `%(attribute)s` and expressions. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  for (const match of text.matchAll(/\S+/g)) {
    const [, open = '', word = '', close = ''] = /^(\(*)(.*?)(\)*)$/s.exec(match[0]) ?? []
    const start = match.index + 1
    for (let i = 0; i < open.length; i++) tokens.push({ kind: '(', text: '(', column: start + i })
    if (word) tokens.push({ kind: keyword(word), text: word, column: start + open.length })
    const end = start + open.length + word.length
    for (let i = 0; i < close.length; i++) tokens.push({ kind: ')', text: ')', column: end + i })
  }
  return tokens
}

const keyword = (word: string): Token['kind'] => {
  const lower = word.toLowerCase()
  return lower === 'and' || lower === 'or' || lower === 'not' ? lower : 'word'
}

/** One check without operators: `kind:match`, `@` or `!`. */
function parseCheck(word: string, column: number): Check {
  if (word === '@') return ALWAYS
  if (word === '!') return NEVER
  const colon =
    word.startsWith("'") || word.startsWith('"') ? word.indexOf(':', closing(word, column)) : word.indexOf(':')
  if (colon < 1) throw new RuleSyntaxError(column, `'${word}' is not a check: a check is written kind:match`)
  const kind = word.slice(0, colon)
  const match = word.slice(colon + 1)
  const at = column + colon + 1
  switch (kind) {
    case 'http':
    case 'https':
      throw new RuleSyntaxError(
        column,
        'http checks are not supported: a policy is decided here, never by another server',
      )
    case 'rule':
      if (!match) throw new RuleSyntaxError(at, 'a rule name is missing after rule:')
      return freeze({ kind: 'rule', name: match })
    case 'role':
      if (!match) throw new RuleSyntaxError(at, 'a role name is missing after role:')
      return freeze({ kind: 'role', role: parseTemplate(match, at) })
    case 'field':
      return parseField(match, at)
    default:
      return freeze({ kind: 'equal', left: kind, right: parseTemplate(match, at) })
  }
}

/** Position of the quotation mark that closes a quoted literal. */
const closing = (word: string, column: number): number => {
  const end = word.indexOf(word.charAt(0), 1)
  if (end < 0) throw new RuleSyntaxError(column, `the quotation mark of ${word} is never closed`)
  return end
}

function parseField(match: string, column: number): Check {
  const colon = match.indexOf(':')
  const equals = match.indexOf('=', colon + 1)
  if (colon < 1 || equals < colon + 2)
    throw new RuleSyntaxError(column, 'a field check is written field:resources:attribute=value')
  const value = match.slice(equals + 1)
  if (value.startsWith('~')) {
    try {
      new RegExp(value.slice(1))
    } catch (error) {
      throw new RuleSyntaxError(column + equals + 2, `not a regular expression: ${(error as Error).message}`)
    }
  }
  return freeze({ kind: 'field', resource: match.slice(0, colon), attribute: match.slice(colon + 1, equals), value })
}

/** Python's `%` formatting with named strings: `%(name)s` and `%%`. At most two holes. */
function parseTemplate(text: string, column: number): Template {
  const parts: (string | { readonly attribute: string })[] = []
  let literal = ''
  const flush = (): void => {
    if (literal) parts.push(literal)
    literal = ''
  }
  for (let i = 0; i < text.length; ) {
    const hole = /^%\(([^()]+)\)s/.exec(text.slice(i))
    if (text.startsWith('%%', i)) {
      literal += '%'
      i += 2
    } else if (hole?.[1]) {
      flush()
      parts.push(Object.freeze({ attribute: hole[1] }))
      i += hole[0].length
    } else if (text[i] === '%') {
      throw new RuleSyntaxError(column + i, 'after % an attribute is expected, as in %(project_id)s; a plain % is %%')
    } else literal += text[i++]
  }
  flush()
  if (parts.filter((part) => typeof part !== 'string').length > 2)
    throw new RuleSyntaxError(column, 'a check compares with two attributes at most')
  return Object.freeze(parts)
}

const freeze = (check: Check): Check => Object.freeze(check)
const ALWAYS: Check = freeze({ kind: 'always' })
const NEVER: Check = freeze({ kind: 'never' })
