/** `deuteron policy …`: the rules in force, what they say to a caller, and whether a policy file can be used. */
import { loadSettings, type ServerSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import { type Place, readPolicies } from '#policy/file.ts'
import { PolicyError } from '#policy/load.ts'
import { createPolicy, type EffectiveRule, type Policy } from '#policy/policy.ts'
import { samplePolicy } from '#policy/sample.ts'
import { stringify } from 'yaml'
import type { Command, CommandContext } from './command.ts'
import { checkFile } from './policy-check.ts'
import { explainRule } from './policy-explain.ts'

export const policyCommand: Command = {
  usage: 'policy show | explain RULE | check FILE | sample   [OPTIONS] [SETTINGS]',
  help: `
Who may do what: the rules in force, and a look at a policy file before the server reads it.

  show           the rules in force, where each comes from and what it says
                 --rule GLOB (get_port*), --changed (of the policy files only), --format text|yaml|json
  explain RULE   may this caller do that, and by which rule; exit code 0 or 1
                 --roles member,reader  --project ID  --user ID  --domain ID  --system  --service-roles service
                 --target NAME=VALUE …  attributes of the object and its parents: shared=true network:project_id=ID;
                                        its project_id is the caller's unless you say another
                 --format text|json
  check FILE     what is wrong with a policy file: syntax, unknown rules, cycles, old names; --strict counts warnings
  sample         a policy file of all defaults, commented out

Roles are taken as a token lists them: Keystone adds those a role implies (admin: member, reader).
The policy is that of the settings: --policy-file, --policy-dir, --enforce-new-defaults, --enforce-scope.
docs/reference/policy.md lists the defaults.`,

  run: async (args, context) => {
    const [verb = '', ...rest] = args
    const action = ACTIONS[verb]
    if (!action) {
      throw new UserError('Say "deuteron policy show", "explain RULE", "check FILE" or "sample".', { exitCode: 2 })
    }
    try {
      return action(rest, context)
    } catch (error) {
      throw error instanceof PolicyError ? new UserError(error.message, { cause: error }) : error
    }
  },
}

interface InForce {
  readonly policy: Policy
  readonly places: ReadonlyMap<string, Place>
}

const policyOf = ({ policyFile, policyDir, enforceNewDefaults, enforceScope }: ServerSettings): InForce => {
  const { overrides, places } = readPolicies({ file: policyFile, dir: policyDir })
  return { policy: createPolicy({ overrides, enforceNewDefaults, enforceScope }), places }
}

const show = (args: readonly string[], { env, out }: CommandContext): number => {
  const { settings, extra, positionals } = loadSettings('server', args, env, {
    rule: 'string',
    changed: 'boolean',
    format: 'string',
  })
  refuseWords(positionals)
  const format = oneFormat(extra['format'], ['text', 'yaml', 'json'])
  const { policy, places } = policyOf(settings)
  const wanted = globOf(typeof extra['rule'] === 'string' ? extra['rule'] : '*')
  const rules = policy
    .effective()
    .filter(({ name, source }) => wanted.test(name) && (source === 'file' || extra['changed'] !== true))
  const from = ({ name, source }: EffectiveRule): string => {
    const place = source === 'file' ? places.get(name) : undefined
    return place ? `${place.path}:${place.line}` : source
  }
  if (format !== 'text') {
    const shown = rules.map((rule) => ({ ...rule, source: from(rule) }))
    out.line(format === 'json' ? JSON.stringify(shown, null, 2) : stringify(shown).trimEnd())
    return 0
  }
  for (const rule of rules) {
    const { name, text, within, source, description } = rule
    out.line(`${out.paint('bold', name)}  ${out.paint(source === 'file' ? 'yellow' : 'dim', from(rule))}`)
    if (description) out.line(`    ${description}`)
    out.line(`    ${out.paint('cyan', text)}`)
    if (within !== null) out.line(out.paint('dim', `    within ${within}`))
  }
  if (rules.length === 0) out.note('No rule matches.')
  return 0
}

const explain = (args: readonly string[], { env, out }: CommandContext): number => {
  const { rest, targets } = takeTargets(args)
  const { settings, extra, positionals } = loadSettings('server', rest, env, {
    roles: 'string',
    project: 'string',
    user: 'string',
    domain: 'string',
    system: 'boolean',
    'service-roles': 'string',
    format: 'string',
  })
  const [rule, ...more] = positionals
  if (rule === undefined) throw new UserError('Say which rule: deuteron policy explain RULE --roles …', { exitCode: 2 })
  const format = oneFormat(extra['format'], ['text', 'json'])
  const asked = { rule, caller: extra, target: [...targets, ...more], json: format === 'json' }
  return explainRule(policyOf(settings).policy, asked, out)
}

const check = (args: readonly string[], { env, out }: CommandContext): number => {
  const { settings, extra, positionals } = loadSettings('server', args, env, { strict: 'boolean' })
  const [file, ...more] = positionals
  if (file === undefined) throw new UserError('Say which file: deuteron policy check FILE', { exitCode: 2 })
  refuseWords(more)
  const findings = checkFile(file, settings.enforceNewDefaults)
  for (const { grade, line, rule, message } of findings) {
    const at = line === null ? file : `${file}:${line}`
    out.line(`${at}: ${out.paint(grade === 'error' ? 'red' : 'yellow', grade)}: ${rule ? `${rule}: ` : ''}${message}`)
  }
  const errors = findings.filter(({ grade }) => grade === 'error').length
  const warnings = findings.length - errors
  if (findings.length === 0) out.line(`${file} can be used.`)
  else out.note(`${count(errors, 'error')}, ${count(warnings, 'warning')}`)
  return errors > 0 || (extra['strict'] === true && warnings > 0) ? 1 : 0
}

const sample = (args: readonly string[], { out }: CommandContext): number => {
  refuseWords(args)
  out.line(samplePolicy().trimEnd())
  return 0
}

const ACTIONS: Readonly<Record<string, (args: readonly string[], context: CommandContext) => number>> = {
  show,
  explain,
  check,
  sample,
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

const refuseWords = (words: readonly string[]): void => {
  if (words[0] !== undefined) throw new UserError(`"${words[0]}" has no place here.`, { exitCode: 2 })
}

const oneFormat = (given: string | boolean | undefined, known: readonly string[]): string => {
  const format = given ?? known[0]
  if (typeof format === 'string' && known.includes(format)) return format
  throw new UserError(`--format is one of ${known.join(', ')}.`, { exitCode: 2 })
}

/** `*` stands for any text, `?` for one character. */
const globOf = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replaceAll(/[\\^$.+()[\]{}|]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  )

/** `--target` may be given more than once; settings take the last of what is said twice. */
const takeTargets = (args: readonly string[]): { readonly rest: string[]; readonly targets: string[] } => {
  const rest: string[] = []
  const targets: string[] = []
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? ''
    if (word.startsWith('--target=')) targets.push(word.slice('--target='.length))
    else if (word === '--target') targets.push(args[++i] ?? '')
    else rest.push(word)
  }
  return { rest, targets }
}
