/** Properties of the switch database's planner: one application is enough, foreign rows are untouched. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyWorld } from '#wire/objects.ts'
import {
  type BridgeStep,
  OWNER_KEY,
  planBridge,
  type SeenBridge,
  type SeenPort,
  type SeenSwitch,
  type WantedPort,
  type WantedSwitch,
} from './bridge-plan.ts'
import { wantedSwitch } from './wanted-switch.ts'

const ME = 'h1'

const bridge = (name: string, secure = true): SeenBridge => ({
  uuid: `uuid-${name}`,
  name,
  failMode: secure ? 'secure' : null,
  datapathType: 'netdev',
  protocols: secure ? ['OpenFlow15'] : [],
})

const wanted = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          name: fc.constant(name),
          mac: fc.constantFrom(null, '02:00:00:00:00:01'),
          on: fc.constantFrom('br-int', 'br-ex'),
        }),
      ),
    ),
  )
  .map(
    (ports): WantedSwitch => ({
      bridge: 'br-int',
      datapathType: 'netdev',
      protocols: ['OpenFlow15'],
      ports: ports.map(
        ({ name, mac, on }): WantedPort => ({ bridge: on, name, mac, type: 'internal', options: {}, marks: {} }),
      ),
    }),
  )

const seen = fc
  .record({
    integration: fc.constantFrom('absent', 'plain', 'right'),
    ports: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        owner: fc.constantFrom(ME, 'someone', null),
        mac: fc.constantFrom(null, '02:00:00:00:00:01'),
        on: fc.constantFrom('br-int', 'br-ex'),
        broken: fc.boolean(),
      }),
      { selector: (it) => it.name, maxLength: 5 },
    ),
  })
  .map(
    ({ integration, ports }): SeenSwitch => ({
      bridges: [
        bridge('br-ex', false),
        ...(integration === 'absent' ? [] : [bridge('br-int', integration === 'right')]),
      ],
      ports: ports
        .filter(({ on }) => on === 'br-ex' || integration !== 'absent')
        .map(
          ({ name, owner, mac, on, broken }): SeenPort => ({
            bridge: on,
            name,
            uuid: `uuid-${name}`,
            interfaceUuid: `interface-${name}`,
            type: 'internal',
            options: {},
            mac,
            marks: owner === null ? {} : { [OWNER_KEY]: owner },
            broken,
          }),
        ),
    }),
  )

/** What the database holds after the steps. */
function carriedOut(steps: readonly BridgeStep[], { bridges, ports }: SeenSwitch, want: WantedSwitch): SeenSwitch {
  let after: SeenSwitch = { bridges, ports }
  const put = (port: WantedPort): SeenPort => ({
    ...port,
    uuid: `uuid-${port.name}`,
    interfaceUuid: `interface-${port.name}`,
    marks: { ...port.marks, [OWNER_KEY]: ME },
    broken: false,
  })
  const without = (name: string): SeenPort[] => after.ports.filter((it) => it.name !== name)
  for (const step of steps) {
    if (step.op === 'add-bridge' || step.op === 'set-bridge')
      after = { ...after, bridges: [...after.bridges.filter((it) => it.name !== want.bridge), bridge(want.bridge)] }
    else if (step.op === 'del-port') after = { ...after, ports: without(step.seen.name) }
    else after = { ...after, ports: [...without(step.port.name), put(step.port)] }
  }
  return after
}

test('carried out (twice, where something broke) the plan is empty, and wanted ports stand unless others hold the name', () => {
  fc.assert(
    fc.property(wanted, seen, (want, before) => {
      let after = before
      for (let pass = 0; pass < 2; pass++) after = carriedOut(planBridge(want, after, ME, true).steps, after, want)
      const last = planBridge(want, after, ME, true)
      assert.deepEqual(last.steps, [])
      for (const port of want.ports) {
        const there = after.ports.find(({ name }) => name === port.name)
        assert.equal(
          there?.marks[OWNER_KEY] === ME && there.bridge === port.bridge,
          !last.conflicts.some((it) => it.includes(` ${port.name} `)),
        )
      }
    }),
  )
})

test('foreign ports are never touched; nothing that stands and works is removed before sync', () => {
  fc.assert(
    fc.property(wanted, seen, fc.boolean(), (want, before, inSync) => {
      const { steps } = planBridge(want, before, ME, inSync)
      for (const step of steps) {
        if (!('seen' in step)) continue
        assert.equal(step.seen.marks[OWNER_KEY], ME)
        const wantedHere = want.ports.some((it) => it.name === step.seen.name)
        if (step.op === 'del-port' && !inSync) assert.ok(wantedHere, 'only to be put back')
      }
    }),
  )
})

test('a missing provider bridge is a conflict that says what to do', () => {
  const config = {
    integrationBridge: 'br-int',
    datapathType: 'netdev',
    tunnelingIp: '172.31.0.1',
    tunnelTypes: ['vxlan'],
    bridgeMappings: { physnet: 'br-none' },
  } as const
  const want = wantedSwitch(config, emptyWorld())
  assert.deepEqual(want.ports.map(({ name }) => name).sort(), ['dt-vxlan', 'int-br-none', 'phy-br-none'])
  const { conflicts } = planBridge(want, { bridges: [], ports: [] }, ME, true)
  assert.match(conflicts[0] ?? '', /bridge br-none does not exist: create it or change the bridge mappings/)
})
