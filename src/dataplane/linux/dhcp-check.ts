/**
 * Asks dnsmasq itself which options it takes: what it does not know, or cannot read, is left out of the files and said
 * of the port. It would drop such a line of a file, too, but nobody would hear of it.
 */
import { join } from 'node:path'
import type { LinuxPort } from './port.ts'

export interface OptionCheck {
  /** Of these lines (`option:mtu,1400`) those it refuses, with its complaint. Lines must be lines: no newline in them. */
  refused(lines: readonly string[]): Promise<ReadonlyMap<string, string>>
}

/** Answers kept; more are asked for again. */
const KEPT = 10_000

export function createOptionCheck(host: LinuxPort, stateDir: string): OptionCheck {
  const answers = new Map<string, string | null>()
  let running: Promise<unknown> = Promise.resolve()

  /** dnsmasq ends at the first line it refuses: those before are fine, those after are asked again. */
  const ask = async (lines: readonly string[]): Promise<void> => {
    if (answers.size > KEPT) answers.clear()
    const file = join(stateDir, 'dhcp-check')
    for (let rest = lines.filter((line) => !answers.has(line)); rest.length > 0; ) {
      await host.write(file, rest.map((line) => `dhcp-option=${line}\n`).join(''))
      const fault = await firstFault(host, file)
      const good = fault ? fault.line - 1 : rest.length
      for (const line of rest.slice(0, good)) answers.set(line, null)
      if (fault) answers.set(rest[good] ?? '', fault.complaint)
      rest = rest.slice(good + 1)
    }
  }
  const answer = async (lines: readonly string[]): Promise<ReadonlyMap<string, string>> => {
    await ask(lines)
    return new Map(lines.flatMap((line) => (answers.get(line) ? [[line, answers.get(line) ?? '']] : [])))
  }
  return {
    refused: (lines) => {
      const turn = running.then(() => answer(lines))
      running = turn.catch(() => undefined)
      return turn
    },
  }
}

async function firstFault(host: LinuxPort, file: string): Promise<{ line: number; complaint: string } | null> {
  try {
    await host.run('dnsmasq', ['--test', `--conf-file=${file}`])
    return null
  } catch (error) {
    const said = /dnsmasq: (.+) at line (\d+) of /.exec((error as Error).message)
    if (!said) throw error
    return { line: Number(said[2]), complaint: said[1] ?? '' }
  }
}
