/** Identity `none`: what headers can say, and what holds without them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNone, FIXED_PROJECT, FIXED_USER } from './none.ts'

const identity = createNone({ clock: () => 0 })

test('without headers everyone administers one fixed project', async () => {
  const caller = await identity.authenticate({})
  assert.deepEqual([caller.userId, caller.projectId], [FIXED_USER, FIXED_PROJECT])
  assert.deepEqual(caller.roles, ['admin', 'manager', 'member', 'reader'])
  assert.equal(caller.expiresAt.getTime(), 24 * 3600_000)
})

test('headers name user, project and roles', async () => {
  const caller = await identity.authenticate({
    'x-user-id': 'u',
    'x-project-id': 'p',
    'x-project-name': 'blue',
    'x-roles': 'Member, custom',
  })
  assert.deepEqual([caller.userId, caller.userName, caller.projectId, caller.projectName], ['u', 'u', 'p', 'blue'])
  assert.deepEqual(caller.roles, ['member', 'reader', 'custom'])
  assert.equal((await identity.authenticate({ 'x-tenant-id': 't' })).projectId, 't')
})
