/** `policy explain`: may this caller do that, and by which rule. */
import type { Caller } from '#kernel/caller.ts'
import { nearest } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import type { Explanation, Reason } from '#policy/explain.ts'
import type { Policy } from '#policy/policy.ts'
import { canonical, type Target } from '#policy/values.ts'
import type { Output } from './output.ts'

/** The options of the command line, by name without dashes. */
type Options = Readonly<Record<string, string | boolean | undefined>>

export interface Asked {
  readonly rule: string
  readonly caller: Options
  /** `name=value`. */
  readonly target: readonly string[]
  readonly json: boolean
}

/** Prints the answer; the exit code says it too: 0 when allowed, 1 when not. */
export function explainRule(policy: Policy, asked: Asked, out: Output): number {
  const caller = callerOf(asked.caller)
  const target = targetOf(asked.target, caller)
  const answer = policy.explain(asked.rule, caller, target)
  if (asked.json) out.line(JSON.stringify({ asked: asked.rule, target, ...answer }, null, 2))
  else for (const line of answerLines(policy, asked.rule, caller, target, answer, out)) out.line(line)
  return answer.allowed ? 0 : 1
}

function answerLines(
  policy: Policy,
  rule: string,
  caller: Caller,
  target: Target,
  { allowed, rule: decided, because, within }: Explanation,
  out: Output,
): string[] {
  const scope = caller.systemScope ? 'system' : caller.projectId ? `project ${caller.projectId}` : 'no project'
  const lines = [
    `${allowed ? out.paint('green', 'allowed') : out.paint('red', 'denied')}: ${rule}, by the rule ${decided}`,
    `  caller  ${caller.roles.length > 0 ? `roles ${caller.roles.join(', ')}` : 'no roles'}; ${scope}`,
    `  target  ${
      Object.entries(target)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(' ') || 'nothing known of it'
    }`,
  ]
  if (!policy.has(rule)) {
    const near = nearest(
      rule,
      policy.effective().map(({ name }) => name),
    )
    lines.push(`  There is no rule ${rule}${near ? ` (did you mean ${near}?)` : ''}: "default" decides.`)
  }
  lines.push('', ...tree(because, out))
  if (within) lines.push('', 'and within', ...tree(within, out))
  return lines
}

/** What holds and what does not, parts below their whole. */
const tree = ({ text, holds, found, of }: Reason, out: Output, depth = 0): string[] => [
  [
    '  '.repeat(depth),
    holds ? out.paint('green', '✔') : out.paint('red', '✘'),
    ` ${text}`,
    found === undefined ? '' : out.paint('dim', `   (${found})`),
  ].join(''),
  ...of.flatMap((part) => tree(part, out, depth + 1)),
]

const callerOf = (given: Options): Caller => {
  const text = (name: string): string | null => (typeof given[name] === 'string' ? given[name] : null)
  const list = (name: string): string[] =>
    text(name)
      ?.split(',')
      .map((one) => one.trim())
      .filter(Boolean) ?? []
  const projectId = text('project')
  if (given['system'] === true && projectId !== null)
    throw new UserError('A token is of a project or of the system: give --project or --system.', { exitCode: 2 })
  return {
    userId: text('user') ?? '',
    userName: text('user') ?? '',
    projectId,
    projectName: projectId,
    domainId: text('domain'),
    systemScope: given['system'] === true ? 'all' : null,
    roles: list('roles'),
    serviceRoles: list('service-roles'),
    expiresAt: new Date(8.64e15),
  }
}

const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null, none: null }

/** Under canonical names; the object is of the caller's project unless something else is said. */
function targetOf(pairs: readonly string[], { projectId }: Caller): Target {
  const target: Record<string, unknown> = projectId === null ? {} : { project_id: projectId }
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UserError(`"${pair}" is not NAME=VALUE.`, { exitCode: 2 })
    const value = pair.slice(at + 1)
    const word = value.toLowerCase()
    target[canonical(pair.slice(0, at))] = Object.hasOwn(WORDS, word) ? WORDS[word] : value
  }
  return target
}
