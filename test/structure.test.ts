/** The house keeps its shape: who may import whom and why not, the printed chains, budgets, prose at every door. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const isTest = (file: string): boolean => /\.(test|testlib)\.ts$/.test(file)
const files = globSync('{src,bin}/**/*.ts', { cwd: ROOT }).sort()
const sources = files.filter((file) => !isTest(file))

/** Room → rooms it may import from. ARCHITECTURE.md prints the same table. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  wire: ['kernel'],
  model: ['kernel'],
  identity: ['kernel'],
  protocol: ['kernel'],
  launch: ['kernel'],
  policy: ['kernel', 'model'],
  resources: ['kernel', 'model'],
  extensions: ['kernel', 'model', 'resources'],
  store: ['kernel', 'model'],
  core: ['kernel', 'model', 'resources', 'store', 'policy'],
  drivers: ['kernel', 'model', 'resources', 'extensions', 'core', 'protocol'],
  feed: ['kernel', 'wire', 'model', 'resources', 'extensions', 'store', 'core'],
  outbox: ['kernel', 'model', 'resources', 'store', 'core', 'protocol'],
  tor: ['kernel', 'model', 'resources', 'store', 'core', 'drivers', 'protocol'],
  api: ['kernel', 'model', 'core', 'identity', 'policy'],
  dataplane: ['kernel', 'wire', 'protocol'],
  agent: ['kernel', 'wire', 'dataplane'],
  lab: ['kernel', 'wire', 'protocol', 'launch'],
  cli: ['kernel', 'model', 'resources', 'extensions', 'policy', 'lab', 'launch', 'store'],
}

/** Bans that a reader may wonder about. */
const WHY: Readonly<Record<string, string>> = {
  'core → extensions': 'core must not know which extensions there are; what it needs belongs to the resource',
  'core → drivers': 'drivers are handed in; core knows their contracts only',
  'api → resources': 'routes come from the composed model, not from single definitions',
  'agent → model': 'the model is the server island; the bridge is wire',
  'agent → store': 'an agent has no database of the server; it has a disk of its own',
  'extensions → store': 'a hook reaches the database through its context, inside its transaction',
  'extensions → core': 'a hook reaches logic through its context',
  'dataplane → agent': 'a data plane realizes what it is told and asks nobody',
  'wire → model': 'wire objects carry no notion of the API',
}

const room = (file: string): string => (file.startsWith('bin/') ? 'bin' : (file.split('/')[1] ?? ''))

function* importsOf(file: string): Generator<{ spec: string; target: string | null }> {
  for (const match of read(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    const spec = match[1] as string
    if (spec.startsWith('#')) yield { spec, target: `src/${spec.slice(1)}` }
    else if (spec.startsWith('.')) yield { spec, target: normalize(join(dirname(file), spec)) }
    else yield { spec, target: null }
  }
}

test('every import goes where the table allows', () => {
  const wrong: string[] = []
  for (const file of sources) {
    const from = room(file)
    if (from === 'bin') continue
    for (const { spec, target } of importsOf(file)) {
      if (!target) continue
      const to = room(target)
      if (to === from) continue
      const edge = `${from} → ${to}`
      if (spec.startsWith('.')) wrong.push(`${file} leaves its room by a relative path: ${spec}`)
      if (!MAY[from]?.includes(to)) wrong.push(`${file}: ${edge} (${WHY[edge] ?? 'not in the table'})`)
      if (to === 'store' && from === 'cli' && !/\/(db|backup|restore|copy-stream|backup-format)/.test(file))
        wrong.push(`${file}: only db commands may open the store`)
      if (to === 'core' && from === 'drivers' && !target.endsWith('/contracts.ts'))
        wrong.push(`${file}: drivers see core's contracts only`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('every room of the table exists, and every folder is in the table', () => {
  const rooms = new Set(files.map(room).filter((one) => one !== 'bin'))
  assert.deepEqual(
    [...rooms].filter((one) => !(one in MAY)),
    [],
  )
  assert.deepEqual(
    Object.keys(MAY).filter((one) => !rooms.has(one)),
    [],
  )
})

test('ARCHITECTURE.md prints this table and chains of files that exist', () => {
  const text = read('ARCHITECTURE.md')
  for (const [from, to] of Object.entries(MAY)) {
    const row = new RegExp(`^\\| ${from} \\| ${to.length === 0 ? '–' : to.join(', ')} \\|`, 'm')
    assert.match(text, row, `the row of ${from}`)
  }
  for (const [heading, most] of [
    ['From a request to its commit', 6],
    ['From a change to the switch', 7],
  ] as const) {
    const section = text.split(`### ${heading}`)[1]?.split('\n### ')[0] ?? ''
    const chain = [...section.matchAll(/^\d+\. `([^`]+)`/gm)].map((match) => match[1] as string)
    assert.ok(chain.length >= 3 && chain.length <= most, `${heading}: ${chain.length} files, at most ${most}`)
    assert.deepEqual(
      chain.filter((file) => !existsSync(join(ROOT, file))),
      [],
    )
  }
})

/** Longer than the budget for a reason. */
const LONG: Readonly<Record<string, string>> = {
  'src/kernel/errors.ts': 'a catalogue: one list, read by name',
}

test('files stay within 400 lines, composition roots within 160', () => {
  const long = sources.filter(
    (file) => !(file in LONG) && read(file).split('\n').length > (file.startsWith('bin/') ? 161 : 401),
  )
  assert.deepEqual(long, [])
  assert.deepEqual(
    Object.keys(LONG).filter((file) => !existsSync(join(ROOT, file))),
    [],
  )
})

test('every file opens with what it holds', () => {
  const silent = sources.filter((file) => !/^(#!.*\n)?\/(\*\*|\/)/.test(read(file)))
  assert.deepEqual(silent, [])
})

test('no class extends one of ours further than once', () => {
  const parents = new Map<string, string>()
  for (const file of sources) {
    for (const match of read(file).matchAll(/class (\w+) extends (\w+)/g))
      parents.set(match[1] as string, match[2] as string)
  }
  const towers = [...parents].filter(([, parent]) => parents.has(parent))
  assert.deepEqual(towers, [])
})
