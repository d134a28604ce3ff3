/**
 * The Open vSwitch data plane: wires the engine to one host's switch database, flows and DHCP servers.
 *
 * From change to switch: agent/reconciler → this → engine → compile → plan → flows → protocol/openflow.
 */
import { dirname, join } from 'node:path'
import type { Logger } from '#kernel/log.ts'
import { createDhcpServers, type DhcpServers } from '../linux/dhcp.ts'
import type { Capabilities, Dataplane, DataplaneEvents } from '../port.ts'
import { PIPELINE_VERSION } from './cookie.ts'
import { Engine } from './engine.ts'
import { openFlows } from './flows.ts'
import { type AgentLock, takeLock } from './lock.ts'
import { type Numbers, openNumbers } from './numbers.ts'
import type { Flows, Switch } from './port.ts'
import { openSwitch } from './switch.ts'
import type { SwitchConfig } from './wanted-switch.ts'

export interface OvsOptions {
  /** This host's name, as the server knows it. */
  readonly host: string
  /** Folder of numbers that must survive the agent. */
  readonly stateDir: string
  /** OVSDB target: `unix:/run/openvswitch/db.sock`. */
  readonly ovsdb: string
  /** OpenFlow target of a bridge; by default `<bridge>.mgmt` beside the database's socket. */
  readonly openflow?: (bridge: string) => string
  readonly integrationBridge?: string
  /** `system`: the kernel's datapath; `netdev`: userspace. */
  readonly datapathType?: 'system' | 'netdev'
  /** This host's tunnel endpoint; null: no tunnel networks. */
  readonly tunnelingIp: string | null
  readonly tunnelTypes?: readonly ('vxlan' | 'geneve' | 'gre')[]
  /** Physical network → provider bridge, which exists and forwards. */
  readonly bridgeMappings?: Readonly<Record<string, string>>
  /** Tells hosts of one machine apart in names they share (DHCP namespaces); by default the host's name. */
  readonly hostTag?: string
  /** How often every flow is read back. */
  readonly readBackMs?: number
  /** Another version makes all flows differ, as an upgrade does. */
  readonly pipelineVersion?: number
  readonly log: Logger
}

interface Running {
  readonly lock: AgentLock
  readonly numbers: Numbers
  readonly database: Switch
  readonly flows: Flows
  readonly dhcp: DhcpServers
  readonly engine: Engine
  readonly timer: NodeJS.Timeout
}

export function createOvsDataplane(options: OvsOptions): Dataplane {
  const config = switchConfig(options)
  let running: Running | null = null
  return {
    capabilities: capabilitiesOf(config),
    start: async (events) => {
      running = await start(options, config, events)
    },
    reconcile: (world, keys, inSync) =>
      running
        ? running.engine.reconcile(world, keys, inSync)
        : Promise.reject(new Error('the data plane is not started')),
    stop: async () => {
      const it = running
      running = null
      if (it) await stop(it)
    },
  }
}

const switchConfig = (options: OvsOptions): SwitchConfig => ({
  integrationBridge: options.integrationBridge ?? 'br-int',
  datapathType: options.datapathType ?? 'system',
  tunnelingIp: options.tunnelingIp,
  tunnelTypes: options.tunnelTypes ?? ['vxlan', 'geneve'],
  bridgeMappings: options.bridgeMappings ?? {},
})

const capabilitiesOf = (config: SwitchConfig): Capabilities => ({
  datapath: 'ovs',
  tunnel_types: config.tunnelingIp === null ? [] : config.tunnelTypes,
  bridge_mappings: config.bridgeMappings,
  tunneling_ip: config.tunnelingIp,
  vnic_types: ['normal'],
  datapath_type: config.datapathType,
  integration_bridge: config.integrationBridge,
  services: { dhcp: { dhcp_driver: 'dnsmasq' } },
})

/** Each step that fails undoes those before it. */
async function start(options: OvsOptions, config: SwitchConfig, events: DataplaneEvents): Promise<Running> {
  const { host, stateDir, ovsdb, log } = options
  const target = options.openflow?.(config.integrationBridge) ?? besideSocket(ovsdb, config.integrationBridge)
  await using undo = new AsyncDisposableStack()
  const database = undo.adopt(
    await openSwitch({ target: ovsdb, integrationBridge: config.integrationBridge, owner: host, log }),
    (it) => it.close(),
  )
  const lock = undo.adopt(await takeLock(ovsdb, log, events.fatal), (it) => it.close())
  const numbers = undo.adopt(openNumbers(stateDir), (it) => it.close())
  const flows = undo.adopt(openFlows({ target, log }), (it) => it.close())
  const dhcp = undo.adopt(
    createDhcpServers({
      stateDir,
      hostTag: (options.hostTag ?? host).replaceAll(/[^\w.-]/g, '_').slice(0, 64),
      log,
      remake: (device) => engine.remake(device),
    }),
    (it) => it.close(),
  )
  const engine: Engine = new Engine({
    host,
    config,
    pipelineVersion: options.pipelineVersion ?? PIPELINE_VERSION,
    numbers,
    flows,
    switch: database,
    dhcp,
    realized: events.realized,
    log,
  })
  database.onChange(() => engine.databaseChanged())
  flows.onUp(() => engine.reconnected())
  dhcp.onDirty((networks) => engine.dhcpChanged(networks))
  flows.onForeign((changes) => engine.flowsChanged(changes))
  const timer = setInterval(() => void engine.readBack(), options.readBackMs ?? 30_000)
  timer.unref()
  undo.move()
  return { lock, numbers, database, flows, dhcp, engine, timer }
}

/** Waits for the running job; the lock goes last, so that a successor never meets us. */
async function stop({ lock, numbers, database, flows, dhcp, engine, timer }: Running): Promise<void> {
  clearInterval(timer)
  await engine.idle()
  await dhcp.close()
  await flows.close()
  await database.close()
  numbers.close()
  lock.close()
}

function besideSocket(ovsdb: string, bridge: string): string {
  if (!ovsdb.startsWith('unix:')) throw new Error(`the switch database must be local (unix:/path), not ${ovsdb}`)
  return `unix:${join(dirname(ovsdb.slice('unix:'.length)), `${bridge}.mgmt`)}`
}
