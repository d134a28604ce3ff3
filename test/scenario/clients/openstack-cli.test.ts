/** Every networking command of the stock `openstack`, as a new user types it, against one server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { untried, type Verbs } from './coverage.ts'
import { type ClientCloud, clientCloud, clientsMissing } from './rig.ts'
import { NETWORKS, SCOPES_AND_POOLS, SEGMENTS, SUBNETS } from './steps-networks.ts'
import { AGENTS, BGP, FLAVORS, METERING, QOS, QUOTAS, REST, SHARING } from './steps-operators.ts'
import { LOGS, PORTS, SECURITY, TRUNKS } from './steps-ports.ts'
import { FLOATING_IPS, HELPERS, ROUTERS } from './steps-routers.ts'
import { type Step, walk } from './steps.ts'

const AREAS: Readonly<Record<string, readonly Step[]>> = {
  networks: NETWORKS,
  'address scopes and subnet pools': SCOPES_AND_POOLS,
  subnets: SUBNETS,
  segments: SEGMENTS,
  'security groups and address groups': SECURITY,
  ports: PORTS,
  trunks: TRUNKS,
  routers: ROUTERS,
  'floating IPs': FLOATING_IPS,
  'conntrack helpers and local IPs': HELPERS,
  sharing: SHARING,
  QoS: QOS,
  agents: AGENTS,
  flavors: FLAVORS,
  metering: METERING,
  BGP,
  'zones, extensions, auto-allocated topologies': REST,
  quotas: QUOTAS,
  logs: LOGS,
}

/** What no step tries, and why. */
const LEFT_OUT: readonly RegExp[] = [
  // where the one domain there is is named
  / --project-domain$/,
  / --target-project-domain$/,
  // raw attributes, for what the client has no option for
  / --extra-property$/,
]

const stack = new AsyncDisposableStack()
let cloud: ClientCloud
before(async () => {
  if (!clientsMissing) cloud = await clientCloud(stack)
})
after(() => stack.disposeAsync())

// One after the other: later areas stand on what earlier ones made.
const ids = new Map<string, string>()
for (const [area, steps] of Object.entries(AREAS)) test(area, { skip: clientsMissing }, () => walk(cloud, steps, ids))

test('no command and no option is left out', { skip: clientsMissing }, async () => {
  const { out, err } = await cloud.python('verbs.py', 'admin')
  assert.notEqual(out, '', err)
  const left = untried(JSON.parse(out) as Verbs, Object.values(AREAS).flat())
  assert.deepEqual(
    left.filter((one) => !LEFT_OUT.some((known) => known.test(one))),
    [],
  )
})
