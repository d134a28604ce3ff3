/**
 * Named states of a small cloud, replayed forward, reversed, shuffled, squashed and with gaps: after each, every
 * agent knows exactly what SQL says it must, whatever way led there.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import {
  createRig,
  idOf,
  PHYSICAL_NETWORKS,
  type PortSpec,
  type Rig,
  type RouterSpec,
  type TorSpec,
} from './feed-rig.ts'

interface State {
  readonly name: string
  readonly ports: Readonly<Record<string, PortSpec>>
  /** Rule → [its group, the remote group]. */
  readonly rules: Readonly<Record<string, readonly [string, string | null]>>
  readonly mtu: Readonly<Record<string, number>>
  readonly domain: Readonly<Record<string, string>>
  readonly dhcp: Readonly<Record<string, boolean>>
  readonly routers: Readonly<Record<string, RouterSpec>>
  /** Hosts that serve a network's DHCP without having to have ports of it. */
  readonly served: Readonly<Record<string, readonly string[]>>
  readonly tors: Readonly<Record<string, TorSpec>>
  /** The physical networks that the host without an agent reaches. */
  readonly reach: readonly string[]
}

const port = (network: string, host: string, address: number, groups: string[] = ['web'], more = {}): PortSpec => ({
  network,
  host,
  address,
  groups,
  ...more,
})
/** Ports live on it, and no agent runs there. */
const ABSENT = 'h4'
const NONE = { ports: {}, rules: {}, mtu: {}, domain: {}, dhcp: {}, routers: {}, served: {}, tors: {}, reach: [] }

const STATES: readonly State[] = [
  { name: 'nothing', ...NONE },
  { name: 'one port', ...NONE, ports: { a: port('red', 'h1', 11) } },
  {
    name: 'the port has a boot file, and nothing else',
    ...NONE,
    ports: { a: port('red', 'h1', 11, ['web'], { bootfile: 'a.0' }) },
  },
  {
    name: 'another boot file, and the network a domain',
    ...NONE,
    ports: { a: port('red', 'h1', 11, ['web'], { bootfile: 'b.0' }) },
    domain: { red: 'red.example.', blue: 'blue.example.' },
  },
  {
    name: 'neighbours',
    ...NONE,
    ports: { a: port('red', 'h1', 11), b: port('red', 'h2', 12), c: port('red', 'h3', 13), f: port('red', ABSENT, 16) },
  },
  {
    name: 'a neighbour below a ToR; hosts with tunnels of their own are not asked about theirs',
    ...NONE,
    ports: { a: port('red', 'h1', 11), b: port('red', 'h2', 12), f: port('red', ABSENT, 16) },
    tors: { tor1: { tunnelIp: '192.0.2.201', hosts: [ABSENT, 'h2'] }, tor2: { tunnelIp: '192.0.2.202', hosts: [] } },
  },
  {
    name: 'it was moved to another ToR, whose address changed',
    ...NONE,
    ports: { a: port('red', 'h1', 11), b: port('red', 'h2', 12), f: port('red', ABSENT, 16) },
    tors: { tor1: { tunnelIp: '192.0.2.201', hosts: [] }, tor2: { tunnelIp: '192.0.2.212', hosts: [ABSENT] } },
  },
  {
    name: 'a remote group across networks',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14, ['db']), e: port('blue', '', 15, ['db']) },
    rules: { 'web from db': ['web', 'db'] },
  },
  {
    name: 'the member moved, the group names itself',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h3', 14, ['db', 'web'], { pairs: ['10.9.0.0/24'] }) },
    rules: { 'web from web': ['web', 'web'], 'web from db': ['web', 'db'], 'db ssh': ['db', null] },
  },
  {
    name: 'DHCP and another mtu',
    ...NONE,
    ports: {
      a: port('red', 'h1', 11),
      dhcp: port('red', '', 2, [], { owner: 'network:dhcp' }),
      b: port('red', 'h2', 12),
    },
    mtu: { red: 9000 },
    dhcp: { red: true },
  },
  {
    name: 'the DHCP port elsewhere, and nothing else',
    ...NONE,
    ports: {
      a: port('red', 'h1', 11),
      dhcp: port('red', '', 3, [], { owner: 'network:dhcp' }),
      b: port('red', 'h2', 12),
    },
    mtu: { red: 9000 },
    dhcp: { red: true },
  },
  {
    name: 'two in different groups',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14, ['db']) },
  },
  {
    name: 'a rule joins them, and nothing else',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14, ['db']) },
    rules: { 'web from db': ['web', 'db'] },
  },
  {
    name: 'migrated and failed',
    ...NONE,
    ports: {
      a: port('red', 'h3', 11),
      b: port('red', 'h2', 12, ['web'], { failed: true }),
      c: port('red', 'h1', 13, []),
    },
  },
  {
    name: 'expected on a host that has nothing, and nothing else',
    ...NONE,
    ports: { a: port('red', 'h1', 11, ['web'], { expected: ['h3'] }), b: port('red', 'h2', 12, ['db']) },
    rules: { 'web from db': ['web', 'db'] },
  },
  {
    name: 'expected on two, one of them with neighbours',
    ...NONE,
    ports: { a: port('red', 'h1', 11, ['web'], { expected: ['h2', 'h3'] }), b: port('red', 'h2', 12, ['db']) },
    rules: { 'web from db': ['web', 'db'] },
  },
  {
    name: 'it went to one of them: the host it left keeps it until it stands there',
    ...NONE,
    ports: { a: port('red', 'h3', 11, ['web'], { expected: ['-h1'] }), b: port('red', 'h2', 12, ['db']) },
    rules: { 'web from db': ['web', 'db'] },
  },
  {
    name: 'bound nowhere, and expected',
    ...NONE,
    ports: { a: port('red', '', 11, ['web'], { expected: ['h1', ABSENT] }), b: port('red', 'h2', 12, ['db']) },
  },
  {
    name: 'a router between networks, placed on a host that has neither',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14) },
    dhcp: { red: true, blue: true },
    routers: { r: { inside: ['red', 'blue'], gateway: null, hosts: ['h3'] } },
  },
  {
    name: 'the router got a gateway and another host',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14) },
    dhcp: { red: true, blue: true },
    routers: { r: { inside: ['blue'], gateway: 'red', hosts: ['h2', ABSENT] } },
  },
  {
    name: 'the router is nowhere, and nothing else',
    ...NONE,
    ports: { a: port('red', 'h1', 11), d: port('blue', 'h2', 14) },
    dhcp: { red: true, blue: true },
    routers: { r: { inside: ['blue'], gateway: 'red', hosts: [] } },
  },
  {
    name: 'networks served where they have no port',
    ...NONE,
    ports: { a: port('red', 'h1', 11), b: port('red', 'h2', 12) },
    served: { red: ['h3', ABSENT], blue: ['h1', 'h3'] },
    routers: { r: { inside: ['blue'], gateway: null, hosts: [] } },
  },
  {
    name: 'served elsewhere, and nothing else',
    ...NONE,
    ports: { a: port('red', 'h1', 11), b: port('red', 'h2', 12) },
    served: { red: ['h1'], blue: ['h2'] },
    routers: { r: { inside: ['blue'], gateway: null, hosts: [] } },
  },
  {
    name: 'on the wires of two segments: functions of cards, machines, ports on no host; and what the switch carries',
    ...NONE,
    dhcp: { green: true },
    served: { green: ['h1', 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      a: port('green', 'h1', 11),
      v: port('green', 'h3', 31, ['web'], { vif: 'hw_veb', segment: 'green left' }),
      w: port('green', 'h1', 32, [], { vif: 'hw_veb', segment: 'green right' }),
      x: port('green', ABSENT, 33, [], { vif: 'other', segment: 'elsewhere' }),
      y: port('green', 'metal', 34, [], { failed: true }),
      z: port('green', '', 35, [], { bootfile: 'z.0' }),
      r: port('green', '', 36, [], { owner: 'network:floatingip' }),
    },
  },
  {
    name: 'another has the wire, and nothing else',
    ...NONE,
    dhcp: { green: true },
    served: { green: ['h3', 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      a: port('green', 'h1', 11),
      v: port('green', 'h3', 31, ['web'], { vif: 'hw_veb', segment: 'green left' }),
      z: port('green', '', 35, [], { bootfile: 'z.1' }),
    },
  },
  {
    name: 'some that were on no host are on a switch, one that was on a switch is not',
    ...NONE,
    dhcp: { green: true },
    served: { green: ['h3', 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      a: port('green', '', 11),
      v: port('green', 'h3', 31, ['web']),
      z: port('green', 'h2', 35),
    },
  },
  {
    name: 'a host that nobody sees may have the wire, of one segment',
    ...NONE,
    dhcp: { green: true },
    served: { green: [ABSENT, 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      v: port('green', 'h3', 31, [], { vif: 'macvtap', segment: 'green left' }),
      w: port('green', 'h1', 32, [], { vif: 'macvtap', segment: 'green right' }),
      z: port('green', '', 35),
    },
    reach: ['left'],
  },
  {
    name: 'it reaches none of them, and nothing else',
    ...NONE,
    dhcp: { green: true },
    served: { green: [ABSENT, 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      v: port('green', 'h3', 31, [], { vif: 'macvtap', segment: 'green left' }),
      w: port('green', 'h1', 32, [], { vif: 'macvtap', segment: 'green right' }),
      z: port('green', '', 35),
    },
  },
  {
    name: 'no DHCP any more, and nothing else',
    ...NONE,
    served: { green: ['h1', 'h2'] },
    ports: {
      dhcp: port('green', '', 2, [], { owner: 'network:dhcp' }),
      v: port('green', 'h3', 31, [], { vif: 'macvtap', segment: 'green left' }),
      z: port('green', '', 35),
    },
  },
  {
    name: 'readdressed',
    ...NONE,
    ports: { a: port('red', 'h3', 21), b: port('red', 'h2', 22, ['db']), c: port('blue', 'h1', 23) },
    rules: { 'db from web': ['db', 'web'] },
  },
]

const HOSTS = ['h1', 'h2', 'h3'] as const
const NETWORKS = ['red', 'blue', 'green'] as const

/** Brings the database from whatever it holds to a state, one committed edit at a time. */
async function become(rig: Rig, from: State, to: State): Promise<void> {
  const { edits } = rig
  for (const [name, spec] of Object.entries(from.ports)) {
    const next = to.ports[name]
    // A port never changes its network or address in place here: it is another port then.
    if (!next || next.network !== spec.network || next.address !== spec.address) await edits.dropPort(name, spec)
  }
  for (const [name, [group]] of Object.entries(from.rules)) if (!to.rules[name]) await edits.dropRule(name, group)
  for (const [name, [group, remote]] of Object.entries(to.rules)) await edits.rule(name, group, remote)
  for (const network of NETWORKS) {
    if (from.mtu[network] !== to.mtu[network] || from.domain[network] !== to.domain[network])
      await edits.network(network, to.mtu[network], to.domain[network])
    if (from.dhcp[network] && !to.dhcp[network]) await edits.dropSubnet(`subnet of ${network}`, network)
    if (!from.dhcp[network] && to.dhcp[network]) await edits.subnet(`subnet of ${network}`, network)
  }
  for (const network of NETWORKS)
    if (!isDeepStrictEqual(from.served[network], to.served[network]))
      await edits.serve(network, to.served[network] ?? [])
  if (!isDeepStrictEqual(from.reach, to.reach)) await edits.reach(ABSENT, to.reach)
  for (const name of new Set([...Object.keys(from.tors), ...Object.keys(to.tors)]))
    if (!isDeepStrictEqual(from.tors[name], to.tors[name])) await edits.tor(name, to.tors[name] ?? null)
  for (const name of Object.keys(from.routers)) if (!to.routers[name]) await edits.dropRouter(name)
  for (const [name, router] of Object.entries(to.routers))
    if (!isDeepStrictEqual(from.routers[name], router)) await edits.router(name, router)
  for (const [name, spec] of Object.entries(to.ports)) {
    const last = from.ports[name]
    if (isDeepStrictEqual(last, spec)) continue
    const kept = last && last.network === spec.network && last.address === spec.address
    await edits.port(name, spec, kept ? last : null)
  }
}

async function cloud() {
  const rig = await createRig()
  for (const network of NETWORKS) await rig.edits.network(network)
  for (const side of PHYSICAL_NETWORKS) await rig.edits.segment(`green ${side}`, 'green', side)
  for (const group of ['web', 'db']) await rig.edits.group(group)
  const feed = await rig.feed('A')
  const hosts = await Promise.all(HOSTS.map(async (name) => ({ name, ...(await rig.host(name, ['A'])) })))
  return { rig, feed, hosts }
}

const shared = cloud()
after(async () => (await shared).rig[Symbol.asyncDispose]())
let now = STATES[0] as State

/** Replays states; looks after each, or with `every` after each nth and the last. */
async function replay(states: readonly State[], every = 1): Promise<void> {
  const { rig, feed, hosts } = await shared
  for (const [index, state] of [...states, STATES[0] as State].entries()) {
    await become(rig, now, state)
    now = state
    if ((index + 1) % every === 0 || index === states.length) await rig.converged(hosts, [feed])
  }
}

/** Deterministic, so that a failure can be repeated. */
const shuffled = (seed: number): State[] =>
  STATES.map((state) => ({ state, at: idOf(`${seed} ${state.name}`) }))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ state }) => state)

test('forward', () => replay(STATES))
test('reversed', () => replay(STATES.toReversed()))
for (const seed of [1, 2]) test(`shuffled ${seed}`, () => replay(shuffled(seed)))
test('squashed: many states between two looks', () => replay([...STATES, ...shuffled(4), ...STATES.toReversed()], 5))
test('each twice: the same state again changes nothing', () =>
  replay(STATES.slice(3, 6).flatMap((state) => [state, state])))

test('a host below a ToR is reached by the address of that ToR', async () => {
  const { rig, feed, hosts } = await shared
  const state = STATES.find(({ tors }) => tors['tor1']) as State
  await become(rig, now, state)
  now = state
  await rig.converged(hosts, [feed])
  assert.deepEqual(
    ['h2', ABSENT].map((host) => feed.worldOf('h1').get(`chassis/${host}`)),
    [
      { id: 'h2', tunnel_ip: '192.0.2.2' },
      { id: ABSENT, tunnel_ip: '192.0.2.201' },
    ],
  )
})

test('who is on a wire is told to one host, who is on a switch or on a segment without a server to none', async () => {
  const { rig, feed, hosts } = await shared
  const told = async (name: string): Promise<Map<string, string[]>> => {
    const state = STATES.find((one) => one.name.startsWith(name)) as State
    await become(rig, now, state)
    now = state
    await rig.converged(hosts, [feed])
    const clients = (host: string) =>
      Object.keys(state.ports).filter((one) => feed.worldOf(host).has(`dhcp_client/${idOf(one)}`))
    return new Map(HOSTS.map((host) => [host, clients(host)]))
  }
  const first = await told('on the wires of two segments')
  assert.deepEqual([...first.values()].flat().toSorted(), ['v', 'w', 'y', 'z'])
  const second = await told('it reaches none of them')
  assert.deepEqual(
    [...second],
    [
      ['h1', []],
      ['h2', ['v', 'w', 'z']],
      ['h3', []],
    ],
  )
})

test('with gaps: an agent that was away while states passed comes back from its disk', async () => {
  const { rig, feed, hosts } = await shared
  for (const [index, state] of [...STATES, ...shuffled(5)].entries()) {
    const name = HOSTS[index % 3] as string
    const resident = hosts.find((host) => host.name === name)
    await resident?.[Symbol.asyncDispose]()
    const stateDir = `${rig.folder}/state-${name}`
    {
      await using before = await rig.host(name, ['A'], { stateDir })
      await rig.converged([{ name, agent: before.agent }], [feed])
    }
    await become(rig, now, state)
    now = state
    await using back = await rig.host(name, ['A'], { stateDir })
    await rig.converged([{ name, agent: back.agent }], [feed])
  }
})
