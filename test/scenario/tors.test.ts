/**
 * The server's care for ToRs, with real databases of ToRs and no switch behind them: what they hold follows from the
 * ports whatever happened before, one server at a time works on them, and agents say how they are.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recordPortStatus } from '#core/hosts/port-status.ts'
import { missing as skip, watchTor } from '#drivers/mechanism/vtep/vtep.test-support.ts'
import { HOSTS, type Switch, type TorRig, torRig, until } from './tor-rig.ts'

let rig: TorRig
before(async () => {
  if (skip === false) rig = await torRig()
})
after(() => rig?.close())

/** Numbers that are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    yield state >> 8
  }
}

test('whatever happens to ports, the ToRs follow: incrementally as if read anew', {
  skip,
  timeout: 60_000,
}, async () => {
  const next = numbers(7)
  const pick = <T>(of: readonly T[]): T => of[next.next().value % of.length] as T
  const networks = [await rig.makeNetwork(), await rig.makeNetwork()]
  const ports: string[] = []
  let most = 0
  for (let round = 0; round < 60; round++) {
    const what = next.next().value % 6
    const one = ports.length > 0 ? pick(ports) : null
    if (one === null || what < 2) ports.push((await rig.makePort(pick(networks), pick(HOSTS)))['id'])
    else if (what === 2) await rig.server.admin.delete(`ports/${ports.splice(ports.indexOf(one), 1)[0]}`)
    else if (what === 3)
      await rig.server.admin.put(`ports/${one}`, { port: { 'binding:host_id': pick([...HOSTS, '', 'nowhere']) } })
    else if (what === 4) {
      const tail = (next.next().value % 256).toString(16).padStart(2, '0')
      await rig.server.admin.put(`ports/${one}`, {
        port: { mac_address: `02:00:00:00:${round.toString(16).padStart(2, '0')}:${tail}` },
      })
    } else await rig.report(pick(['h3', 'h5']), `192.0.2.${50 + (next.next().value % 50)}`)
    if (round % 3 === 2) await rig.inSync()
    most = Math.max(most, ...rig.logicalSwitches())
  }
  assert.equal(most, 2, 'both networks were spanned at some time')
  for (const id of ports) await rig.server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => rig.logicalSwitches().every((count) => count === 0))
  const { segments } = (await rig.server.admin.get('segments?network_type=vlan')).body
  assert.deepEqual(segments, [], 'no VLAN outlives its last port')
})

test('each ToR has a VLAN of its own for a network, and each MAC the address it is behind', { skip }, async () => {
  const network = await rig.makeNetwork()
  const made: Record<string, Record<string, any>> = {}
  for (const host of ['h1', 'h2', 'h3']) made[host] = await rig.makePort(network, host)
  await rig.inSync()
  const behind = rig.switches.map(({ setting: { name }, seen }) => {
    const { logical, unicast, ports } = seen()
    const uuid = logical.get(`deuteron-${network}`)?.uuid ?? ''
    const macs = Object.fromEntries((unicast.get(uuid) ?? []).map(({ mac, tunnelIp }) => [mac, tunnelIp]))
    const vlans = ports.flatMap(({ bindings }) => [...bindings.keys()])
    return { name, ranges: vlans.map((vlan) => Math.floor(vlan / 100)), macs }
  })
  const mac = (host: string): string => made[host]?.['mac_address']
  const h3 = (await rig.server.admin.get('agents?host=h3&agent_type=Open%20vSwitch%20agent')).body.agents[0]
    .configurations
  assert.deepEqual(behind, [
    { name: 'tor1', ranges: [1], macs: { [mac('h2')]: '192.0.2.202', [mac('h3')]: h3.tunneling_ip } },
    { name: 'tor2', ranges: [2], macs: { [mac('h1')]: '192.0.2.201', [mac('h3')]: h3.tunneling_ip } },
  ])
  for (const { id } of Object.values(made) as { id: string }[]) await rig.server.admin.delete(`ports/${id}`)
})

test('of several VXLAN segments all take the first, switches and hosts, in whatever order ports come', {
  skip,
}, async () => {
  const vxlan = (id: number) => ({ 'provider:network_type': 'vxlan', 'provider:segmentation_id': id })
  for (const hosts of [
    ['h1', 'h3', 'h2'],
    ['h3', 'h2', 'h1'],
  ]) {
    const { id: network } = await rig.server.admin.make('network', { segments: [7002, 7001, 7003].map(vxlan) })
    await rig.server.admin.make('subnet', { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' })
    const ports: string[] = []
    for (const host of hosts) ports.push((await rig.makePort(network, host))['id'])
    await rig.inSync()
    const rows = await rig.server.database.query<{ outermost: string }>(
      "select distinct binding_levels -> 0 ->> 'segment_id' as outermost from ports where network_id = $1 and binding_host <> ''",
      [network],
    )
    const { segments } = (await rig.server.admin.get(`segments?network_id=${network}&network_type=vxlan`)).body
    const first = segments.find((one: { segmentation_id: number }) => one.segmentation_id === 7002)
    assert.deepEqual(rows, [{ outermost: first.id }])
    const logical = rig.switches.map(({ seen }) => seen().logical.get(`deuteron-${network}`)?.vni)
    assert.deepEqual(logical, [7002, 7002])
    for (const id of ports) await rig.server.admin.delete(`ports/${id}`)
    await rig.server.admin.delete(`networks/${network}`)
  }
})

test('of a routed network each segment is carried by itself, also two below one switch', { skip }, async () => {
  const vxlan = (id: number) => ({ 'provider:network_type': 'vxlan', 'provider:segmentation_id': id })
  const { id: network } = await rig.server.admin.make('network', { segments: [7102, 7101].map(vxlan) })
  const { segments } = (await rig.server.admin.get(`segments?network_id=${network}`)).body
  const subnets = new Map<number, string>()
  for (const { id, segmentation_id } of segments as { id: string; segmentation_id: number }[]) {
    const cidr = `10.${segmentation_id - 7100}.0.0/24`
    const { id: subnet } = await rig.server.admin.make('subnet', {
      network_id: network,
      ip_version: 4,
      cidr,
      segment_id: id,
    })
    subnets.set(segmentation_id, subnet)
    const hosts = segmentation_id === 7102 ? ['h1'] : ['h2', 'h3', 'h4']
    assert.equal((await rig.server.admin.put(`segments/${id}/hosts`, { hosts })).status, 200)
  }
  const on = (host: string, vni: number) =>
    rig.makePort(network, host, { fixed_ips: [{ subnet_id: subnets.get(vni) }] })
  const [first, second, other, native] = [
    await on('h1', 7102),
    await on('h4', 7101),
    await on('h2', 7101),
    await on('h3', 7101),
  ]
  await rig.inSync()
  const held = rig.switches.map(({ seen }) => {
    const { logical, unicast, ports } = seen()
    return [...logical.values()]
      .filter(({ name }) => name.startsWith(`deuteron-${network}`))
      .map(({ uuid, name, vni }) => ({
        name: name.slice('deuteron-'.length + network.length),
        vni,
        on: ports.filter(({ bindings }) => [...bindings.values()].includes(uuid)).map((port) => port.name),
        macs: (unicast.get(uuid) ?? []).map(({ mac }) => mac).toSorted(),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  })
  const macs = (...ports: Record<string, any>[]): string[] => ports.map((port) => port['mac_address']).toSorted()
  assert.deepEqual(held, [
    [
      { name: '', vni: 7102, on: ['port_h1'], macs: [] },
      { name: '.7101', vni: 7101, on: ['port_h4'], macs: macs(other, native) },
    ],
    [{ name: '.7101', vni: 7101, on: ['port_h2'], macs: macs(second, native) }],
  ])
  for (const { id } of [first, second, other, native]) await rig.server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => rig.logicalSwitches().every((count) => count === 0))
})

test('a binding that waits has its VLAN at the ToR before it is active, and none after it went', { skip }, async () => {
  const [tor1, tor2] = rig.switches as [Switch, Switch]
  const network = await rig.makeNetwork()
  const made = { network_id: network, 'binding:host_id': 'h3', device_owner: 'compute:nova', device_id: 'vm' }
  const { id, mac_address } = await rig.server.admin.make('port', made)
  const vlans = (one: Switch): number => one.seen().ports.reduce((count, { bindings }) => count + bindings.size, 0)
  const macs = (one: Switch): string[] => [...one.seen().unicast.values()].flat().map(({ mac }) => mac)
  await rig.inSync()
  assert.equal(vlans(tor2), 0)
  const asked = await rig.server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h2' } })
  assert.equal(asked.status, 201, asked.text)
  await rig.inSync()
  assert.deepEqual([vlans(tor2), macs(tor2)], [1, [mac_address]], 'ready, and the port still behind h3')
  assert.equal((await rig.server.admin.put(`ports/${id}/bindings/h2/activate`)).status, 200)
  await rig.inSync()
  assert.deepEqual([vlans(tor2), macs(tor2)], [1, []], 'the port is here')
  // The old host's binding waits now; gone, it leaves nothing, and the one here stays.
  assert.equal((await rig.server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h1' } })).status, 201)
  await rig.inSync()
  assert.deepEqual([vlans(tor1), vlans(tor2), macs(tor1)], [1, 1, [mac_address]])
  assert.equal((await rig.server.admin.delete(`ports/${id}/bindings/h1`)).status, 204)
  await until('nothing is left at tor1', () => vlans(tor1) === 0 && tor1.seen().logical.size === 0)
  await rig.inSync()
  await rig.server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => rig.logicalSwitches().every((count) => count === 0))
})

test('the ToR that a port leaves has its VLAN until the port stands where it went', { skip }, async () => {
  const [tor1, tor2] = rig.switches as [Switch, Switch]
  const network = await rig.makeNetwork()
  const { id } = await rig.makePort(network, 'h1', { device_owner: 'compute:nova', device_id: 'vm' })
  const stands = (host: string) => recordPortStatus(rig.server.core, [{ id, host }], true)
  await stands('h1')
  await rig.server.admin.post(`ports/${id}/bindings`, { binding: { host: 'h2' } })
  await rig.inSync()
  const vlans = () => [tor1, tor2].map(({ seen }) => seen().ports.flatMap(({ bindings }) => [...bindings]).length)
  assert.equal((await rig.server.admin.put(`ports/${id}/bindings/h2/activate`)).status, 200)
  await rig.inSync()
  assert.deepEqual(vlans(), [1, 1])
  await stands('h2')
  await until('it is gone from the first', () => vlans().join() === '0,1')
  await rig.inSync()
  assert.equal((await rig.server.admin.delete(`ports/${id}/bindings/h1`)).status, 204)
  const { segments } = (await rig.server.admin.get(`segments?network_id=${network}&network_type=vlan`)).body
  assert.deepEqual(
    segments.map((one: { physical_network: string }) => one.physical_network),
    ['physnet-tor2'],
  )
  await rig.server.admin.delete(`ports/${id}`)
  await until('nothing is left', () => rig.logicalSwitches().every((count) => count === 0))
})

test('of two servers one works; gone, the other takes over what changed meanwhile', {
  skip,
  timeout: 30_000,
}, async () => {
  const network = await rig.makeNetwork()
  const { id } = await rig.makePort(network, 'h1')
  await rig.inSync()
  const held = async () =>
    (await rig.server.database.query<{ holder: string }>("select holder from leases where name = 'tors'"))[0]?.holder
  const first = await held()
  rig.start()
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  assert.equal(await held(), first, 'the first keeps it')
  await rig.running.shift()?.close()
  await rig.makePort(network, 'h2')
  await until('the second has it', async () => ![undefined, first].includes(await held()))
  await rig.inSync()
  await rig.server.admin.delete(`ports/${id}`)
  await until('the network is at tor2 alone', () => rig.logicalSwitches().join() === '0,1')
  const before = await rig.agents()
  await until('heartbeats go on', async () =>
    (await rig.agents()).every(({ heartbeat_timestamp: at }, i) => at > (before[i]?.heartbeat_timestamp ?? '')),
  )
})

test('a ToR whose database is away says so, keeps its address, and catches up', { skip, timeout: 30_000 }, async () => {
  const [one] = rig.switches as [Switch]
  const network = await rig.makeNetwork()
  await rig.makePort(network, 'h1')
  await rig.makePort(network, 'h2')
  await rig.inSync()
  one.client.close()
  await one.database.kill()
  const says = async () => (await rig.agents())[0]?.configurations
  await until('it is said', async () => (await says())?.['unreachable'] !== null)
  assert.equal((await says())?.['tunnel_ip'], one.tunnelIp)
  await rig.server.database.query(
    "update agents set heartbeat_timestamp = now() - interval '1 day' where host = 'tor1'",
  )
  const failed = await rig.makePort(network, 'h4')
  assert.equal(failed['binding:vif_type'], 'binding_failed')
  const [row] = await rig.server.database.query<{ attempts: { driver: string; reason: string }[] }>(
    "select binding_failure -> 'attempts' as attempts from ports where id = $1",
    [failed['id']],
  )
  assert.equal(row?.attempts.find(({ driver }) => driver === 'vtep')?.reason, 'tor_unreachable')
  assert.equal((await rig.makePort(network, 'h2'))['binding:vif_type'], 'ovs', 'the other goes on')
  await one.database.start()
  one.client = await one.database.connect()
  one.seen = await watchTor(one.client)
  await until('alive again', async () => (await rig.agents())[0]?.alive === true)
  assert.equal((await says())?.['unreachable'], null)
  await rig.inSync()
})
