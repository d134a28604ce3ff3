/** What the lab's commands share: finding the lab, printing progress, wrong usage. */
import { DEFAULT_LAB, labNameIssue, labRoot } from '#lab/names.ts'
import { type Lab, listLabs, openLab } from '#lab/state.ts'

export interface LabIo {
  readonly stdout: NodeJS.WriteStream
  readonly env: NodeJS.ProcessEnv
}

export type LabCommand = (argv: string[], io: LabIo) => Promise<number>

/** Wrong usage of a command; `code` makes it exit with 2, as parseArgs's own errors do. */
export const usage = (message: string): Error => Object.assign(new Error(message), { code: 'ERR_PARSE_ARGS_USAGE' })

export const nameOf = (value: string | undefined): string => {
  const name = value ?? DEFAULT_LAB
  const issue = labNameIssue(name)
  if (issue !== null) throw usage(issue)
  return name
}

/** The lab called `name`; a sentence that says how to make it when there is none. */
export const requireLab = async (name: string | undefined, env: NodeJS.ProcessEnv): Promise<Lab> => {
  const lab = await openLab(labRoot(env), nameOf(name))
  if (lab) return lab
  const others = await listLabs(labRoot(env))
  const hint = others.length > 0 ? ` (there is ${others.join(', ')}: say --name)` : ''
  throw new Error(`there is no lab ${nameOf(name)}${hint}; make it with: deuteron lab up`)
}

/** Installs the system packages the lab needs, on Debian, announced first; elsewhere missing ones are named. */
export const ensureLabPackages = async (): Promise<void> => {
  const { ensurePackages } = await import('#launch/packages.ts')
  await ensurePackages('lab')
}

export const wholeNumber = (text: string, what: string, min: number, max: number): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw usage(`${what} is a whole number from ${min} to ${max}, not '${text}'`)
  return value
}
