/** What a host says of objects that its data plane does not do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouterObject } from '#wire/objects.ts'
import { realizationOf } from './status.ts'
import type { View } from './view.ts'

const router: RouterObject = {
  id: 'r1',
  generation: 7,
  project_id: 'p',
  name: '',
  admin_state_up: true,
  distributed: false,
  interfaces: [],
  gateway: null,
  routes: [],
  hosts: ['h1'],
}
const findings = { flowProblem: () => null, dhcpProblem: () => null, dhcpRemark: () => null }
const seeing = (known: RouterObject | undefined): View => ({ object: () => known }) as unknown as View

test('a router is said to be unsupported, in the generation that is known; one that is gone is not spoken of', () => {
  const said = realizationOf('router/r1', seeing(router), findings, new Date(0))
  assert.deepEqual([said?.kind, said?.generation, said?.state], ['router', 7, 'unsupported'])
  assert.equal(realizationOf('router/r1', seeing(undefined), findings, new Date(0)), null)
})
