/**
 * Access rules of application credentials: a list of requests that such a token may make, and no others. In a path `*`
 * and `{name}` stand for one segment or a part of one, `**` for anything (Identity API v3, application credentials).
 */
import type { RequestTarget } from '../identity.ts'

export interface AccessRule {
  /** A service's type, such as `network`. */
  readonly service: string
  readonly method: string
  readonly path: string
}

/** Ten times the API's longest; what is matched against many rules is kept short. */
const LONGEST_PATH = 2048

/** Whether a rule allows the request, to a service of this type. */
export const allows = (rules: readonly AccessRule[], serviceType: string, { method, path }: RequestTarget): boolean => {
  const [asked = ''] = path.split('?', 1)
  if (asked.length > LONGEST_PATH) return false
  return rules.some((rule) => rule.service === serviceType && rule.method === method && pathMatches(rule.path, asked))
}

/** Matches one character, once or again and again; `any` also nothing at all. */
type Part =
  | { readonly kind: 'literal'; readonly char: string }
  | { readonly kind: 'segment' }
  | { readonly kind: 'any' }

const PARTS = /\{[^}]*\}|\*\*|\*|[^]/gu

const partsOf = (pattern: string): Part[] =>
  (pattern.match(PARTS) ?? []).map((part) => {
    if (part === '**') return { kind: 'any' }
    return part === '*' || (part.length > 1 && part.startsWith('{'))
      ? { kind: 'segment' }
      : { kind: 'literal', char: part }
  })

/**
 * Walks all ways through the pattern at once, so that no pattern takes longer than its length times the path's: both
 * are chosen by whoever holds the token, and a regular expression could be made to run for hours.
 */
export function pathMatches(pattern: string, path: string): boolean {
  const parts = partsOf(pattern)
  let at = pastAny(parts, new Set([0]))
  for (const char of path) {
    const next = new Set<number>()
    for (const i of at) {
      const part = parts[i]
      // A segment's first character may be its last: both ways go on.
      if (part?.kind === 'any') next.add(i)
      else if (part?.kind === 'segment' && char !== '/') next.add(i).add(i + 1)
      else if (part?.kind === 'literal' && part.char === char) next.add(i + 1)
    }
    at = pastAny(parts, next)
  }
  return at.has(parts.length)
}

/** `any` may stand for nothing, so whoever is at it is behind it as well. */
function pastAny(parts: readonly Part[], places: Set<number>): Set<number> {
  for (const i of places) if (parts[i]?.kind === 'any') places.add(i + 1)
  return places
}
