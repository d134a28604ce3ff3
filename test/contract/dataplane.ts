/**
 * What every data plane must do, whatever moves its packets: one set of tests, run against `sim` and against real
 * Open vSwitch. A rig is one host: it outlives the lives of the data plane on it, plugs interfaces as Nova would, and
 * can act as the foreign hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dataplane } from '#dataplane/port.ts'
import { emptyWorld, keyOf, type WireKey, type WireTypes, type World } from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import type { Realization } from '#wire/realization.ts'

export interface DataplaneRig extends AsyncDisposable {
  /** A new life of the data plane on the same host, not started. */
  life(): Promise<Dataplane>
  /** Plugs the interface of a port, as os-vif would: `external_ids:iface-id`. */
  plug(portId: string, macAddress: string): Promise<void>
  unplug(portId: string): Promise<void>
  /** A foreign hand removes something that the port needs; it stays plugged. */
  tamper(portId: string): Promise<void>
  /** Ports and networks that stand on the host now; nothing else. */
  standing(): Promise<ReadonlySet<WireKey>>
  /** Counts what was written to the host so far; equal numbers mean that nothing was written in between. */
  writes(): Promise<number>
}

const NETWORK = '11111111-0000-4000-8000-000000000001'
const SUBNET = '11111111-0000-4000-8000-000000000002'
const GROUP = '11111111-0000-4000-8000-000000000003'
const PORT = '22222222-0000-4000-8000-000000000001'
const OTHER = '22222222-0000-4000-8000-000000000002'

type Some = { readonly [T in keyof WireTypes]?: readonly WireTypes[T][] }

const network: WireTypes['network'] = {
  id: NETWORK,
  generation: 1,
  project_id: 'project',
  admin_state_up: true,
  mtu: 1400,
  segments: [{ id: 'segment', network_type: 'vxlan', physical_network: null, segmentation_id: 4711 }],
  subnets: [
    {
      id: SUBNET,
      ip_version: 4,
      cidr: '10.11.0.0/24',
      gateway_ip: '10.11.0.1',
      enable_dhcp: false,
      ipv6_ra_mode: null,
      ipv6_address_mode: null,
      dns_nameservers: [],
      host_routes: [],
    },
  ],
  dhcp: null,
  dns_domain: 'openstacklocal',
}
const port = (id: string, generation = 1): WireTypes['port'] =>
  plainPort({
    id,
    network_id: NETWORK,
    generation,
    mac_address: id === PORT ? 'fa:16:3e:11:00:01' : 'fa:16:3e:11:00:02',
    fixed_ips: [{ subnet_id: SUBNET, ip_address: id === PORT ? '10.11.0.11' : '10.11.0.12' }],
    security_groups: [GROUP],
  })
const group: WireTypes['security_group'] = { id: GROUP, generation: 1, stateful: true, rules: [] }

const worldOf = (some: Some): World =>
  Object.fromEntries(
    Object.keys(emptyWorld()).map((type) => [
      type,
      new Map((some[type as keyof WireTypes] ?? []).map((object) => [object.id, object])),
    ]),
  ) as unknown as World

const keysOf = (world: World): WireKey[] =>
  Object.entries(world).flatMap(([type, table]) =>
    [...table.keys()].map((id) => keyOf(type as keyof WireTypes, id as string)),
  )

/** The smallest agent: one world at a time, everything the data plane calls dirty is reconciled at once. */
class Driver implements AsyncDisposable {
  readonly #dataplane: Dataplane
  #world = emptyWorld()
  #inSync = false
  #work = Promise.resolve()
  readonly reports: Realization[] = []

  constructor(dataplane: Dataplane) {
    this.#dataplane = dataplane
  }

  async start(): Promise<this> {
    await this.#dataplane.start({
      dirty: (keys) => this.#reconcile(keys),
      realized: (reports) => void this.reports.push(...reports),
      fatal: (message) => assert.fail(message),
    })
    return this
  }

  #reconcile(keys: readonly WireKey[]): void {
    this.#work = this.#work.then(async () => {
      this.reports.push(...(await this.#dataplane.reconcile(this.#world, keys, this.#inSync)))
    })
  }

  /** Changes the world and reconciles every key of the old and the new one. */
  async become(some: Some, inSync = true): Promise<void> {
    const before = keysOf(this.#world)
    this.#world = worldOf(some)
    this.#inSync = inSync
    this.#reconcile([...new Set([...before, ...keysOf(this.#world)])])
    await this.#work
  }

  /** Waits for the newest report about a port to say so. */
  async until(id: string, what: Partial<Realization>): Promise<Realization> {
    const end = Date.now() + 15_000
    for (;;) {
      await this.#work
      const last = this.reports.findLast((report) => report.kind === 'port' && report.id === id)
      const fits = last && Object.entries(what).every(([name, value]) => last[name as keyof Realization] === value)
      if (last && fits) return last
      if (Date.now() > end) assert.fail(`port ${id}: wanted ${JSON.stringify(what)}, last was ${JSON.stringify(last)}`)
      await sleep(10)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work
    await this.#dataplane.stop()
  }
}

const whole: Some = { network: [network], security_group: [group], port: [port(PORT)] }

/** Registers the tests under `name`; `make` makes a clean host for each. */
export function dataplaneContract(name: string, make: () => Promise<DataplaneRig>): void {
  const check = (title: string, body: (rig: DataplaneRig) => Promise<void>): void => {
    void test(`${name}: ${title}`, { timeout: 60_000 }, async () => {
      await using rig = await make()
      await body(rig)
    })
  }
  const live = async (rig: DataplaneRig): Promise<Driver> => new Driver(await rig.life()).start()
  const plug = (rig: DataplaneRig, id: string): Promise<void> => rig.plug(id, port(id).mac_address)

  check('a plugged port whose network and groups are known stands open', async (rig) => {
    await plug(rig, PORT)
    await using driver = await live(rig)
    await driver.become(whole)
    const report = await driver.until(PORT, { state: 'done' })
    assert.deepEqual([report.generation, report.repaired], [1, false])
    assert.deepEqual(await rig.standing(), new Set([keyOf('port', PORT), keyOf('network', NETWORK)]))
  })

  check('a port stays closed while its network or a group is missing', async (rig) => {
    await plug(rig, PORT)
    await using driver = await live(rig)
    await driver.become({ port: [port(PORT)] })
    await driver.until(PORT, { state: 'pending' })
    assert.ok(!(await rig.standing()).has(keyOf('port', PORT)))
    await driver.become({ port: [port(PORT)], network: [network] })
    await driver.until(PORT, { state: 'pending' })
    assert.ok(!(await rig.standing()).has(keyOf('port', PORT)))
    await driver.become(whole)
    await driver.until(PORT, { state: 'done' })
  })

  check('a port waits for its interface and closes when that is unplugged', async (rig) => {
    await using driver = await live(rig)
    await driver.become(whole)
    await driver.until(PORT, { state: 'pending' })
    await plug(rig, PORT)
    await driver.until(PORT, { state: 'done' })
    await rig.unplug(PORT)
    await driver.until(PORT, { state: 'pending' })
    assert.ok(!(await rig.standing()).has(keyOf('port', PORT)))
  })

  check('a port that is expected stands as one that is here, and stays when it comes', async (rig) => {
    await plug(rig, PORT)
    await using driver = await live(rig)
    await driver.become({ ...whole, port: [{ ...port(PORT), active: false }] })
    await driver.until(PORT, { state: 'done', generation: 1 })
    const standing = await rig.standing()
    assert.ok(standing.has(keyOf('port', PORT)))
    await driver.become({ ...whole, port: [port(PORT, 2)] })
    await driver.until(PORT, { state: 'done', generation: 2 })
    assert.deepEqual(await rig.standing(), standing)
  })

  check('a newer generation is reported even when nothing on the host changes', async (rig) => {
    await plug(rig, PORT)
    await using driver = await live(rig)
    await driver.become(whole)
    await driver.until(PORT, { state: 'done', generation: 1 })
    await driver.become({ ...whole, port: [port(PORT, 2)] })
    await driver.until(PORT, { state: 'done', generation: 2 })
  })

  check('nothing is removed out of sync; in sync it goes', async (rig) => {
    await plug(rig, PORT)
    await plug(rig, OTHER)
    await using driver = await live(rig)
    await driver.become({ ...whole, port: [port(PORT), port(OTHER)] })
    await driver.until(OTHER, { state: 'done' })
    await driver.become(whole, false)
    assert.ok((await rig.standing()).has(keyOf('port', OTHER)))
    await driver.become({ ...whole, port: [port(PORT), port(OTHER)] })
    await driver.become(whole, true)
    assert.deepEqual(await rig.standing(), new Set([keyOf('port', PORT), keyOf('network', NETWORK)]))
    await driver.become({})
    assert.deepEqual(await rig.standing(), new Set())
  })

  check('a second life adopts what stands and writes nothing', async (rig) => {
    await plug(rig, PORT)
    {
      await using first = await live(rig)
      await first.become(whole)
      await first.until(PORT, { state: 'done' })
    }
    const [writes, standing] = [await rig.writes(), await rig.standing()]
    assert.equal(standing.size, 2)
    await using second = await live(rig)
    await second.become(whole, false)
    await second.until(PORT, { state: 'done' })
    await second.become(whole, true)
    assert.equal(await rig.writes(), writes)
    assert.deepEqual(await rig.standing(), standing)
  })

  check('a second life removes what nobody wants, once it is in sync', async (rig) => {
    await plug(rig, PORT)
    await plug(rig, OTHER)
    {
      await using first = await live(rig)
      await first.become({ ...whole, port: [port(PORT), port(OTHER)] })
      await first.until(OTHER, { state: 'done' })
    }
    await using second = await live(rig)
    await second.become(whole, false)
    await second.until(PORT, { state: 'done' })
    assert.ok((await rig.standing()).has(keyOf('port', OTHER)))
    await second.become(whole, true)
    assert.ok(!(await rig.standing()).has(keyOf('port', OTHER)))
  })

  check('what a foreign hand removed comes back and is reported as a repair', async (rig) => {
    await plug(rig, PORT)
    await using driver = await live(rig)
    await driver.become(whole)
    await driver.until(PORT, { state: 'done' })
    const standing = await rig.standing()
    await rig.tamper(PORT)
    const repair = await driver.until(PORT, { state: 'done', repaired: true })
    assert.ok(repair.message, 'a repair says what was wrong')
    assert.deepEqual(await rig.standing(), standing)
  })
}
