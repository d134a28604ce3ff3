/** Policy files: YAML (so JSON too), one rule a line, as OpenStack's services keep them in policy.yaml. */
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { PolicyError, type PolicyProblem } from './load.ts'
import type { RuleText } from './parse.ts'

export type Overrides = Readonly<Record<string, RuleText>>

/** @throws PolicyError when the file cannot be read or is not a policy; the message names `path`. */
export function readPolicyFile(path: string): Overrides {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new PolicyError([{ rule: path, column: null, problem: (error as Error).message }])
  }
  return parsePolicyFile(text, path)
}

/** An empty file overrides nothing. `path` is for messages only. @throws PolicyError */
export function parsePolicyFile(text: string, path: string): Overrides {
  const document = parseDocument(text)
  const fail = (problem: string): PolicyProblem => ({ rule: path, column: null, problem })
  if (document.errors.length > 0) throw new PolicyError(document.errors.map((error) => fail(error.message)))
  const content: unknown = document.toJS()
  if (content === null || content === undefined) return {}
  if (typeof content !== 'object' || Array.isArray(content))
    throw new PolicyError([fail('a policy file maps rule names to rules')])
  const wrong = Object.entries(content).filter(([, rule]) => !isRuleText(rule))
  if (wrong.length > 0)
    throw new PolicyError(wrong.map(([name]) => fail(`the rule of '${name}' is neither a text nor a list of lists`)))
  return content as Overrides
}

const isRuleText = (value: unknown): value is RuleText =>
  typeof value === 'string' ||
  (Array.isArray(value) &&
    value.every(
      (inner) => typeof inner === 'string' || (Array.isArray(inner) && inner.every((w) => typeof w === 'string')),
    ))
