/** What the switch database should hold for us, and the steps that get it there. Pure. */

/** Key of `external_ids` that marks a row as ours; its value is the host tag. */
export const OWNER_KEY = 'deuteron-owner'
/** Key of `external_ids` that names the network a DHCP interface serves. */
export const NETWORK_KEY = 'deuteron-network'
/** Key of `external_ids` that names the physical network a patch leads to. */
export const PHYSNET_KEY = 'deuteron-physnet'

export interface WantedPort {
  readonly bridge: string
  readonly name: string
  readonly type: 'vxlan' | 'geneve' | 'gre' | 'patch' | 'internal'
  readonly options: Readonly<Record<string, string>>
  /** Of an internal interface; null leaves it to the switch. */
  readonly mac: string | null
  /** What it is for, in `external_ids`, beside the owner's mark. */
  readonly marks: Readonly<Record<string, string>>
}

export interface WantedSwitch {
  readonly bridge: string
  readonly datapathType: string
  readonly protocols: readonly string[]
  readonly ports: readonly WantedPort[]
}

export interface SeenPort {
  readonly bridge: string
  readonly name: string
  readonly uuid: string
  readonly interfaceUuid: string
  readonly type: string
  readonly options: Readonly<Record<string, string>>
  readonly mac: string | null
  readonly marks: Readonly<Record<string, string>>
  /** The switch could not open the device, or lost it. */
  readonly broken: boolean
}

export interface SeenBridge {
  readonly uuid: string
  readonly name: string
  readonly failMode: string | null
  readonly datapathType: string
  readonly protocols: readonly string[]
}

export interface SeenSwitch {
  readonly bridges: readonly SeenBridge[]
  readonly ports: readonly SeenPort[]
}

export type BridgeStep =
  | { readonly op: 'add-bridge' }
  | { readonly op: 'set-bridge'; readonly uuid: string }
  | { readonly op: 'add-port'; readonly port: WantedPort }
  | { readonly op: 'set-port'; readonly port: WantedPort; readonly seen: SeenPort }
  | { readonly op: 'del-port'; readonly seen: SeenPort }

export interface BridgePlan {
  readonly steps: readonly BridgeStep[]
  /** What stands in the way, one sentence each. */
  readonly conflicts: readonly string[]
}

/**
 * The bridge first, then ports added or set, then ports removed: only ours, and only once in sync. A port of ours that
 * broke is removed now and added by the next plan: the switch opens a device anew only when its row was gone.
 */
export function planBridge(want: WantedSwitch, seen: SeenSwitch, owner: string, inSync: boolean): BridgePlan {
  const steps: BridgeStep[] = bridgeSteps(want, seen)
  const conflicts: string[] = []
  const bridges = new Set([want.bridge, ...seen.bridges.map(({ name }) => name)])
  const unreachable = new Set(want.ports.flatMap(({ name, bridge }) => (bridges.has(bridge) ? [] : [name])))
  const byName = new Map(seen.ports.map((port) => [port.name, port]))
  for (const port of want.ports) {
    const there = byName.get(port.name)
    if (!bridges.has(port.bridge))
      conflicts.push(`bridge ${port.bridge} does not exist: create it or change the bridge mappings`)
    // A patch without its other end leads nowhere.
    else if (unreachable.has(port.options['peer'] ?? '')) continue
    else if (!there) steps.push({ op: 'add-port', port })
    else if (there.marks[OWNER_KEY] !== owner)
      conflicts.push(`a port named ${port.name} that is not ours stands on ${there.bridge}`)
    else if (there.bridge !== port.bridge || there.broken) steps.push({ op: 'del-port', seen: there })
    else if (differs(port, there)) steps.push({ op: 'set-port', port, seen: there })
  }
  const names = new Set(want.ports.map(({ name }) => name))
  for (const port of inSync ? seen.ports : [])
    if (port.marks[OWNER_KEY] === owner && !names.has(port.name)) steps.push({ op: 'del-port', seen: port })
  return { steps, conflicts }
}

function bridgeSteps(want: WantedSwitch, { bridges }: SeenSwitch): BridgeStep[] {
  const bridge = bridges.find(({ name }) => name === want.bridge)
  if (!bridge) return [{ op: 'add-bridge' }]
  const right =
    bridge.failMode === 'secure' &&
    bridge.datapathType === want.datapathType &&
    want.protocols.every((protocol) => bridge.protocols.includes(protocol))
  return right ? [] : [{ op: 'set-bridge', uuid: bridge.uuid }]
}

const differs = (want: WantedPort, seen: SeenPort): boolean =>
  want.type !== seen.type ||
  want.mac !== seen.mac ||
  !holds(seen.options, want.options) ||
  Object.keys(seen.options).length !== Object.keys(want.options).length ||
  !holds(seen.marks, want.marks)

const holds = (has: Readonly<Record<string, string>>, wants: Readonly<Record<string, string>>): boolean =>
  Object.entries(wants).every(([key, value]) => has[key] === value)
