/** `policy check`: everything that is wrong with a policy file, and what its author may not have meant. */
import { nearest } from '#launch/settings.ts'
import { print } from '#policy/ast.ts'
import { defaultRules } from '#policy/defaults/index.ts'
import { type Overrides, type PolicyFile, readPolicyFile } from '#policy/file.ts'
import { loadRules, PolicyError, presentNames, type Rule, references } from '#policy/load.ts'
import { parse } from '#policy/parse.ts'

export interface Finding {
  readonly grade: 'error' | 'warning'
  /** From 1; null when it is about the file. */
  readonly line: number | null
  readonly rule: string | null
  readonly message: string
}

/** In the order of the file. An error keeps the server from using the file; a warning does not. */
export function checkFile(path: string, newDefaultsOnly: boolean): readonly Finding[] {
  let file: PolicyFile
  try {
    file = readPolicyFile(path)
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    return error.problems.map(({ problem }) => ({ grade: 'error', line: null, rule: null, message: problem }))
  }
  return checkRules(file, newDefaultsOnly).toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

function checkRules({ overrides: written, places }: PolicyFile, newDefaultsOnly: boolean): readonly Finding[] {
  const { overrides, renamed } = presentNames(defaultRules, written)
  const formerly = new Map(renamed.map((one) => [one.name, one.formerly]))
  const finding = (grade: Finding['grade'], rule: string, message: string): Finding => {
    const place = places.get(rule) ?? places.get(formerly.get(rule) ?? '')
    return { grade, line: place?.line ?? null, rule, message }
  }
  const { errors, warnings } = judge(overrides, newDefaultsOnly)
  return [
    ...renamed.map((one) => finding('warning', one.formerly, `it is called ${one.name} now`)),
    ...errors.map(({ rule, message }) => finding('error', rule, message)),
    ...[...unknown(overrides), ...warnings].map(({ rule, message }) => finding('warning', rule, message)),
  ]
}

interface Remark {
  readonly rule: string
  readonly message: string
}

/** What cannot be; and when everything can, what does nothing. */
function judge(
  overrides: Overrides,
  newDefaultsOnly: boolean,
): { readonly errors: readonly Remark[]; readonly warnings: readonly Remark[] } {
  try {
    return { errors: [], warnings: idle(loadRules(defaultRules, overrides, newDefaultsOnly)) }
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    const errors = error.problems.map(({ rule, column, problem }) => ({
      rule,
      message: column === null ? withHint(problem) : `column ${column}: ${problem}`,
    }))
    return { errors, warnings: [] }
  }
}

const NAMES = defaultRules.map(({ name }) => name)

/** A reference to a rule that does not exist is often a typing error. */
const withHint = (problem: string): string => {
  const missing = /the rule '([^']+)', which does not exist/.exec(problem)?.[1]
  const near = missing === undefined ? null : nearest(missing, NAMES)
  return near ? `${problem} (did you mean ${near}?)` : problem
}

/** Rules without a default that no text of the file mentions. */
function unknown(overrides: Overrides): readonly Remark[] {
  const mentioned = new Set([...JSON.stringify(overrides).matchAll(/\brule:([^\s()"]+)/g)].map(([, name]) => name))
  return Object.keys(overrides)
    .filter((name) => !NAMES.includes(name) && !mentioned.has(name))
    .map((rule) => {
      const near = nearest(rule, NAMES)
      const hint = near ? `: did you mean ${near}?` : ', and nothing refers to it'
      return { rule, message: `there is no such rule${hint}` }
    })
}

/** Rules of the file that change nothing. */
function idle(rules: ReadonlyMap<string, Rule>): readonly Remark[] {
  const asked = reachable(rules)
  return [...rules.values()].flatMap(({ name, source, text, default: known }): Remark[] => {
    if (source !== 'file' || !known) return []
    if (!asked.has(name)) return [{ rule: name, message: 'no rule in force refers to it: only former defaults did' }]
    return print(text) === print(parse(known.check))
      ? [{ rule: name, message: 'it says what the default says: better left out' }]
      : []
  })
}

/** Rules that the program asks for, and those that they refer to. */
function reachable(rules: ReadonlyMap<string, Rule>): ReadonlySet<string> {
  const isAsked = ({ name, default: known }: Rule): boolean =>
    known === null || known.operations.length > 0 || known.scopes !== undefined || ASKED.includes(name)
  const found = new Set([...rules.values()].filter(isAsked).map(({ name }) => name))
  // A set tells its new members to the loop that runs over it.
  for (const name of found) {
    const rule = rules.get(name)
    if (rule) for (const next of references(rule.check)) found.add(next)
  }
  return found
}

/** Asked for by the program itself, not for an operation. */
const ASKED: readonly string[] = ['context_is_admin', 'default']
