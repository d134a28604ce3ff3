/** Steps of a bridge plan as one OVSDB transaction, and the monitored tables as what the plan compares with. Pure. */
import { byUuid, type Condition, insert, mutate, named, type Op, setKeys, update } from '#protocol/ovsdb/ops.ts'
import type { Row } from '#protocol/ovsdb/schema.ts'
import {
  type BridgeStep,
  NETWORK_KEY,
  OWNER_KEY,
  PHYSNET_KEY,
  type SeenBridge,
  type SeenPort,
  type SeenSwitch,
  type WantedPort,
  type WantedSwitch,
} from './bridge-plan.ts'
import type { LocalView } from './view.ts'

/** What we look at; counters and the like, which change all the time, are left out. */
export const MONITORED = {
  Open_vSwitch: ['bridges', 'next_cfg', 'cur_cfg'],
  Bridge: ['name', 'ports', 'fail_mode', 'datapath_type', 'protocols', 'external_ids'],
  Port: ['name', 'interfaces', 'external_ids'],
  Interface: ['name', 'type', 'options', 'external_ids', 'mac', 'ofport', 'error'],
} as const

type StringMap = ReadonlyMap<string, string>

export interface BridgeRow extends Row {
  readonly name: string
  readonly ports: readonly string[]
  readonly fail_mode: string | null
  readonly datapath_type: string
  readonly protocols: readonly string[]
}
export interface PortRow extends Row {
  readonly name: string
  readonly interfaces: readonly string[]
  readonly external_ids: StringMap
}
export interface InterfaceRow extends Row {
  readonly name: string
  readonly type: string
  readonly options: StringMap
  readonly external_ids: StringMap
  readonly mac: string | null
  readonly ofport: number | null
  readonly error: string | null
}

export interface RootRow extends Row {
  /** Asked for, and reached by ovs-vswitchd. */
  readonly next_cfg: number
  readonly cur_cfg: number
}

export interface SwitchTables {
  readonly root: ReadonlyMap<string, RootRow>
  readonly bridges: ReadonlyMap<string, BridgeRow>
  readonly ports: ReadonlyMap<string, PortRow>
  readonly interfaces: ReadonlyMap<string, InterfaceRow>
}

export function seenSwitch({ bridges, ports, interfaces }: SwitchTables): SeenSwitch {
  const seen = [...bridges.values()].flatMap((bridge) =>
    bridge.ports.flatMap((uuid): SeenPort[] => {
      const port = ports.get(uuid)
      const device = interfaces.get(port?.interfaces[0] ?? '')
      if (!port || !device) return []
      return [
        {
          bridge: bridge.name,
          name: port.name,
          uuid,
          interfaceUuid: device._uuid,
          type: device.type,
          options: Object.fromEntries(device.options),
          mac: device.mac,
          marks: { ...Object.fromEntries(device.external_ids), ...Object.fromEntries(port.external_ids) },
          broken: device.ofport === -1 || device.error !== null,
        },
      ]
    }),
  )
  const seenBridges = [...bridges.values()].map(
    (row): SeenBridge => ({
      uuid: row._uuid,
      name: row.name,
      failMode: row.fail_mode,
      datapathType: row.datapath_type,
      protocols: row.protocols,
    }),
  )
  return { bridges: seenBridges, ports: seen }
}

/** OpenFlow port numbers on `bridge`; interfaces without one (not opened yet, or broken) are not there. */
export function localView({ bridges, ports, interfaces }: SwitchTables, bridge: string, owner: string): LocalView {
  const view = { ports: new Map<string, number>(), dhcp: new Map(), tunnels: new Map(), patches: new Map() }
  const row = [...bridges.values()].find(({ name }) => name === bridge)
  for (const uuid of row?.ports ?? []) {
    const port = ports.get(uuid)
    for (const id of port?.interfaces ?? []) {
      const device = interfaces.get(id)
      if (!port || !device?.ofport || device.ofport < 0 || device.error !== null) continue
      const vm = device.external_ids.get('iface-id')
      if (port.external_ids.get(OWNER_KEY) !== owner) {
        if (vm) view.ports.set(vm, device.ofport)
        continue
      }
      const network = port.external_ids.get(NETWORK_KEY)
      const physnet = port.external_ids.get(PHYSNET_KEY)
      if (network) view.dhcp.set(network, device.ofport)
      else if (physnet) view.patches.set(physnet, device.ofport)
      else view.tunnels.set(device.type, device.ofport)
    }
  }
  return view
}

/** `root` is the UUID of the one row of table Open_vSwitch. */
export function opsOf(
  steps: readonly BridgeStep[],
  want: WantedSwitch,
  seen: SeenSwitch,
  root: string,
  owner: string,
): Op[] {
  const bridges = new Map(seen.bridges.map(({ name, uuid }) => [name, uuid]))
  // A bridge that is not there yet is inserted by the same transaction.
  const bridgeNamed = (name: string): readonly Condition[] => [['_uuid', '==', bridges.get(name) ?? named('bridge')]]
  const ops: Op[] = []
  steps.forEach((step, n) => {
    switch (step.op) {
      case 'add-bridge':
        ops.push(...addBridge(want, root))
        break
      case 'set-bridge':
        ops.push(
          update('Bridge', byUuid(step.uuid), { fail_mode: 'secure', datapath_type: want.datapathType }),
          mutate('Bridge', byUuid(step.uuid), ['protocols', 'insert', [...want.protocols]]),
        )
        break
      case 'add-port':
        ops.push(...insertPort(step.port, owner, n))
        ops.push(mutate('Bridge', bridgeNamed(step.port.bridge), ['ports', 'insert', [named(`port${n}`)]]))
        break
      case 'set-port':
        ops.push(
          update('Interface', byUuid(step.seen.interfaceUuid), {
            type: step.port.type,
            options: { ...step.port.options },
            mac: step.port.mac,
          }),
          setKeys('Port', byUuid(step.seen.uuid), 'external_ids', { ...step.port.marks, [OWNER_KEY]: owner }),
        )
        break
      case 'del-port':
        ops.push(mutate('Bridge', bridgeNamed(step.seen.bridge), ['ports', 'delete', [step.seen.uuid]]))
        break
    }
  })
  // The switch says by this number when it has seen a removal; an addition says it by the port's number.
  if (steps.some(({ op }) => op === 'del-port')) ops.push(mutate('Open_vSwitch', byUuid(root), ['next_cfg', '+=', 1]))
  return ops
}

function addBridge(want: WantedSwitch, root: string): Op[] {
  return [
    insert('Interface', { name: want.bridge, type: 'internal' }, 'bridgeInterface'),
    insert('Port', { name: want.bridge, interfaces: [named('bridgeInterface')] }, 'bridgePort'),
    insert(
      'Bridge',
      {
        name: want.bridge,
        fail_mode: 'secure',
        datapath_type: want.datapathType,
        protocols: [...want.protocols],
        ports: [named('bridgePort')],
      },
      'bridge',
    ),
    mutate('Open_vSwitch', byUuid(root), ['bridges', 'insert', [named('bridge')]]),
  ]
}

const insertPort = (port: WantedPort, owner: string, n: number): Op[] => [
  insert(
    'Interface',
    { name: port.name, type: port.type, options: { ...port.options }, mac: port.mac },
    `interface${n}`,
  ),
  insert(
    'Port',
    {
      name: port.name,
      interfaces: [named(`interface${n}`)],
      external_ids: { ...port.marks, [OWNER_KEY]: owner },
    },
    `port${n}`,
  ),
]
