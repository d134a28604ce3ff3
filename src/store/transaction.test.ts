/** A transaction ends when its work does: what a forgotten branch of it asks for later runs nowhere. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '#kernel/log.ts'
import { testDatabase, type TestDatabase } from '../../test/lib/postgres.ts'
import { type Database, openDatabase } from './pool.ts'
import { inTransaction } from './transaction.ts'

let db: TestDatabase
let database: Database
before(async () => {
  db = await testDatabase()
  database = openDatabase({ url: db.url, size: 1, log: silentLogger, agentDownTime: 75 })
  await database.query('/* once */ create table seen (what text)')
})
after(async () => {
  await database?.close()
  await db?.drop()
})

test('a branch that goes on after another has failed does not reach the next transaction of the connection', async () => {
  const late: Promise<unknown>[] = []
  const failing = inTransaction(database, async ({ query }) => {
    const straggler = sleep(30).then(() => query(`insert into seen values ('late')`))
    late.push(straggler)
    await Promise.all([straggler, Promise.reject(new Error('no'))])
    return { value: null }
  })
  await assert.rejects(failing, /^Error: no$/)
  const next = inTransaction(database, async ({ query }) => {
    await query(`insert into seen values ('next')`)
    await sleep(80)
    return { value: null }
  })
  await assert.rejects(Promise.all(late), /the transaction is over/)
  await next
  assert.deepEqual(await database.query('/* once */ select what from seen'), [{ what: 'next' }])
})

test('nor does one that nobody waited for when the work was done', async () => {
  let late: Promise<unknown> = Promise.resolve()
  await inTransaction(database, async ({ query }) => {
    late = sleep(10).then(() => query(`insert into seen values ('forgotten')`))
    late.catch(() => undefined)
    return { value: null }
  })
  await assert.rejects(late, /the transaction is over/)
  assert.equal((await database.query('/* once */ select 1 from seen')).length, 1)
})
