/** `deuteron explain`: why something is as it is. Asks the server. */
import { parseArgs } from 'node:util'
import { ApiRefused, type Api, findPort } from '#lab/api.ts'
import { UserError } from '#launch/user-error.ts'
import { apiOf } from './api.ts'
import type { Command } from './command.ts'
import { explanationLines, type ShownExplanation, type ShownHost, simulationLines } from './explain-binding.ts'
import type { Output } from './output.ts'

const OPTIONS = {
  data: { type: 'string' },
  openrc: { type: 'string' },
  host: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  format: { type: 'string' },
} as const

interface Asked {
  readonly api: Api
  readonly port: string
  readonly hosts: readonly string[]
  readonly json: boolean
  readonly out: Output
}

/** 0 when the port is bound, or could be on one of the hosts named; else 1. */
async function explainBinding({ api, port: name, hosts, json, out }: Asked): Promise<number> {
  const { id } = await findPort(api, name).catch((error: Error) => {
    throw error instanceof ApiRefused ? error : new UserError(`${sentence(error.message)}.`)
  })
  if (hosts.length > 0) {
    const answer = await api.call('POST', 'binding-simulations', { binding_simulation: { port_id: id, hosts } })
    const found = (answer as { binding_simulation: { hosts: readonly ShownHost[] } }).binding_simulation.hosts
    if (json) out.line(JSON.stringify(answer, null, 2))
    else for (const line of simulationLines(name, found, out.paint)) out.line(line)
    return found.some((one) => one.bindable) ? 0 : 1
  }
  const answer = await api.call('GET', `ports/${encodeURIComponent(id)}/binding-explanation`)
  const found = (answer as { binding_explanation: ShownExplanation }).binding_explanation
  if (json) out.line(JSON.stringify(answer, null, 2))
  else for (const line of explanationLines(name, found, out.paint)) out.line(line)
  return found.vif_type === 'binding_failed' ? 1 : 0
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

export const explainCommand: Command = {
  usage: 'explain binding PORT [OPTIONS]',
  help: `
Why a port is bound as it is, or not: what each mechanism driver answered at each level, for which reason, and what to do
about it. For administrators.

  explain binding PORT               what was answered last, and what would be now; PORT is an id or a name
  explain binding PORT --host HOST   what would become of it on HOST; may be given several times

  --format json, --json              the answer of the API

Ends with 1 when the port is not bound, or could be on none of the hosts. Takes --data DIR or --openrc FILE; without, the
variables of an openrc.`,

  run: async (args, { env, out }) => {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const [what, port, ...more] = positionals
    if (what !== 'binding' || port === undefined || more.length > 0)
      throw new UserError('What shall be explained? "deuteron explain binding PORT" knows about bindings.', {
        exitCode: 2,
      })
    const { host: hosts = [], format = values.json ? 'json' : 'text' } = values
    if (!['text', 'json'].includes(format))
      throw new UserError(`There is no format ${format}: choose from text, json.`, { exitCode: 2 })
    const json = format === 'json'
    try {
      return await explainBinding({ api: await apiOf(values, env), port, hosts, json, out })
    } catch (error) {
      const refused = error instanceof ApiRefused || error instanceof TypeError
      throw refused ? new UserError(`The server refused: ${error.message}`) : error
    }
  },
}
