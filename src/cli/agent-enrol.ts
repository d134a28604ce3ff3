/** `deuteron agent enrol|revoke|credentials`: lets hosts' agents connect, and turns them away. Asks the server. */
import { open } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ApiRefused, type Api } from '#lab/api.ts'
import { UserError } from '#launch/user-error.ts'
import { apiOf } from './api.ts'
import type { Command, CommandContext } from './command.ts'
import { columns } from './output.ts'

const OPTIONS = { data: { type: 'string' }, openrc: { type: 'string' }, out: { type: 'string' } } as const

interface Wish {
  readonly api: Api
  readonly host: string | undefined
  readonly out: string | undefined
}

/** The server is that of --openrc or --data, else of the OS_* variables, else of this machine. */
async function readWish(args: readonly string[], { env }: CommandContext): Promise<Wish> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const api = await apiOf(values, env)
  return { api, host: positionals[0], out: values.out }
}

const refusal = (error: unknown): never => {
  throw error instanceof ApiRefused || error instanceof TypeError
    ? new UserError(`The server refused: ${error.message}`)
    : error
}

async function writeSecret(path: string, secret: string): Promise<void> {
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(
      error.code === 'EEXIST'
        ? `${path} exists already: remove it first.`
        : `${path} cannot be written: ${error.message}`,
    )
  })
  await file.writeFile(`${secret}\n`)
  await file.close()
}

export const enrolCommand: Command = {
  usage: 'agent enrol HOST [--out FILE] [--data DIR | --openrc FILE]',
  help: `
Makes a credential for the agent of HOST and prints it, or writes it to FILE with mode 0600. It is shown once.
The agent reads it from --credential-file. A host may have several while one replaces another;
"deuteron agent revoke HOST" ends them all.`,

  run: async (args, context) => {
    const { api, host, out } = await readWish(args, context)
    if (host === undefined) throw new UserError('Which host? usage: deuteron agent enrol HOST', { exitCode: 2 })
    const answer = await api.call('POST', 'agents/enrolments', { enrolment: { host } }).catch(refusal)
    const { secret } = answer['enrolment'] as { secret: string }
    if (out === undefined) context.out.line(secret)
    else {
      await writeSecret(out, secret)
      context.out.line(`the credential of ${host} is in ${out}`)
    }
    return 0
  },
}

export const revokeCommand: Command = {
  usage: 'agent revoke HOST [--data DIR | --openrc FILE]',
  help: 'Ends every credential of HOST; its agent is disconnected within seconds. What it put on the host stays.',
  run: async (args, context) => {
    const { api, host } = await readWish(args, context)
    if (host === undefined) throw new UserError('Which host? usage: deuteron agent revoke HOST', { exitCode: 2 })
    await api.call('DELETE', `agents/enrolments/${encodeURIComponent(host)}`).catch(refusal)
    context.out.line(`the credentials of ${host} are revoked`)
    return 0
  },
}

interface Credential {
  readonly host: string
  readonly created_at: string
  readonly used_at: string | null
  readonly revoked_at: string | null
}

export const credentialsCommand: Command = {
  usage: 'agent credentials [--data DIR | --openrc FILE]',
  help: 'Lists the credentials of all hosts: when they were made, last used, revoked.',
  run: async (args, context) => {
    const { api } = await readWish(args, context)
    const { enrolments } = (await api.call('GET', 'agents/enrolments').catch(refusal)) as unknown as {
      enrolments: Credential[]
    }
    const rows = enrolments.map((one) => [one.host, one.created_at, one.used_at ?? 'never', one.revoked_at ?? '–'])
    for (const row of columns([['HOST', 'MADE', 'LAST USED', 'REVOKED'], ...rows])) context.out.line(row)
    return 0
  },
}
