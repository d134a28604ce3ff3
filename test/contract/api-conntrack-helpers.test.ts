/** Conntrack helpers of routers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Item } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let owner: Client
let other: Client
let router: Item

before(async () => {
  server = await testServer({ settings: { quotaRouter: -1 } })
  owner = server.as('p1')
  other = server.as('p2')
  router = await owner.make('router', {})
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const path = (id = ''): string => `routers/${router['id']}/conntrack_helpers${id && `/${id}`}`
const add = (values: Item, by: Client = owner): Promise<Reply> => by.post(path(), { conntrack_helper: values })
const tftp = { protocol: 'udp', port: 69, helper: 'tftp' }
const shown = async (): Promise<Item> => answered(await owner.get(`routers/${router['id']}`), 200).router

test('a helper lives below its router, which shows it', async () => {
  const one = answered(await add(tftp), 201).conntrack_helper
  assert.deepEqual(one, { id: one.id, ...tftp })
  assert.deepEqual(answered(await owner.get(path(one.id)), 200).conntrack_helper, one)
  assert.deepEqual(answered(await owner.get(`${path()}?helper=tftp`), 200).conntrack_helpers, [one])
  assert.deepEqual(answered(await owner.get(`${path()}?port=70`), 200).conntrack_helpers, [])
  const ours = await shown()
  assert.deepEqual(ours['conntrack_helpers'], [tftp])
  assert.ok(ours['revision_number'] > router['revision_number'])
  const put = await owner.put(path(one.id), { conntrack_helper: { port: 6969 } })
  assert.equal(answered(put, 200).conntrack_helper.port, 6969)
  answered(await owner.delete(path(one.id)), 204)
  refused(await owner.get(path(one.id)), 'ConntrackHelperNotFound')
  assert.deepEqual((await shown())['conntrack_helpers'], [])
})

test('only what Linux follows is offered, and each once', async () => {
  refused(await add({ ...tftp, helper: 'nonesuch' }), 'ConntrackHelperNotAllowed')
  refused(await add({ ...tftp, helper: 'constructor' }), 'ConntrackHelperNotAllowed')
  refused(await add({ ...tftp, protocol: 'tcp' }), 'InvalidProtocolForHelper', /Supported protocols are: udp$/)
  refused(await add({ ...tftp, port: 0 }), 'HTTPBadRequest')
  refused(await add({ helper: 'ftp', protocol: 'tcp' }), 'HTTPBadRequest')
  const sip = { protocol: 'udp', port: 5060, helper: 'sip' }
  const same = await Promise.all([add(sip), add(sip), add(sip)])
  assert.deepEqual(same.map((one) => one.status).sort(), [201, 400, 400])
  refused(await add(sip), 'BadRequest', /duplicate conntrack helper entry/)
  const over = answered(await add({ ...sip, protocol: 'tcp' }), 201).conntrack_helper
  const put = await owner.put(path(over.id), { conntrack_helper: { protocol: 'udp' } })
  refused(put, 'BadRequest', /duplicate conntrack helper entry/)
})

test('helpers are the router’s project’s, and go with it', async () => {
  const one = answered(await add({ protocol: 'tcp', port: 21, helper: 'ftp' }), 201).conntrack_helper
  refused(await other.get(path()), 'RouterNotFound')
  refused(await add({ protocol: 'tcp', port: 22, helper: 'ftp' }, other), 'RouterNotFound')
  refused(await other.delete(path(one.id)), 'RouterNotFound')
  const made = answered(await add({ protocol: 'tcp', port: 23, helper: 'ftp' }, server.admin), 201).conntrack_helper
  assert.ok(answered(await owner.get(path(made.id)), 200))
  answered(await owner.delete(`routers/${router['id']}`), 204)
  refused(await owner.get(path()), 'RouterNotFound')
})
