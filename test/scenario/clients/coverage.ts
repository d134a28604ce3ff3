/** Which commands and options of the client a walk tries, and which it leaves out. */
import { parseStep, type Step } from './steps.ts'

/** Each option with all its names. */
export type Verbs = Readonly<Record<string, readonly (readonly string[])[]>>

/** Commands and options (`port list --long`) of `verbs` that no step has. */
export function untried(verbs: Verbs, steps: readonly Step[]): readonly string[] {
  const names = Object.keys(verbs).toSorted((a, b) => b.length - a.length)
  const tried = new Map<string, Set<string>>()
  for (const [line] of steps) {
    const { words } = parseStep(line)
    const text = words.join(' ')
    const verb = names.find((name) => text === name || text.startsWith(`${name} `))
    if (!verb) continue
    const options = tried.get(verb) ?? new Set()
    tried.set(verb, options)
    for (const word of words) if (word.startsWith('--')) options.add(word)
  }
  return names.flatMap((verb) => {
    const options = tried.get(verb)
    if (!options) return [verb]
    return (verbs[verb] ?? [])
      .filter((option) => !option.some((name) => options.has(name)))
      .map((option) => `${verb} ${option[0]}`)
  })
}
