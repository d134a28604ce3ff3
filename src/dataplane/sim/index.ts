/**
 * The data plane in memory: the contract of `dataplane/port.ts` without a switch. It carries a thousand hosts in one
 * process, and tests reach its host to plug, tamper and let the next write fail.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Capabilities, Dataplane, DataplaneEvents } from '#dataplane/port.ts'
import { keyOf, splitKey, type WireKey, type World } from '#wire/objects.ts'
import type { Realization } from '#wire/realization.ts'
import { createSimHost, type HostChange, type SimHost } from './host.ts'
import { touchedBy, wishFor } from './plan.ts'

export { createSimHost, type SimHost } from './host.ts'

export interface SimOptions {
  /** Keeps what stands across agents' lives; a new one when absent. */
  readonly host?: SimHost
  /** A bound port counts as plugged at once. */
  readonly autoPlug?: boolean
  readonly tunnelingIp?: string | null
  readonly bridgeMappings?: Readonly<Record<string, string>>
}

export type SimDataplane = Dataplane & { readonly host: SimHost }

export const createSimDataplane = (options: SimOptions = {}): SimDataplane => new Sim(options)

class Sim implements SimDataplane {
  readonly host: SimHost
  readonly capabilities: Capabilities
  readonly #autoPlug: boolean
  /** What a foreign hand removed: its next installation is reported as a repair. */
  readonly #tampered = new Set<WireKey>()
  #events: DataplaneEvents | null = null
  #swept = false

  constructor(options: SimOptions) {
    this.host = options.host ?? createSimHost()
    this.#autoPlug = options.autoPlug === true
    this.capabilities = {
      datapath: 'sim',
      datapath_type: 'sim',
      integration_bridge: 'br-int',
      tunnel_types: ['vxlan', 'geneve'],
      bridge_mappings: options.bridgeMappings ?? {},
      tunneling_ip: options.tunnelingIp ?? null,
      vnic_types: ['normal'],
      services: { dhcp: { dhcp_driver: 'sim' }, l3: { agent_mode: 'dvr_snat' } },
    }
  }

  async start(events: DataplaneEvents): Promise<void> {
    this.#events = events
    this.host.watch((change) => this.#onChange(change))
  }

  async reconcile(world: World, keys: readonly WireKey[], inSync: boolean): Promise<readonly Realization[]> {
    await turn()
    if (inSync && !this.#swept) this.#sweep(world)
    const touched = new Set(keys.flatMap((key) => touchedBy(world, key)))
    return [...touched].flatMap((key) => this.#realize(world, key, inSync))
  }

  async stop(): Promise<void> {
    this.#events = null
    this.host.watch(null)
  }

  #onChange(change: HostChange): void {
    const key = change.what === 'tampered' ? change.key : keyOf('port', change.portId)
    if (change.what === 'tampered') this.#tampered.add(key)
    this.#events?.dirty([key])
  }

  /** Once a life: what an earlier life left and nobody wants. */
  #sweep(world: World): void {
    this.#swept = true
    for (const key of this.host.standing.keys()) {
      const { type, id } = splitKey(key)
      if (!world[type].has(id)) this.#remove(key)
    }
  }

  #remove(key: WireKey): void {
    this.host.remove(key)
    this.#tampered.delete(key)
  }

  #realize(world: World, key: WireKey, inSync: boolean): Realization[] {
    const wish = wishFor(world, (portId) => this.#autoPlug || this.host.plugged.has(portId), key)
    // What stands from before stays until the world is whole.
    if (wish.wish !== 'stand' && inSync) this.#remove(key)
    if (wish.wish === 'gone') return []
    const { type, id } = splitKey(key)
    const at = new Date().toISOString()
    const report = {
      kind: type as Realization['kind'],
      id,
      generation: wish.generation,
      repaired: false,
      message: null,
      at,
    }
    if (wish.wish === 'wait') return [{ ...report, state: 'pending', message: wish.missing }]
    try {
      if (this.host.standing.get(key)?.content !== wish.standing.content) this.host.install(key, wish.standing)
    } catch (error) {
      return [{ ...report, state: 'error', message: (error as Error).message }]
    }
    if (!this.#tampered.delete(key)) return [{ ...report, state: 'done' }]
    return [{ ...report, state: 'done', repaired: true, message: `${type} ${id} was removed by a foreign hand` }]
  }
}
