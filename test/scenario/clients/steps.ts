/**
 * A walk through commands, as a table. A step is a command line and what it must say:
 *
 *   ['net = network create --mtu 1400 red', { mtu: 1400, tags: [] }]   fields of one object; `$net` is its id from here
 *   ['agent = network agent list --host red -c ID']                    `$agent` is the id of the first row
 *   ['network list --external -c Name', ['red']]                       rows: the values of the one column named
 *   ['network set --name blue $net']                                   succeeds, and says nothing
 *   ['demo: network delete $net', /disallowed by policy/]              fails, and this is what a user reads
 *
 * Words are as in a shell, with double quotes; `demo:` is the user, otherwise the administrator. In what is expected
 * `$name` stands for the id, and a RegExp for any value that it matches.
 */
import assert from 'node:assert/strict'
import type { ClientCloud, Program, User } from './rig.ts'

export type Step = readonly [command: string, expected?: Expected]
export type Expected = RegExp | readonly unknown[] | Readonly<Record<string, unknown>>

interface Parsed {
  readonly user: User
  readonly keep: string | null
  readonly words: readonly string[]
}

export function parseStep(line: string): Parsed {
  const [, user = 'admin', keep = null, rest = ''] = /^(?:(demo): )?(?:(\w+) = )?(.*)$/s.exec(line) ?? []
  const words = [...rest.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word.replaceAll('"', ''))
  return { user: user as User, keep, words }
}

/** Walks one table; ids that are kept go on to the next. */
export async function walk(
  cloud: ClientCloud,
  steps: readonly Step[],
  ids: Map<string, string>,
  program: Program = 'openstack',
): Promise<void> {
  for (const [line, expected] of steps) {
    const { user, keep, words } = parseStep(line)
    const argv = words.map((word) => withIds(word, ids))
    const reads = expected !== undefined && !(expected instanceof RegExp)
    const said = await cloud.run(program, user, reads || keep ? [...argv, '-f', 'json'] : argv)
    const report = `${line}\n${said.err}${said.out}`
    if (expected instanceof RegExp) {
      assert.notEqual(said.code, 0, `succeeded: ${report}`)
      assert.match(said.err, expected, report)
      assert.doesNotMatch(said.err, /Traceback|HttpException: 5/, report)
      continue
    }
    assert.equal(said.code, 0, report)
    if (reads || keep) check(JSON.parse(shown(said.out)), expected, keep, ids, line)
    else if (program === 'openstack') assert.equal(said.out.trim(), '', report)
  }
}

/** `neutron` says what it did before it shows the object. */
const shown = (out: string): string => out.slice(Math.max(0, out.search(/^[[{]/m)))

const withIds = (word: string, ids: ReadonlyMap<string, string>): string =>
  word.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const id = ids.get(name)
    assert.ok(id, `no step kept $${name}`)
    return id
  })

function check(
  answer: unknown,
  expected: Expected | undefined,
  keep: string | null,
  ids: Map<string, string>,
  line: string,
) {
  const object = (Array.isArray(answer) ? answer[0] : answer) as Record<string, unknown>
  if (keep) ids.set(keep, String(object['id'] ?? object['ID']))
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(answer), line)
    const rows = answer.map((row: Record<string, unknown>) => Object.values(row)[0])
    const key = (value: unknown): string => JSON.stringify(value)
    const ordered = (values: readonly unknown[]): unknown[] =>
      values.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
    return assert.deepEqual(ordered(rows), ordered(expected.map((one) => resolved(one, ids))), line)
  }
  for (const [name, value] of Object.entries(expected ?? {})) {
    if (value instanceof RegExp) assert.match(String(object[name]), value, `${line}: ${name}`)
    else assert.deepEqual(object[name], resolved(value, ids), `${line}: ${name}`)
  }
}

const resolved = (value: unknown, ids: ReadonlyMap<string, string>): unknown =>
  typeof value === 'string'
    ? withIds(value, ids)
    : Array.isArray(value)
      ? value.map((one) => resolved(one, ids))
      : value !== null && typeof value === 'object'
        ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one, ids)]))
        : value
