/** All default rules as a policy file in which every rule is commented out, to start one's own from. */
import { defaultsByArea } from './defaults/index.ts'
import type { RuleDefault } from './defaults/rule.ts'

const entry = ({ name, check, formerly, within, description, operations, scopes }: RuleDefault): string =>
  [
    `# ${description}`,
    ...operations.map(({ method, path }) => `#   ${method} ${path}`),
    ...(scopes ? [`# For tokens of scope: ${scopes.join(', ')}`] : []),
    ...(formerly === undefined ? [] : [`# Without enforce_new_defaults it also allows: ${formerly || 'everybody'}`]),
    ...(within === undefined ? [] : [`# Whatever is written here must hold besides: ${within}`]),
    `#${JSON.stringify(name)}: ${JSON.stringify(check)}`,
  ].join('\n')

/** YAML. */
export const samplePolicy = (): string =>
  [
    '# Rules of the policy, with their defaults. Uncomment what you change, and nothing else: what is not here follows',
    '# the defaults of later releases. "deuteron policy check FILE" reads it before the server does.',
    ...Object.entries(defaultsByArea).flatMap(([area, rules]) => [
      '',
      `##### ${area}`,
      ...rules.map((rule) => `\n${entry(rule)}`),
    ]),
    '',
  ].join('\n')
