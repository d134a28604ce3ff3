/** Packet logs over HTTP: what may be logged, and that a log goes with it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
before(async () => {
  server = await testServer()
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const NOBODY = '00000000-0000-4000-8000-000000000000'
const make = (name: string, values: Record<string, unknown>) => server.admin.make(name, values)
const create = (values: Record<string, unknown>) =>
  server.admin.post('log/logs', { log: { resource_type: 'security_group', ...values } })

describe('logs', () => {
  test('are made for what can be logged', async () => {
    const { loggable_resources } = answered(await server.admin.get('log/loggable-resources'), 200)
    assert.deepEqual(loggable_resources, [{ type: 'security_group' }])
    refused(await create({ resource_type: 'weather' }), 'InvalidLogResourceType')
    refused(await create({ resource_id: NOBODY }), 'ResourceNotFound')
    refused(await create({ target_id: NOBODY }), 'TargetResourceNotFound')
    const [group, network] = [await make('security_group', { name: 'g' }), await make('network', {})]
    const port = await make('port', { network_id: network['id'] })
    refused(await create({ resource_id: group['id'], target_id: port['id'] }), 'InvalidResourceConstraint')
    const direct = await make('port', { network_id: network['id'], 'binding:vnic_type': 'direct' })
    refused(await create({ target_id: direct['id'] }), 'LoggingTypeNotSupported')
    const { log } = answered(await create({ target_id: port['id'], event: 'DROP' }), 201)
    assert.equal(log.enabled, true)
    assert.equal(log.event, 'DROP')
    refused(await server.admin.put(`log/logs/${log.id}`, { log: { event: 'ALL' } }), 'HTTPBadRequest', /read-only/)
    const changed = answered(await server.admin.put(`log/logs/${log.id}`, { log: { enabled: false } }), 200).log
    assert.equal(changed.revision_number, 2)
    refused(await server.as('p').post('log/logs', { log: { resource_type: 'security_group' } }), 'PolicyNotAuthorized')
    refused(await server.as('p').get(`log/logs/${log.id}`), 'LogResourceNotFound')
  })

  test('go with the group or the port they are about, also one that is made meanwhile', async () => {
    const network = await make('network', {})
    for (let round = 0; round < 5; round++) {
      const group = await make('security_group', { name: 'g' })
      const port = await make('port', { network_id: network['id'], security_groups: [] })
      const logs = [
        answered(await create({ resource_id: group['id'] }), 201),
        answered(await create({ target_id: port['id'] }), 201),
      ]
      const [late, ...gone] = await Promise.all([
        create({ resource_id: group['id'] }),
        server.admin.delete(`security-groups/${group['id']}`),
        server.admin.delete(`ports/${port['id']}`),
      ])
      for (const one of gone) answered(one, 204)
      if (late.status === 201) logs.push(late.body)
      else refused(late, 'ResourceNotFound')
      for (const { log } of logs) refused(await server.admin.get(`log/logs/${log.id}`), 'LogResourceNotFound')
    }
  })
})
