/** Policy files: YAML (so JSON too), one rule a line, as OpenStack's services keep them in policy.yaml and policy.d. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isScalar, LineCounter, parseDocument, type Document, visit } from 'yaml'
import { PolicyError, type PolicyProblem } from './load.ts'
import type { RuleText } from './parse.ts'

export type Overrides = Readonly<Record<string, RuleText>>

/** Where a rule of a file stands. */
export interface Place {
  readonly path: string
  /** From 1. */
  readonly line: number
}

export interface PolicyFile {
  readonly overrides: Overrides
  readonly places: ReadonlyMap<string, Place>
}

/** Null where there is none. */
export interface PolicySources {
  readonly file: string | null
  /** Its files are read after `file`, in order of name; what is said again replaces what was said before. */
  readonly dir: string | null
}

/** The files that are there now. A folder that does not exist holds none. @throws PolicyError when it cannot be read */
export function policyFiles({ file, dir }: PolicySources): readonly string[] {
  const first = file === null ? [] : [file]
  if (dir === null) return first
  try {
    const names = readdirSync(dir).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name))
    return [...first, ...names.sort().map((name) => join(dir, name))]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return first
    throw new PolicyError([{ rule: dir, column: null, problem: (error as Error).message }])
  }
}

/** All files as one. @throws PolicyError with the problems of every file that is not a policy */
export function readPolicies(sources: PolicySources): PolicyFile {
  const problems: PolicyProblem[] = []
  const read = policyFiles(sources).flatMap((path): PolicyFile[] => {
    try {
      return [readPolicyFile(path)]
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error
      problems.push(...error.problems)
      return []
    }
  })
  if (problems.length > 0) throw new PolicyError(problems)
  return {
    overrides: Object.assign({}, ...read.map(({ overrides }) => overrides)) as Overrides,
    places: new Map(read.flatMap(({ places }) => [...places])),
  }
}

/** What tells one state of the files from another: names, inodes, times and sizes. A missing file has none of them. */
export const fingerprint = (sources: PolicySources): string =>
  policyFiles(sources)
    .map((path) => {
      const { ino, mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {}
      return [path, ino, mtimeMs, size].join(' ')
    })
    .join('\n')

/** @throws PolicyError when the file cannot be read or is not a policy; the message names `path`. */
export function readPolicyFile(path: string): PolicyFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new PolicyError([{ rule: path, column: null, problem: (error as Error).message }])
  }
  return parsePolicyFile(text, path)
}

/** An empty file overrides nothing. `path` is for messages only. @throws PolicyError */
export function parsePolicyFile(text: string, path: string): PolicyFile {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false })
  const fail = (problem: string): PolicyProblem => ({ rule: path, column: null, problem })
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset)
    return `line ${line}, column ${col}`
  }
  if (document.errors.length > 0)
    throw new PolicyError(document.errors.map(({ pos: [start], message }) => fail(`${at(start)}: ${message}`)))
  const content: unknown = document.toJS()
  if (content === null || content === undefined) return { overrides: {}, places: new Map() }
  if (typeof content !== 'object' || Array.isArray(content))
    throw new PolicyError([fail('a policy file maps rule names to rules')])
  const wrong = Object.entries(content).filter(([, rule]) => !isRuleText(rule))
  if (wrong.length > 0)
    throw new PolicyError(wrong.map(([name]) => fail(`the rule of '${name}' is neither a text nor a list of lists`)))
  return { overrides: content as Overrides, places: placesIn(document, path, counter) }
}

function placesIn(document: Document, path: string, counter: LineCounter): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar(key) && key.range) places.set(String(key.value), { path, line: counter.linePos(key.range[0]).line })
    },
  })
  return places
}

const isRuleText = (value: unknown): value is RuleText =>
  typeof value === 'string' ||
  (Array.isArray(value) &&
    value.every(
      (inner) => typeof inner === 'string' || (Array.isArray(inner) && inner.every((w) => typeof w === 'string')),
    ))
