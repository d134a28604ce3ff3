/**
 * From the API to proven flow, in a lab of three hosts: the time from the plug (which comes after the API's answer)
 * until the port is ACTIVE, for one port and for 500 at once, and what an agent's restart with them costs.
 * Needs root. Interfaces are internal ports of the switch: the plug itself costs what it costs Nova.
 */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startAgent, stopAgent, waitForAgent } from '#lab/agents.ts'
import type { Api } from '#lab/api.ts'
import { heardFrom } from '#lab/enrol.ts'
import { run } from '#lab/exec.ts'
import { bringDown, bringUp, labApi } from '#lab/lifecycle.ts'
import type { Lab } from '#lab/state.ts'
import { silentLogger } from '#kernel/log.ts'
import { connectOvsdb, type OvsdbClient } from '#protocol/ovsdb/client.ts'
import { insert, mutate, named } from '#protocol/ovsdb/ops.ts'
import { ending } from './ends.ts'
import { table } from './table.ts'

const MANY = 500

export interface Port {
  readonly id: string
  readonly mac_address: string
  readonly status: string
}

export interface Rig {
  readonly lab: Lab
  readonly api: Api
  readonly switches: ReadonlyMap<string, OvsdbClient>
  readonly network: string
}

/** Interface names have at most 15 characters. */
const tap = ({ id }: Pick<Port, 'id'>): string => `tap${id.slice(0, 11)}`

/** Plugs ports on a host in one transaction, as Nova's os-vif would one by one. */
export async function plug(
  { switches }: Rig,
  host: string,
  ports: readonly Pick<Port, 'id' | 'mac_address'>[],
): Promise<void> {
  const ops = ports.flatMap((port, index) => {
    const external_ids = new Map([
      ['iface-id', port.id],
      ['attached-mac', port.mac_address],
      ['iface-status', 'active'],
    ])
    return [
      insert('Interface', { name: tap(port), type: 'internal', external_ids }, `i${index}`),
      insert('Port', { name: tap(port), interfaces: [named(`i${index}`)] }, `p${index}`),
      mutate('Bridge', [['name', '==', 'br-int']], ['ports', 'insert', [named(`p${index}`)]]),
    ]
  })
  const results = (await switches.get(host)?.transact(ops)) ?? []
  // A bridge that is not there yet takes no port, and the database forgets what nothing refers to.
  if (results.at(-1)?.count !== 1) throw new Error(`host ${host} has no integration bridge`)
}

async function createPorts({ api, network }: Rig, host: string, count: number): Promise<Port[]> {
  const ports: Port[] = []
  while (ports.length < count) {
    const part = Array.from({ length: Math.min(100, count - ports.length) }, () => ({
      network_id: network,
      'binding:host_id': host,
    }))
    const answer = await api.call('POST', 'ports', { ports: part })
    ports.push(...(answer['ports'] as Port[]))
  }
  return ports
}

/** Polls until all are ACTIVE; answers the milliseconds since `began`. */
async function untilActive(api: Api, ids: ReadonlySet<string>, began: number, path: string): Promise<number> {
  for (const end = began + 60_000; performance.now() < end; await sleep(5)) {
    const { ports } = await api.call('GET', path)
    if ((ports as Port[]).filter((port) => ids.has(port.id) && port.status === 'ACTIVE').length === ids.size)
      return performance.now() - began
  }
  throw new Error(`not all of ${ids.size} ports turned ACTIVE within a minute`)
}

async function one(rig: Rig, times: number): Promise<number[]> {
  const took: number[] = []
  for (let index = 0; index < times; index++) {
    const [port] = await createPorts(rig, 'h1', 1)
    if (!port) throw new Error('no port was made')
    await sleep(100)
    const began = performance.now()
    await plug(rig, 'h1', [port])
    took.push(await untilActive(rig.api, new Set([port.id]), began, `ports?id=${port.id}&fields=id&fields=status`))
  }
  return took.sort((a, b) => a - b)
}

async function many(rig: Rig): Promise<number> {
  const share = Math.ceil(MANY / 2)
  const ports = await Promise.all(['h2', 'h3'].map((host) => createPorts(rig, host, share)))
  await sleep(2000)
  const began = performance.now()
  await Promise.all(ports.map((some, index) => plug(rig, `h${index + 2}`, some)))
  const ids = new Set(ports.flat().map((port) => port.id))
  return untilActive(rig.api, ids, began, 'ports?status=ACTIVE&fields=id&fields=status')
}

/** Seconds until a killed agent, started again, has reported; and the flows its switch has before and after. */
async function restart(
  { lab, api }: Rig,
  host: string,
): Promise<{ ms: number; flowsBefore: number; flowsAfter: number }> {
  const flows = async (): Promise<number> => {
    const dump = await run([
      'ovs-ofctl',
      '-O',
      'OpenFlow15',
      'dump-aggregate',
      `unix:${lab.paths.host(host)}/br-int.mgmt`,
    ])
    return Number(/flow_count=(\d+)/.exec(dump)?.[1] ?? 0)
  }
  const flowsBefore = await flows()
  await stopAgent(lab, host, 'SIGKILL')
  await sleep(1100)
  const [began, since] = [performance.now(), Date.now()]
  await startAgent(lab, host)
  await waitForAgent(lab, host, () => heardFrom(api, host, since), 60_000)
  return { ms: performance.now() - began, flowsBefore, flowsAfter: await flows() }
}

/** A lab of three hosts with a network in it, taken down when the work is done. */
export async function withRig(name: string, work: (rig: Rig) => Promise<void>): Promise<void> {
  await mkdir('/var/lib/deuteron', { recursive: true })
  const root = await mkdtemp(`/var/lib/deuteron/${name}-`)
  await chmod(root, 0o711)
  const switches = new Map<string, OvsdbClient>()
  await using _ = ending(async () => {
    for (const client of switches.values()) client.close()
    await bringDown(root, name)
    await rm(root, { recursive: true, force: true })
  })
  const lab = await bringUp(root, { name, hosts: 3, datapath: 'netdev', server: 'own' }, (line) =>
    process.stderr.write(`${line}\n`),
  )
  for (const host of ['h1', 'h2', 'h3'])
    switches.set(
      host,
      await connectOvsdb({ target: `unix:${lab.paths.ovsdb(host)}`, database: 'Open_vSwitch', log: silentLogger }),
    )
  const api = await labApi(lab)
  const { network } = (await api.call('POST', 'networks', { network: { name: 'bench' } })) as {
    network: { id: string; project_id: string }
  }
  await api.call('PUT', `quotas/${network.project_id}`, { quota: { port: -1 } })
  await api.call('POST', 'subnets', { subnet: { network_id: network.id, ip_version: 4, cidr: '10.0.0.0/20' } })
  await work({ lab, api, switches, network: network.id })
}

export const benchLab = (print: (text: string) => void): Promise<void> =>
  withRig('bench', async (rig) => {
    await one(rig, 3)
    const single = await one(rig, 30)
    const at = (share: number): string => `${(single[Math.floor(share * single.length)] ?? 0).toFixed(0)} ms`
    const together = await many(rig)
    const again = await restart(rig, 'h2')
    print(
      table(
        ['in the lab, three hosts', 'figure'],
        [
          ['plug to ACTIVE, one port, p50', at(0.5)],
          ['plug to ACTIVE, one port, p95', at(0.95)],
          [`plug to ACTIVE, ${MANY} ports at once on two hosts, the last`, `${(together / 1000).toFixed(2)} s`],
          [`agent killed with ${MANY / 2} ports: start to report`, `${(again.ms / 1000).toFixed(2)} s`],
          ['flows before and after', `${again.flowsBefore} / ${again.flowsAfter}`],
        ],
      ),
    )
  })
