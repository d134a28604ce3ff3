/**
 * How the tour is told: acts, steps with their time, and a closing table of what was proven. On a terminal the last
 * line shows what is going on and how far the tour is; in a pipe there are plain lines only.
 */
import { duration, type Style, styleFor, table } from '../text.ts'

export interface Proof {
  readonly claim: string
  /** What was seen, in figures. */
  readonly seen: string
  readonly holds: boolean
}

export interface Stage {
  /** A new part of the story, with a sentence or two. */
  act(title: string, text: string): void
  /** A line of narration. */
  tell(text: string): void
  /** Shows `label` while `work` runs; `after` turns its result into the words that stay. */
  step<T>(label: string, work: () => Promise<T>, after?: (result: T) => string): Promise<T>
  /** Runs a check; what it throws counts as "does not hold". The tour goes on either way. */
  prove(claim: string, check: () => Promise<{ holds: boolean; seen: string }>): Promise<boolean>
  /** The story cannot go on: noted as something that does not hold. */
  breakOff(error: unknown): void
  /** Prints the closing table and answers whether everything held. */
  close(): boolean
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

export interface Out {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** The last line of a terminal: what is going on, and how far the tour is. Draws nothing where there is no terminal. */
const createProgress = (out: Out, style: Style, live: boolean, steps: number) => {
  const began = performance.now()
  let done = 0
  let frame = 0
  const line = (label: string): string => {
    const bar = '█'.repeat(Math.round(Math.min(1, done / steps) * 20)).padEnd(20, '░')
    const spent = duration(performance.now() - began).padStart(6)
    return `${FRAMES[frame++ % FRAMES.length]} ${bar} ${spent}  ${label}`.slice(0, (out.columns ?? 80) - 1)
  }
  return async <T>(label: string, work: () => Promise<T>): Promise<T> => {
    if (!live) return work()
    const draw = (): void => void out.write(`\r\u001b[K${style.dim(line(label))}`)
    draw()
    const timer = setInterval(draw, 80)
    try {
      return await work()
    } finally {
      clearInterval(timer)
      out.write('\r\u001b[K')
      done++
    }
  }
}

/** `steps` is how many steps and proofs the whole tour has, for the progress display. */
export const createStage = (out: Out, env: NodeJS.ProcessEnv, steps: number): Stage => {
  const style = styleFor(out, env)
  const watch = createProgress(out, style, out.isTTY === true && env['TERM'] !== 'dumb', steps)
  const began = performance.now()
  const proofs: Proof[] = []
  const line = (mark: string, text: string, since: number): void =>
    void out.write(`  ${mark} ${text}  ${style.dim(`(${duration(performance.now() - since)})`)}\n`)
  const failure = (error: unknown) => ({ holds: false, seen: error instanceof Error ? error.message : String(error) })
  return {
    act: (title, text) => void out.write(`\n${style.bold(title)}\n${text === '' ? '' : `${wrap(text)}\n`}`),
    tell: (text) => void out.write(`  ${style.dim(text)}\n`),
    async step(label, work, after) {
      const since = performance.now()
      const result = await watch(label, work)
      line(style.good('✓'), after ? after(result) : label, since)
      return result
    },
    async prove(claim, check) {
      const since = performance.now()
      const result = await watch(claim, () => check().catch(failure))
      proofs.push({ claim, ...result })
      line(result.holds ? style.good('✓') : style.bad('✗'), `${claim}: ${result.seen}`, since)
      return result.holds
    },
    breakOff(error) {
      proofs.push({ claim: 'the tour comes to its end', ...failure(error) })
      out.write(`  ${style.bad('✗')} ${failure(error).seen}\n`)
    },
    close: () => {
      out.write(`\n${closing(proofs, style, out.columns ?? Number.POSITIVE_INFINITY)}\n`)
      const held = proofs.filter(({ holds }) => holds).length
      const all = held === proofs.length && held > 0
      const verdict = `${held} of ${proofs.length} hold; ${duration(performance.now() - began)} in all`
      out.write(`\n${all ? style.good(verdict) : style.bad(verdict)}\n`)
      return all
    },
  }
}

/** The table of proofs; on a terminal what was seen is cut to its width, as the lines above have it whole. */
const closing = (proofs: readonly Proof[], style: Style, columns: number): string => {
  const claims = Math.max(...proofs.map(({ claim }) => claim.length), 0)
  const room = Math.max(20, columns - claims - 8)
  const cut = (text: string): string => (text.length > room ? `${text.slice(0, room - 1)}…` : text)
  const rows = proofs.map(({ claim, seen, holds }) => [
    holds ? style.good('yes') : style.bad('NO'),
    claim,
    cut(seen.split('\n')[0] ?? ''),
  ])
  return table([['', 'PROVEN', 'SEEN'], ...rows], style)
}

/** Lines of at most 78 characters, indented by two. */
const wrap = (text: string): string => {
  const lines: string[] = ['']
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? ''
    if (last.length + word.length + 1 > 76) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines.map((each) => `  ${each}`).join('\n')
}
