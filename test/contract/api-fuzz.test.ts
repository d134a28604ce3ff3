/**
 * Every operation under generated bodies and queries, well formed and not: never a 5xx, never a hang, always JSON in
 * Neutron's form with a status the document announces; afterwards every invariant of the database holds.
 *
 * DEUTERON_TEST_FUZZ_SECONDS: how long requests are made (a long run finds what a short one has no time for);
 * DEUTERON_TEST_FUZZ_SEED: the seed that a failed run has printed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import type { ComposedResource } from '#model/compose.ts'
import { type Step, stepOf } from '../lib/fuzz.ts'
import { createPlayer, type Outcome, type Player } from '../lib/fuzz-play.ts'
import { createWorld, type World } from '../lib/fuzz-world.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const SECONDS = Number(process.env['DEUTERON_TEST_FUZZ_SECONDS'] ?? 30)
const SEED = Number(process.env['DEUTERON_TEST_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** Steps between two sets of furniture: the steps delete it. */
const ROUND = 250
/** Sets in one cloud, whose quotas, pools and pages fill up; then another one begins. */
const ROUNDS = 16

/** A cloud with callers, and what the server logged about failures of its own since the last answer was judged. */
interface Session extends AsyncDisposable {
  readonly server: TestServer
  readonly world: World
  readonly player: Player
  readonly steps: fc.Arbitrary<Step>
  readonly failures: string[]
}

async function session(): Promise<Session> {
  const failures: string[] = []
  const write = (line: string): void => {
    const { err } = JSON.parse(line)
    if (err) failures.push(`${err.message} ${String(err.stack).split('\n').slice(1, 8).join(' ')}`)
  }
  const settings = { quotaNetwork: 200, quotaPort: 300, quotaSubnet: 200, quotaSecurityGroup: 40, quotaRouter: 60 }
  const server = await testServer({ settings, log: pino({ level: 'error' }, { write }) })
  const resources = [...server.core.model.resources.values()].filter(isServed)
  const [p1, p2, reader] = [server.as('p1'), server.as('p2'), server.as('p1', 'reader')]
  const callers = [server.admin, server.admin, server.admin, p1, p1, p2, reader]
  const world = createWorld(server)
  const player = createPlayer(server, callers, world)
  const steps = stepOf(resources, callers.length)
  return { server, world, player, steps, failures, [Symbol.asyncDispose]: () => server.close() }
}

const isServed = ({ operations, actions }: ComposedResource): boolean => operations.length + actions.length > 0

/** Faults by what they have in common, each with its first example and how often it was seen. */
type Faults = Map<string, { readonly example: string; times: number }>

function judge({ failures }: Session, { kind, resource }: Step, { fault }: Outcome, faults: Faults): void {
  const log = failures.splice(0).join('; ')
  if (fault === null) return
  const cause = log.split(/[:"]| at /)[0]
  const key = `${kind} ${resource} ${fault.split(':')[0]} ${cause}`
  const known = faults.get(key)
  if (known) known.times++
  else faults.set(key, { example: `${fault} ${log}`, times: 1 })
}

const report = (faults: Faults): string =>
  [`seed ${SEED}`, ...[...faults.values()].map(({ example, times }) => `${times} × ${example}`)].join('\n')

/** What was answered how often, and which operations were carried out. */
interface Seen {
  readonly statuses: Map<number, number>
  readonly operations: Set<string>
}

async function playRounds(play: Session, seed: number, until: number, seen: Seen, faults: Faults): Promise<void> {
  for (let round = 0; round < ROUNDS && Date.now() < until; round++) {
    await play.world.furnish()
    for (const step of fc.sample(play.steps, { numRuns: ROUND, seed: seed + round })) {
      const outcome = await play.player.play(step)
      const { status } = outcome.reply
      seen.statuses.set(status, (seen.statuses.get(status) ?? 0) + 1)
      if (status < 300) seen.operations.add(`${step.kind} ${step.resource}`)
      judge(play, step, outcome, faults)
    }
  }
  const wrong = await verify(play.server.core)
  if (wrong.length > 0) faults.set(`the database after seed ${seed}`, { example: wrong.join('; '), times: 1 })
}

test('generated requests', { timeout: (SECONDS + 120) * 1000 }, async (context) => {
  const faults: Faults = new Map()
  const seen: Seen = { statuses: new Map(), operations: new Set() }
  const until = Date.now() + SECONDS * 1000
  for (let seed = SEED; Date.now() < until; seed += ROUNDS) {
    await using play = await session()
    await playRounds(play, seed, until, seen, faults)
  }
  const { statuses, operations } = seen
  context.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(statuses))}; operations: ${operations.size}`)
  assert.equal(faults.size, 0, report(faults))
  for (const status of [200, 201, 204, 400, 403, 404, 409])
    assert.ok(statuses.has(status), `never a ${status}: ${JSON.stringify([...statuses])}`)
})

test('the same requests side by side leave the database whole', { timeout: 120_000 }, async () => {
  const faults: Faults = new Map()
  await using play = await session()
  await play.world.furnish()
  const all = fc.sample(play.steps, { numRuns: 400, seed: SEED })
  for (let at = 0; at < all.length; at += 20) {
    const some = all.slice(at, at + 20)
    const outcomes = await Promise.all(some.map((step) => play.player.play(step)))
    for (const [index, outcome] of outcomes.entries()) judge(play, some[index] as Step, outcome, faults)
  }
  assert.equal(faults.size, 0, report(faults))
  assert.deepEqual(await verify(play.server.core), [], `seed ${SEED}`)
})
