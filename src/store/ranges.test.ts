/** Free numbers: the arithmetic of ranges, and a pool that is used at random against a set that is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NumberRange } from '#kernel/ranges.ts'
import fc from 'fast-check'
import { storeUnderTest } from './database.testlib.ts'
import { cut, giveBack, setRanges, subtract, takeNumber, takeNumbers } from './ranges.ts'
import { inTransaction, type Transaction } from './transaction.ts'

const numbersOf = (ranges: readonly NumberRange[]): bigint[] =>
  ranges.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index)),
  )
const range = fc
  .tuple(fc.nat(400), fc.nat(300))
  .map(([first, size]): NumberRange => ({ first: BigInt(first), last: BigInt(first + size) }))
const numbers = fc.array(fc.nat(800).map(BigInt), { maxLength: 60 })

test('subtract leaves exactly what was not taken, in order, in whole ranges', () => {
  fc.assert(
    fc.property(range, numbers, (whole, taken) => {
      const rest = subtract([whole], taken)
      const gone = new Set(taken)
      assert.deepEqual(
        numbersOf(rest),
        numbersOf([whole]).filter((one) => !gone.has(one)),
      )
      // No two of them could be one.
      for (const [index, one] of rest.entries()) {
        const next = rest[index + 1]
        assert.ok(one.first <= one.last && (!next || next.first > one.last + 1n))
      }
    }),
  )
})

test('cut parts a range into consecutive pieces, at most 64, none of them small unless the whole is', () => {
  const large = fc.tuple(fc.bigInt(0n, 1n << 128n), fc.bigInt(0n, 1n << 64n))
  fc.assert(
    fc.property(
      fc.oneof(
        range,
        large.map(([first, size]) => ({ first, last: first + size })),
      ),
      (whole) => {
        const parts = cut(whole)
        assert.ok(parts.length >= 1 && parts.length <= 64)
        assert.equal(parts[0]?.first, whole.first)
        assert.equal(parts.at(-1)?.last, whole.last)
        for (const [index, part] of parts.entries()) {
          const next = parts[index + 1]
          assert.ok(part.first <= part.last)
          if (next) assert.equal(next.first, part.last + 1n)
          if (next) assert.ok(part.last - part.first + 1n >= 16n)
        }
      },
    ),
  )
})

const { database, run } = storeUnderTest(8)
const free = async (pool: string): Promise<bigint[]> => {
  const rows = await database().query<{ first: string; last: string }>(
    'select first::text, last::text from free_ranges where pool = $1',
    [pool],
  )
  return numbersOf(rows.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) }))).sort((a, b) =>
    Number(a - b),
  )
}

type Command =
  | { readonly take: number }
  | { readonly exactly: bigint }
  | { readonly back: number }
  | { readonly make: NumberRange }
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }).map((take) => ({ take })) },
  { weight: 4, arbitrary: fc.nat(260).map((number) => ({ exactly: BigInt(number) })) },
  { weight: 3, arbitrary: fc.nat(30).map((back) => ({ back })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(100), fc.nat(150))
      .map(([first, size]) => ({ make: { first: BigInt(first), last: BigInt(first + size) } })),
  },
)

test('take, take exactly, give back and make anew are what a set would do', async () => {
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 20 }), async (commands) => {
      const pool = `model-${++runs}`
      let whole: NumberRange = { first: 10n, last: 200n }
      let left = new Set(numbersOf([whole]))
      const held: bigint[] = []
      await run((tx) => setRanges(tx, pool, [whole], []))
      for (const one of commands) {
        if ('take' in one) {
          const taken = await run((tx) => takeNumbers(tx, pool, one.take))
          assert.equal(taken.length, Math.min(one.take, left.size))
          for (const number of taken) assert.ok(left.delete(number), `${number} was not free`)
          held.push(...taken)
        } else if ('exactly' in one) {
          const taken = await run((tx) => takeNumber(tx, pool, one.exactly))
          assert.equal(taken, left.delete(one.exactly))
          if (taken) held.push(one.exactly)
        } else if ('back' in one) {
          const back = held.splice(0, one.back).filter((number) => whole.first <= number && number <= whole.last)
          await run((tx) => giveBack(tx, pool, back))
          for (const number of back) left.add(number)
        } else {
          whole = one.make
          await run((tx) => setRanges(tx, pool, [whole], held))
          left = new Set(numbersOf([whole]).filter((number) => !held.includes(number)))
        }
        assert.deepEqual(
          await free(pool),
          [...left].sort((a, b) => Number(a - b)),
        )
      }
    }),
    { numRuns: 25, interruptAfterTimeLimit: 15_000 },
  )
})

test('what was given back rests behind what was never used', async () => {
  await run((tx) => setRanges(tx, 'rest', [{ first: 1n, last: 8n }], []))
  assert.deepEqual(await run((tx) => takeNumbers(tx, 'rest', 3)), [1n, 2n, 3n])
  await run((tx) => giveBack(tx, 'rest', [2n, 1n]))
  assert.deepEqual(await run((tx) => takeNumbers(tx, 'rest', 9)), [4n, 5n, 6n, 7n, 8n, 2n, 1n])
})

/** Pages that a statement touched. */
async function pages(text: string, params: readonly unknown[]): Promise<number> {
  return inTransaction(database(), async (tx) => {
    const [row] = await tx.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
      `/* once */ explain (analyze, buffers, format json) ${text}`,
      params,
    )
    const plan = row?.['QUERY PLAN'][0].Plan ?? {}
    return { value: (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0), commit: false }
  })
}

test('a number costs the same in a pool hardly used and in one nearly used up, fragmented or not', async (t) => {
  const statements: { text: string; params: readonly unknown[] }[] = []
  const costs: Record<string, number[]> = {}
  await run((tx) => setRanges(tx, 'cost', [{ first: 1n, last: 4000n }], []))
  for (const percent of [1, 50, 90, 99]) {
    const target = 40 * percent
    const [row] = await database().query<{ n: number }>(
      "/* once */ select coalesce(sum(last - first + 1), 0)::int as n from free_ranges where pool = 'cost'",
    )
    const taken = await run((tx) => takeNumbers(tx, 'cost', (row?.n ?? 0) - (4000 - target)))
    // Every other of the last hundred comes back alone: as many fragments as ports that went.
    await run((tx) =>
      giveBack(
        tx,
        'cost',
        taken.slice(-30).filter((_, index) => index % 2 === 0),
      ),
    )
    await run((tx) => takeNumbers(tx, 'cost', 15))
    await database().query('/* once */ vacuum free_ranges')
    const [end] = await database().query<{ last: string }>(
      "/* once */ select max(last)::text as last from free_ranges where pool = 'cost'",
    )
    statements.length = 0
    await inTransaction(database(), async (tx) => {
      const query: Transaction['query'] = (text, params = []) => {
        statements.push({ text, params })
        return tx.query(text, params)
      }
      await takeNumbers({ query }, 'cost', 1)
      await takeNumber({ query }, 'cost', BigInt(end?.last ?? 0))
      return { value: null, commit: false }
    })
    assert.equal(statements.length, 2, statements.map(({ text }) => text.slice(0, 40)).join('; '))
    for (const [index, name] of ['any', 'given'].entries()) {
      const { text, params } = statements[index] as (typeof statements)[0]
      ;(costs[name] ??= []).push(await pages(text, params))
    }
  }
  t.diagnostic(`pages touched at 1, 50, 90, 99 % used: any ${costs['any']}; given ${costs['given']}`)
  for (const [name, all] of Object.entries(costs)) assert.ok(Math.max(...all) <= (all[0] ?? 0) + 8, `${name}: ${all}`)
})
