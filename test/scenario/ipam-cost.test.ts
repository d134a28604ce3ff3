/**
 * What an address costs: 64 writers fill a /20 through the API's own operation, and from the first port to the last
 * each takes as many statements. The times are printed as a ratio to that of the almost empty subnet, not asserted.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { direct, kindOf, workers } from '../lib/direct.ts'
import { testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

const SIZE = 4096 - 3
const BULK = 50

test('64 writers fill a /20: each address once, a clear end, and the same cost throughout', async (t) => {
  let statements = 0
  await using server = await testServer({
    settings: { databasePool: 24, quotaPort: -1 },
    onStatement: () => void statements++,
  })
  const admin = direct(server.core)
  const { id: network_id } = await admin.make('network', {})
  await admin.make('subnet', { network_id, cidr: '10.16.0.0/20', ip_version: 4, enable_dhcp: false })
  const seen = new Set<string>()
  let taken = 0
  const note = (ports: readonly Record<string, any>[]): void => {
    for (const port of ports) {
      taken++
      seen.add(port['fixed_ips'][0].ip_address)
    }
  }
  const table: { full: string; statements: number; milliseconds: number }[] = []
  /** Ten ports one by one, nobody else at work. */
  const measure = async (): Promise<void> => {
    const full = `${((taken / SIZE) * 100).toFixed(0)} %`
    const [before, began] = [statements, performance.now()]
    for (let count = 0; count < 10; count++) note([await admin.make('port', { network_id })])
    table.push({ full, statements: (statements - before) / 10, milliseconds: (performance.now() - began) / 10 })
  }
  const fillTo = async (share: number): Promise<void> => {
    let left = Math.floor((SIZE * share - taken) / BULK)
    await workers(64, async () => {
      if (left-- <= 0) return false
      note(
        await admin.makeMany(
          'port',
          Array.from({ length: BULK }, () => ({ network_id })),
        ),
      )
      return true
    })
  }
  // The project's first port makes its default group.
  note([await admin.make('port', { network_id })])
  for (const share of [0.02, 0.25, 0.5, 0.75, 0.9, 0.97]) {
    await fillTo(share)
    await measure()
  }
  const ends = new Set<string>()
  await workers(64, async () => {
    try {
      note([await admin.make('port', { network_id })])
      return true
    } catch (error) {
      ends.add(kindOf(error))
      return false
    }
  })
  assert.equal(taken, SIZE)
  assert.equal(seen.size, SIZE)
  assert.deepEqual([...ends], ['IpAddressGenerationFailure'])
  const first = table[0]?.milliseconds ?? 1
  t.diagnostic('full    statements   time against the first')
  for (const { full, statements: count, milliseconds } of table)
    t.diagnostic(`${full.padStart(5)} ${String(count).padStart(12)} ${(milliseconds / first).toFixed(2).padStart(17)}`)
  assert.equal(new Set(table.map((row) => row.statements)).size, 1, JSON.stringify(table))
  assert.deepEqual(await verify(server.core), [])
})
