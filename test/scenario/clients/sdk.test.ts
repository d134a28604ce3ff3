/** openstacksdk, by a script that uses all of its networking. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientCloud, clientsMissing } from './rig.ts'

test('openstacksdk', { skip: clientsMissing }, async () => {
  await using stack = new AsyncDisposableStack()
  const cloud = await clientCloud(stack)
  const { code, out, err } = await cloud.python('sdk.py', 'admin')
  assert.equal(code, 0, out + err)
  const parts = ['networks', 'rules', 'qos', 'outside', 'operators', 'cloud', 'get me a network']
  for (const part of parts) assert.ok(out.split('\n').includes(`ok ${part}`), `${part}: ${out}`)
})
