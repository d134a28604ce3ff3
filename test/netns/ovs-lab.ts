/**
 * Hosts and VMs for packet tests: a host is a namespace with its own Open vSwitch and data plane, a VM a namespace
 * plugged into its br-int as os-vif would. Everything is named after the process and goes when the test ends.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createOvsDataplane, type OvsOptions } from '#dataplane/ovs/index.ts'
import type { Dataplane, DataplaneEvents } from '#dataplane/port.ts'
import { createLogger } from '#kernel/log.ts'
import {
  emptyWorld,
  keyOf,
  type NetworkObject,
  type PortObject,
  type SecurityGroupObject,
  type SecurityGroupRuleObject,
  type WireKey,
  type WireType,
  type WireTypes,
  type World,
} from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import type { Realization } from '#wire/realization.ts'
import { type PrivateOvs, startOvs } from '../lib/ovs.ts'

const exec = promisify(execFile)
const TRAFFIC = new URL('./ovs-traffic.ts', import.meta.url).pathname
export const log = createLogger('test', (process.env['TEST_LOG'] as 'debug' | undefined) ?? 'silent')

export const sh = async (command: string): Promise<string> =>
  (await exec('sh', ['-ec', command], { timeout: 20_000 })).stdout

export interface Host {
  /** Its namespace. */
  readonly name: string
  readonly ovs: PrivateOvs
  readonly stateDir: string
  readonly reports: Realization[]
  dataplane: Dataplane
  /** A new data plane on the same host, as after an upgrade or crash of the agent. */
  restart(more?: Partial<OvsOptions>): Promise<void>
  /** Starts another data plane beside the running one. */
  second(): Promise<void>
  /** The latest report of a port. */
  stateOf(port: string): Realization | undefined
}

export interface Vm {
  readonly ns: string
  readonly host: Host
  readonly device: string
  sh(command: string): Promise<string>
  /** Exit code 0 of a command in the namespace. */
  can(command: string): Promise<boolean>
  ping(address: string): Promise<boolean>
  ask(kind: 'tcp' | 'udp', address: string, port: number): Promise<boolean>
  /** The address a name server answers for a name; null without an answer within a second. */
  resolve(kind: 'tcp' | 'udp', server: string, name: string): Promise<string | null>
  /** Starts a role of ovs-traffic.ts and waits for its first line. */
  start(...role: string[]): Promise<Running>
  unplug(): Promise<void>
  plug(): Promise<void>
}

export interface Running {
  readonly process: ChildProcess
  lines: string[]
  stop(): Promise<string>
  done(): Promise<string>
}

/** Creates things and removes them in reverse order. */
export function createLab(tag: string) {
  const prefix = `${tag}${process.pid}`
  const undo: (() => Promise<unknown>)[] = []
  let links = 0

  const host = async (
    name: string,
    options: Partial<OvsOptions> & { underlay?: string; namespace?: string } = {},
  ): Promise<Host> => {
    const { underlay, namespace, ...rest } = options
    const ns = namespace ?? `${prefix}${name}`
    if (namespace === undefined) {
      await sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`)
      undo.push(() => sh(`ip netns del ${ns}`))
    }
    const ovs = await startOvs({ netns: ns })
    undo.push(() => ovs.stop())
    const stateDir = mkdtempSync(join(tmpdir(), 'dt-'))
    undo.push(async () => rmSync(stateDir, { recursive: true, force: true }))
    const reports: Realization[] = []
    const events: DataplaneEvents = {
      dirty: () => undefined,
      realized: (more) => void reports.push(...more),
      fatal: (message) => log.fatal(message),
    }
    const create = (more: Partial<OvsOptions> = {}): Dataplane =>
      createOvsDataplane({
        host: name,
        stateDir,
        ovsdb: ovs.dbSock,
        datapathType: 'netdev',
        tunnelingIp: underlay ?? null,
        log: log.child({ host: name }),
        ...rest,
        ...more,
      })
    const it: Host = {
      name: ns,
      ovs,
      stateDir,
      reports,
      dataplane: create(),
      restart: async (more) => {
        await it.dataplane.stop()
        it.dataplane = create(more)
        await it.dataplane.start(events)
      },
      second: async () => {
        const folder = mkdtempSync(join(tmpdir(), 'dt-'))
        undo.push(async () => rmSync(folder, { recursive: true, force: true }))
        const second = create({ stateDir: folder })
        await second.start(events)
        await second.stop()
      },
      stateOf: (port) => reports.findLast(({ kind, id }) => kind === 'port' && id === port),
    }
    await it.dataplane.start(events)
    undo.push(() => it.dataplane.stop())
    return it
  }

  /** Joins two hosts: their `eth0` in a netdev bridge that owns the tunnel address. */
  const join2 = async (a: Host, addressA: string, b: Host, addressB: string): Promise<void> => {
    await sh(`ip link add eth0 netns ${a.name} mtu 1600 type veth peer name eth0 netns ${b.name} mtu 1600`)
    for (const [it, address] of [
      [a, addressA],
      [b, addressB],
    ] as const) {
      await guard(it, 'eth0')
      await sh(`ip -n ${it.name} link set eth0 up`)
      const mac = (await sh(`ip netns exec ${it.name} cat /sys/class/net/eth0/address`)).trim()
      await it.ovs.vsctl(
        'add-br',
        'br-phy',
        '--',
        'set',
        'bridge',
        'br-phy',
        'datapath_type=netdev',
        `other_config:hwaddr=${mac}`,
        '--',
        'add-port',
        'br-phy',
        'eth0',
      )
      await sh(`ip -n ${it.name} addr add ${address}/24 dev br-phy; ip -n ${it.name} link set br-phy up`)
    }
  }

  /** A cable between two hosts, plugged into a bridge of each. */
  const wire = async (a: Host, b: Host, bridge: string, device: string): Promise<void> => {
    await sh(`ip link add ${device} netns ${a.name} type veth peer name ${device} netns ${b.name}`)
    for (const it of [a, b]) {
      await guard(it, device)
      await sh(`ip -n ${it.name} link set ${device} up`)
      await it.ovs.vsctl('add-port', bridge, device)
    }
  }

  /** The host's own stack must not answer frames that the switch takes from the same device. */
  const guard = (it: Host, device: string): Promise<string> =>
    sh(`ip netns exec ${it.name} nft -f - <<'N'
add table netdev guard
add chain netdev guard ${device} { type filter hook ingress device ${device} priority -500; policy drop; }
N`)

  const vm = async (
    on: Host,
    port: Pick<PortObject, 'id' | 'mac_address' | 'fixed_ips'>,
    plugged = true,
  ): Promise<Vm> => {
    const n = ++links
    const [ns, device] = [`${prefix}v${n}`, `t${n}`]
    await sh(`ip netns add ${ns}; ip -n ${ns} link set lo up
      ip link add eth0 netns ${ns} mtu 1450 type veth peer name ${device} netns ${on.name} mtu 1450
      ip netns exec ${ns} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
      ip -n ${ns} link set eth0 address ${port.mac_address} up; ip -n ${on.name} link set ${device} up
      ip netns exec ${ns} ethtool -K eth0 tx off >/dev/null`)
    undo.push(() => sh(`ip netns del ${ns}`))
    await guard(on, device)
    for (const { ip_address } of port.fixed_ips)
      await sh(`ip -n ${ns} addr add ${ip_address}/${ip_address.includes(':') ? '64 nodad' : '24'} dev eth0`)
    const inside = (command: string): string => `ip netns exec ${ns} ${command}`
    const it: Vm = {
      ns,
      host: on,
      device,
      sh: (command) => sh(inside(command)),
      can: (command) =>
        exec('sh', ['-c', inside(command)], { timeout: 15_000 }).then(
          () => true,
          () => false,
        ),
      ping: (address) => it.can(`ping -c 1 -W 1 ${address}`),
      ask: (kind, address, to) => it.can(`${process.execPath} ${TRAFFIC} ask ${kind} ${address} ${to}`),
      resolve: (kind, server, name) =>
        sh(inside(`${process.execPath} ${TRAFFIC} resolve ${kind} ${server} ${name}`)).then(
          (text) => text.trim(),
          () => null,
        ),
      start: (...role) => start(ns, role),
      plug: async () =>
        void (await on.ovs.vsctl(
          'add-port',
          'br-int',
          device,
          '--',
          'set',
          'interface',
          device,
          `external_ids:iface-id=${port.id}`,
          `external_ids:attached-mac=${port.mac_address}`,
        )),
      unplug: async () => void (await on.ovs.vsctl('del-port', 'br-int', device)),
    }
    if (plugged) await it.plug()
    return it
  }

  const start = async (ns: string, role: readonly string[]): Promise<Running> => {
    const child = spawn('ip', ['netns', 'exec', ns, process.execPath, TRAFFIC, ...role], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const running: Running = {
      process: child,
      lines: [],
      done: async () => {
        await ended
        return running.lines.at(-1) ?? ''
      },
      stop: async () => {
        child.kill('SIGTERM')
        return running.done()
      },
    }
    undo.push(async () => child.kill('SIGKILL'))
    const first = Promise.withResolvers<void>()
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      running.lines.push(...text.trim().split('\n'))
      first.resolve()
    })
    if (role[0] !== 'send') await Promise.race([first.promise, ended])
    return running
  }

  return {
    host,
    vm,
    join: join2,
    wire,
    close: async () => {
      for (const step of undo.reverse())
        await step().catch((error: unknown) => log.warn({ error: String(error) }, 'undo'))
    },
  }
}

export type Lab = ReturnType<typeof createLab>

/** A world under construction: `put` and `drop` answer the key to reconcile. */
export function createWorld() {
  const world = emptyWorld() as { [T in WireType]: Map<string, WireTypes[T]> }
  return {
    world: world as World,
    put: <T extends WireType>(type: T, object: WireTypes[T]): WireKey => {
      ;(world[type] as Map<string, WireTypes[T]>).set(object.id, object)
      return keyOf(type, object.id)
    },
    drop: (type: WireType, id: string): WireKey => {
      world[type].delete(id)
      return keyOf(type, id)
    },
    keys: (): WireKey[] =>
      (Object.keys(world) as WireType[]).flatMap((type) => [...world[type].keys()].map((id) => keyOf(type, id))),
  }
}

/** A VXLAN network, or without a VNI one that stays on its host. */
export const network = (id: string, vni: number | null, more: Partial<NetworkObject> = {}): NetworkObject => ({
  id,
  generation: 1,
  project_id: 'project',
  admin_state_up: true,
  mtu: 1450,
  segments: [
    {
      id: `${id}-s`,
      network_type: vni === null ? 'local' : 'vxlan',
      physical_network: null,
      segmentation_id: vni,
    },
  ],
  subnets: [],
  dhcp: null,
  dns_domain: 'openstacklocal',
  ...more,
})

/** Port n: MAC 02:…:n, 10.0.0.n, fd00::n. */
export const portNumber = (n: number, more: Partial<PortObject> = {}): PortObject =>
  plainPort({
    id: `0000000${n}-0000-4000-8000-000000000000`.slice(-36),
    mac_address: `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`,
    fixed_ips: [
      { subnet_id: 's4', ip_address: `10.0.0.${n}` },
      { subnet_id: 's6', ip_address: `fd00::${n.toString(16)}` },
    ],
    security_groups: ['open'],
    ...more,
  })

export const allow = (more: Partial<SecurityGroupRuleObject> = {}): SecurityGroupRuleObject => ({
  id: 'rule',
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: null,
  port_range_min: null,
  port_range_max: null,
  remote_ip_prefix: null,
  remote_group_id: null,
  ...more,
})

export const group = (id: string, rules: readonly SecurityGroupRuleObject[], stateful = true): SecurityGroupObject => ({
  id,
  generation: 1,
  stateful,
  rules,
})

const both = (more: Partial<SecurityGroupRuleObject>): SecurityGroupRuleObject[] => [
  allow({ ...more, ethertype: 'IPv4' }),
  allow({ ...more, ethertype: 'IPv6' }),
]
export const everythingOut = both({ direction: 'egress' })
export const everythingIn = both({ direction: 'ingress' })
/** Allows everything both ways. */
export const open = group('open', [...everythingOut, ...everythingIn])

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Polls until `check` holds; false when it does not within `ms`. */
export async function eventually(check: () => boolean | Promise<boolean>, ms = 5000): Promise<boolean> {
  const end = Date.now() + ms
  while (Date.now() < end) {
    if (await check()) return true
    await pause(30)
  }
  return false
}
