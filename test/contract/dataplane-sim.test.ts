/** The simulated data plane keeps the contract of all data planes; and its failure switch works. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimDataplane, createSimHost } from '#dataplane/sim/index.ts'
import { emptyWorld, type WireKey } from '#wire/objects.ts'
import { dataplaneContract } from './dataplane.ts'

dataplaneContract('sim', async () => {
  const host = createSimHost()
  const visible = (key: WireKey): boolean => !key.startsWith('security_group/')
  return {
    life: async () => createSimDataplane({ host }),
    plug: async (portId) => host.plug(portId),
    unplug: async (portId) => host.unplug(portId),
    tamper: async (portId) => host.tamper(`port/${portId}`),
    standing: async () => new Set([...host.standing.keys()].filter(visible)),
    writes: async () => host.writes,
    [Symbol.asyncDispose]: async () => {},
  }
})

test('sim: failNext fails that often and then no more', async () => {
  const dataplane = createSimDataplane()
  const group = { id: 'g', generation: 1, stateful: true, rules: [] }
  const world = { ...emptyWorld(), security_group: new Map([['g', group]]) }
  dataplane.host.failNext('security_group/g', 'no room', 2)
  const states: string[] = []
  for (let n = 0; n < 3; n++) {
    for (const { state } of await dataplane.reconcile(world, ['security_group/g'], true)) states.push(state)
  }
  assert.deepEqual(states, ['error', 'error', 'done'])
})
