/** The stock `openstack` command, as a user has it from Debian: nothing of it is ours. */
import { readFile } from 'node:fs/promises'
import { parseOpenrc } from '../api.ts'
import { run } from '../exec.ts'

export type Row = Readonly<Record<string, unknown>>

export interface OpenStack {
  /** Runs one command and answers its JSON. */
  (command: string): Promise<Row>
}

/** The command with the variables of an openrc file; words in a command are split at spaces. */
export const openstackWith = async (openrc: string): Promise<OpenStack> => {
  const env = { ...process.env, ...parseOpenrc(await readFile(openrc, 'utf8')), PYTHONWARNINGS: 'ignore' }
  return async (command) => {
    const text = await run(['openstack', ...command.split(' '), '-f', 'json'], { env, timeout: 60_000 })
    return JSON.parse(text) as Row
  }
}

/** Runs commands side by side, as many at a time as there are cores and one more; answers their results in order. */
export const sideBySide = async (openstack: OpenStack, commands: readonly string[], atOnce = 3): Promise<Row[]> => {
  const results: Row[] = []
  const queue = commands.map((command, index) => ({ command, index }))
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next.index] = await openstack(next.command)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return results
}
