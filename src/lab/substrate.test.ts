import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hostName, hostNamespace, underlayNamespace } from './names.ts'
import { planSubstrate, type SubstrateSeen, type SubstrateSteps, underlayEnd } from './substrate.ts'

const lab = 'blue'
const hosts = [1, 2, 3].map(hostName)

/** A tiny kernel: what stands after the steps, or an error where the real one would refuse. */
const apply = (seen: SubstrateSeen, steps: SubstrateSteps): SubstrateSeen => {
  const namespaces = new Set(seen.namespaces)
  const underlay = new Set(seen.underlay)
  const inUnderlay = steps.inside.get(underlayNamespace(lab)) ?? []
  for (const line of steps.clear) {
    const [, device = ''] = /^link del (\S+)$/.exec(line) ?? []
    assert.ok(underlay.delete(device), `${device} to delete is not there`)
  }
  for (const line of steps.root) {
    const [, made] = /^netns add (\S+)$/.exec(line) ?? []
    if (made !== undefined) {
      assert.ok(!namespaces.has(made), `${made} exists`)
      namespaces.add(made)
      continue
    }
    const [, near = '', end = '', far = ''] =
      /^link add eth0 netns (\S+) .* peer name (\S+) netns (\S+) /.exec(line) ?? []
    assert.ok(namespaces.has(near) && namespaces.has(far), line)
    assert.ok(!underlay.has(end), `${end} exists`)
    underlay.add(end)
  }
  for (const line of inUnderlay) {
    const [, bridge] = /^link add (\S+) type bridge$/.exec(line) ?? []
    if (bridge === undefined) continue
    assert.ok(!underlay.has(bridge), `${bridge} exists`)
    underlay.add(bridge)
  }
  return { namespaces, underlay }
}

/** Half-made labs: some namespaces, some devices; an underlay without a namespace has no devices. */
const seenArb = fc
  .record({
    namespaces: fc.subarray([underlayNamespace(lab), ...hosts.map((host) => hostNamespace(lab, host))]),
    devices: fc.subarray(['underlay', ...hosts.map(underlayEnd)]),
    foreign: fc.subarray(['dl-h1', 'qdhcp-1', 'dl.bluer-h1']),
  })
  .map(({ namespaces, devices, foreign }) => ({
    namespaces: new Set([...namespaces, ...foreign]),
    underlay: new Set(namespaces.includes(underlayNamespace(lab)) ? devices : []),
  }))

test('from any half-made lab one plan makes it whole, and the next plan is empty', () => {
  fc.assert(
    fc.property(seenArb, (seen) => {
      const after = apply(seen, planSubstrate(lab, hosts, seen))
      for (const host of hosts)
        assert.ok(after.namespaces.has(hostNamespace(lab, host)) && after.underlay.has(underlayEnd(host)))
      const again = planSubstrate(lab, hosts, after)
      assert.deepEqual([again.clear, again.root, [...again.inside]], [[], [], []])
    }),
  )
})

test('nothing that is not the lab’s is ever named', () => {
  fc.assert(
    fc.property(seenArb, (seen) => {
      const steps = planSubstrate(lab, hosts, seen)
      const lines = [...steps.clear, ...steps.root, ...steps.inside.keys()].join(' ')
      for (const foreign of ['dl-h1', 'qdhcp-1', 'dl.bluer-h1']) assert.ok(!lines.split(' ').includes(foreign))
    }),
  )
})
