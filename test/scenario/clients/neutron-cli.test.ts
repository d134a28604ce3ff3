/** python-neutronclient: the `neutron` command, which scripts of a decade call, and the library in Compute. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientCloud, clientsMissing } from './rig.ts'
import { NEUTRON } from './steps-neutron.ts'
import { walk } from './steps.ts'

test('the neutron command', { skip: clientsMissing }, async () => {
  await using stack = new AsyncDisposableStack()
  const cloud = await clientCloud(stack)
  const ids = new Map<string, string>()
  await walk(cloud, [['demo = project show demo', {}]], ids)
  await walk(cloud, NEUTRON, ids, 'neutron')
})

test('the library knows errors by their type', { skip: clientsMissing }, async () => {
  await using stack = new AsyncDisposableStack()
  const cloud = await clientCloud(stack)
  const { code, out, err } = await cloud.python('errors.py', 'admin')
  assert.equal(code, 0, out + err)
  assert.equal(out.match(/^ok /gm)?.length, 9)
})
