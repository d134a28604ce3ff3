/** `deuteron test`: every check and test this machine can run, and a loud word about the rest. */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isRoot } from '#launch/account.ts'
import { ensurePackages } from '#launch/packages.ts'
import { startThrowawayPostgres } from '#launch/throwaway.ts'
import { UserError } from '#launch/user-error.ts'
import type { Command, CommandContext } from './command.ts'

type Suite = 'check' | 'unit' | 'scenario' | 'netns'
const SUITES: readonly Suite[] = ['check', 'unit', 'scenario', 'netns']

interface Skip {
  readonly name: string
  readonly reason: string
}
interface Tally {
  passed: number
  failed: number
  readonly skipped: Skip[]
}

export const testCommand: Command = {
  usage: 'test [check|unit|scenario|netns|all] [PATTERN] [--strict]',
  help: `
Runs the checks (types, lint, format) and the tests; "all" is the default.

  check      tsc, oxlint, biome
  unit       tests beside the code, src/** and conformance/**
  scenario   test/scenario, test/contract and the tests of the tree itself
  netns      test/netns: real packets in network namespaces; needs root

PATTERN chooses test files by a part of their path. As root, missing Debian packages are installed.
What cannot run is listed as SKIPPED with the reason; with --strict that is a failure.`,

  run: async (args, context) => {
    const { values, positionals } = parse(args)
    const [first = 'all', ...others] = positionals
    const named = first === 'all' || SUITES.includes(first as Suite)
    const suites = named && first !== 'all' ? [first as Suite] : SUITES
    const pattern = named ? others[0] : first
    const tally: Tally = { passed: 0, failed: 0, skipped: [] }
    if (suites.some((suite) => suite === 'netns' || suite === 'scenario')) await preparePackages(tally, context)
    for (const suite of suites) {
      if (pattern && suite === 'check') continue
      await timed(suite, context, () =>
        suite === 'check' ? check(tally, context) : runSuite(suite, pattern, tally, context),
      )
    }
    return report(tally, values.strict === true, context)
  },
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({ args: [...args], options: { strict: { type: 'boolean' } }, allowPositionals: true })
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { exitCode: 2 })
  }
}

/** Packages are installed as root; else the tests that need them skip themselves, and say so. */
const preparePackages = async (tally: Tally, { out }: CommandContext): Promise<void> => {
  try {
    await ensurePackages('test', (line) => out.note(line))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    tally.skipped.push({ name: 'Debian packages', reason: error.message })
  }
}

const timed = async (name: string, { out }: CommandContext, work: () => Promise<void>): Promise<void> => {
  const start = performance.now()
  out.line(out.paint('bold', `== ${name}`))
  await work()
  out.line(out.paint('dim', `-- ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`))
}

/** Runs a program with our terminal; answers whether it succeeded. */
const succeeds = (program: string, args: readonly string[], root: string, env?: NodeJS.ProcessEnv): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: env ?? process.env })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })

const check = async (tally: Tally, { root, out }: CommandContext): Promise<void> => {
  const tools: [name: string, ...args: string[]][] = [
    ['tsc', '--noEmit'],
    ['oxlint'],
    [
      'oxlint',
      '--type-aware',
      '-A',
      'all',
      '-D',
      'typescript/no-floating-promises',
      '--ignore-pattern',
      '**/*.test.ts',
    ],
    ['biome', 'format', '.'],
  ]
  for (const [name, ...args] of tools) {
    // Through our own Node: what the machine calls "node" may be too old for them.
    const script = join(root, 'node_modules/.bin', name)
    const good = await succeeds(process.execPath, [script, ...args], root)
    if (good) tally.passed += 1
    else {
      tally.failed += 1
      out.line(out.paint('red', `FAILED ${name}`))
    }
  }
}

const FILES: Readonly<Record<Exclude<Suite, 'check'>, readonly string[]>> = {
  unit: ['src/**/*.test.ts', 'conformance/**/*.test.ts'],
  scenario: ['test/*.test.ts', 'test/scenario/**/*.test.ts', 'test/contract/**/*.test.ts'],
  netns: ['test/netns/**/*.test.ts'],
}

/** Test files that must have a process of their own: they start things, or change what a process shares. */
const NEEDS_PROCESS =
  /test\/lib\/|child_process|testDatabase|process\.(on|once|env|chdir|exit)|mock\.|globalThis|setuid/

const runSuite = async (
  suite: Exclude<Suite, 'check'>,
  pattern: string | undefined,
  tally: Tally,
  context: CommandContext,
): Promise<void> => {
  const { root } = context
  const files = FILES[suite]
    .flatMap((glob) => globSync(glob, { cwd: root }))
    .filter((file) => !pattern || file.includes(pattern))
  if (files.length === 0) return
  if (suite === 'netns' && !isRoot()) {
    tally.skipped.push(...files.map((name) => ({ name, reason: 'needs root' })))
    return
  }
  const alone =
    suite === 'unit' ? files.filter((file) => NEEDS_PROCESS.test(readFileSync(join(root, file), 'utf8'))) : files
  const shared = files.filter((file) => !alone.includes(file))
  if (shared.length > 0)
    await runFiles(shared, ['--test-isolation=none', '--test-timeout=60000'], tally, context, process.env)
  if (alone.length === 0) return
  const { url } = await startThrowawayPostgres()
  const limits = suite === 'netns' ? ['--test-concurrency=1', '--test-timeout=600000'] : ['--test-timeout=180000']
  await runFiles(alone, limits, tally, context, { ...process.env, DEUTERON_TEST_DATABASE_URL: url })
}

/** Runs node --test; counts are taken from the TAP it writes beside what the terminal shows. */
const runFiles = async (
  files: readonly string[],
  flags: readonly string[],
  tally: Tally,
  { root, out }: CommandContext,
  env: NodeJS.ProcessEnv,
): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-tap-'))
  const tap = join(folder, 'tap')
  try {
    const reporters = ['spec', 'stdout', 'tap', tap].map((value, i) =>
      i % 2 === 0 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`,
    )
    // A failed test may leave a server or a pool behind: its file ends all the same, and the failure is told.
    const node = [
      '--disable-warning=ExperimentalWarning',
      '--test',
      '--test-force-exit',
      ...flags,
      ...reporters,
      ...files,
    ]
    const good = await succeeds(process.execPath, node, root, env)
    const counted = countTap(readFileSync(tap, 'utf8'))
    tally.passed += counted.passed
    tally.failed += counted.failed
    tally.skipped.push(...counted.skipped)
    if (!good && counted.failed === 0) {
      tally.failed += 1
      out.line(out.paint('red', 'FAILED node --test ended with an error and no failed test'))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Counts and skips of a TAP stream by node:test; a skipped or unfinished (TODO) test counts as skipped. */
export const countTap = (tap: string): Tally => {
  const total = (word: string): number => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0)
  const skipped = [...tap.matchAll(/^\s*ok \d+ - (.*?) # (?:SKIP|TODO)(?: (.*))?$/gm)].map((match) => ({
    name: match[1] ?? '',
    reason: match[2] || 'no reason given',
  }))
  return { passed: total('pass'), failed: total('fail') + total('cancelled'), skipped }
}

const report = (tally: Tally, strict: boolean, { out }: CommandContext): number => {
  const { passed, failed, skipped } = tally
  out.line()
  for (const { name, reason } of skipped) out.line(`${out.paint('yellow', 'SKIPPED')} ${name}: ${reason}`)
  const bad = failed > 0 || (strict && skipped.length > 0)
  const verdict = out.paint(bad ? 'red' : 'green', bad ? 'FAILED' : 'passed')
  out.line(`${verdict}: ${passed} passed, ${failed} failed, ${skipped.length} skipped`)
  return bad ? 1 : 0
}
