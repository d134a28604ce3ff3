/** The shared file: writers in several processes lose nothing, and a crash leaves no lock for ever. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openStateFile } from './state-file.ts'

interface Counter {
  count: number
}
const isCounter = (content: unknown): content is Counter => typeof (content as Counter | null)?.count === 'number'
const open = (file: string) => openStateFile<Counter>(file, () => ({ count: 0 }), isCounter)

const folder = (t: TestContext): string => {
  const made = mkdtempSync(join(tmpdir(), 'deuteron-state-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('writers in several processes each count', async (t) => {
  const file = join(folder(t), 'state.json')
  const script = `
    import { openStateFile } from ${JSON.stringify(import.meta.resolve('./state-file.ts'))}
    const state = openStateFile(${JSON.stringify(file)}, () => ({ count: 0 }), () => true)
    for (let i = 0; i < 25; i++) state.update((draft) => void draft.count++)`
  const writers = [1, 2, 3].map(() =>
    spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' }),
  )
  const codes = await Promise.all(writers.map(async (writer) => (await once(writer, 'exit'))[0]))
  assert.deepEqual(codes, [0, 0, 0])
  assert.equal(open(file).read().count, 75)
})

test('the lock of a process that died is taken over', async (t) => {
  const file = join(folder(t), 'state.json')
  const state = open(file)
  const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(dead, 'exit')
  writeFileSync(`${file}.lock`, String(dead.pid))
  state.update((draft) => void draft.count++)
  assert.equal(state.read().count, 1)
  assert.equal(existsSync(`${file}.lock`), false)
})

test('a change that throws changes nothing', (t) => {
  const file = join(folder(t), 'state.json')
  const state = open(file)
  assert.throws(() =>
    state.update((draft) => {
      draft.count = 9
      throw new Error('no')
    }),
  )
  assert.equal(open(file).read().count, 0)
  assert.equal(existsSync(`${file}.lock`), false)
})

test('a file that is not ours is refused by name', (t) => {
  const file = join(folder(t), 'state.json')
  writeFileSync(file, '{}')
  assert.throws(() => open(file), /state\.json is not an identity file/)
  writeFileSync(file, '{')
  assert.throws(() => open(file), /state\.json cannot be read/)
})
