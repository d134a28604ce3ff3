/** `deuteron reference`: writes the pages of docs/reference that follow from the model, the catalogue of errors and the policy. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { extensions } from '#extensions/index.ts'
import { UserError } from '#launch/user-error.ts'
import { compose } from '#model/compose.ts'
import { coreResources } from '#resources/index.ts'
import type { Command } from './command.ts'
import { apiReference } from './reference-api.ts'
import { errorsReference } from './reference-errors.ts'
import { policyReference } from './reference-policy.ts'

/** File name → text. */
export const referencePages = (): Readonly<Record<string, string>> => ({
  'api.md': apiReference(compose(coreResources, extensions)),
  'errors.md': errorsReference(),
  'policy.md': policyReference(),
})

export const referenceCommand: Command = {
  usage: 'reference [--check]',
  help: `
Writes docs/reference/api.md, errors.md and policy.md from what the program itself knows.
With --check it writes nothing, and fails when they are stale. For those who change Deuteron.`,

  run: async (args, { root, out }) => {
    const unknown = args.find((arg) => arg !== '--check')
    if (unknown !== undefined) throw new UserError(`"reference" takes no "${unknown}".`, { exitCode: 2 })
    const folder = join(root, 'docs/reference')
    const stale = Object.entries(referencePages()).filter(([name, text]) => {
      const path = join(folder, name)
      return !existsSync(path) || readFileSync(path, 'utf8') !== text
    })
    if (args.includes('--check')) {
      for (const [name] of stale) out.line(`docs/reference/${name} is stale: run "deuteron reference".`)
      return stale.length > 0 ? 1 : 0
    }
    mkdirSync(folder, { recursive: true })
    for (const [name, text] of stale) {
      writeFileSync(join(folder, name), text)
      out.line(`wrote docs/reference/${name}`)
    }
    if (stale.length === 0) out.line('The reference is current.')
    return 0
  },
}
