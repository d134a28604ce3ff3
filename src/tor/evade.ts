/**
 * A VLAN that somebody else came to use on a ToR's port: the network's segment there takes another one. Bindings keep
 * their segment and agents hear of its new VLAN, so that all move at once. It stays where a binding has told its VLAN
 * to somebody who does not listen any more: a virtual function of a card, say, whose server was started with it.
 */
import { ApiError } from '#kernel/errors.ts'
import { SYSTEM } from '#core/hosts/agents.ts'
import { type Core, operateInternally } from '#core/operation.ts'
import type { TorConfigurations } from '#drivers/mechanism/vtep/driver.ts'
import { PREFIX } from '#drivers/mechanism/vtep/seen.ts'
import type { TorProblem } from '#drivers/mechanism/vtep/plan.ts'
import type { Logger } from '#kernel/log.ts'
import type { Resource } from '#model/define.ts'
import { segment as segmentResource } from '#resources/segment.ts'
import { networkOf, type TorSetting } from './spans.ts'

/** A VLAN that somebody else holds on a port of the ToR, where a network of ours should have it. */
export interface Clash {
  readonly network: string
  readonly vlan: number
  readonly port: string
}

/** Pure. The clash that a problem is about; null: it is another problem, or between networks of ours. */
export function clashOf({ network, reason, facts: { port, vlan, holder } }: TorProblem): Clash | null {
  if (reason !== 'vlan_taken' || String(holder).startsWith(PREFIX)) return null
  return { network: networkOf(network), vlan: Number(vlan), port: String(port) }
}

export type Evasion =
  | { readonly result: 'moved'; readonly vlan: number }
  /** The network has it no longer. */
  | { readonly result: 'gone' }
  /** These ports' devices have the VLAN, and nobody who would change it. */
  | { readonly result: 'fixed'; readonly ports: readonly string[] }
  | { readonly result: 'exhausted' }

/** Of the bindings on a segment, those that have told its VLAN to others. */
const FIXED = `select p.id from ports p where jsonb_array_length(p.binding_levels) > 1
    and p.binding_levels @> jsonb_build_array(jsonb_build_object('segment_id', $1::uuid)) and p.binding_vif_details ? 'vlan'
  union select b.port_id from port_bindings b where jsonb_array_length(b.levels) > 1
    and b.levels @> jsonb_build_array(jsonb_build_object('segment_id', $1::uuid)) and b.vif_details ? 'vlan'
  order by 1 limit 10`

/** Gives the network's segment below the ToR another VLAN, none of `without`. */
export const evade = (
  core: Core,
  tor: Pick<TorSetting, 'name' | 'physicalNetwork'>,
  { network, vlan }: Pick<Clash, 'network' | 'vlan'>,
  without: TorConfigurations['foreign_vlans'],
): Promise<Evasion> =>
  operateInternally(core, SYSTEM, `tor ${tor.name}`, async ({ context, tx }): Promise<Evasion> => {
    const kind = { network_type: 'vlan', physical_network: tor.physicalNetwork }
    // As whoever makes or removes such a segment does: the network first.
    const owner = await context.load('network', network, 'update')
    const [found] = await context.find('segment', { network_id: network, is_dynamic: true, ...kind })
    if (!owner || !found || found['segmentation_id'] !== vlan) return { result: 'gone' }
    const id = String(found['id'])
    await tx.query('select id from network_segments where id = $1 for update', [id])
    // In a statement of its own: whoever was about to stand on it has.
    const fixed = await tx.query<{ id: string }>(FIXED, [id])
    if (fixed.length > 0) return { result: 'fixed', ports: fixed.map((one) => one.id) }
    const wish = { ...kind, segmentation_id: null, without: [...without, [vlan, vlan] as const] }
    const drawn = await context.segments.reserve(wish, String(owner['project_id'])).catch((error: unknown) => {
      if (error instanceof ApiError && error.type === 'NoNetworkAvailable') return null
      throw error
    })
    if (!drawn) return { result: 'exhausted' }
    await context.update(segmentResource as Resource, id, { segmentation_id: drawn.segmentation_id })
    await context.segments.release([{ ...kind, segmentation_id: vlan }])
    return { result: 'moved', vlan: Number(drawn.segmentation_id) }
  })

/** Pure. What is left to an operator, with the command; undefined: nothing. */
export function remedyOf(
  { name, target, switch: own, physicalNetwork }: TorSetting,
  { vlan, port }: Clash,
  evasion: Evasion,
): string | undefined {
  const free = `vtep-ctl --db=${target} unbind-ls ${own} ${port} ${vlan}`
  if (evasion.result === 'exhausted') {
    const range = `openstack network segment range create --network-type vlan --physical-network ${physicalNetwork} --minimum FIRST --maximum LAST NAME`
    return `No other VLAN is left below ${name}: give it more (${range}), or free this one (${free}).`
  }
  if (evasion.result !== 'fixed') return undefined
  const ports = evasion.ports.join(', ')
  return `Devices of ports ${ports} were given VLAN ${vlan} when their servers started: free it (${free}), or give them another with openstack server shelve --offload SERVER and openstack server unshelve SERVER.`
}

/** How long after an attempt that helped nothing the next may follow. */
const AGAIN_MS = 10_000

export interface Evader {
  /** Moves what clashes now, each network once in a while. Never throws. */
  look(problems: readonly TorProblem[], without: TorConfigurations['foreign_vlans']): Promise<void>
  remedy(problem: TorProblem): string | undefined
}

/** Of one ToR: what was tried about its clashes. */
export function createEvader(core: Core, tor: TorSetting, log: Logger, againMs = AGAIN_MS): Evader {
  const tried = new Map<string, { readonly at: number; readonly remedy: string | undefined }>()
  const keyOf = ({ network, vlan, port }: Clash): string => `${network} ${vlan} ${port}`
  return {
    look: async (problems, without) => {
      const clashes = problems.map(clashOf).filter((clash) => clash !== null)
      const still = new Set(clashes.map(keyOf))
      for (const key of tried.keys()) if (!still.has(key)) tried.delete(key)
      for (const clash of clashes) {
        const before = tried.get(keyOf(clash))
        if (before && performance.now() - before.at < againMs) continue
        const evasion = await evade(core, tor, clash, without).catch((error: Error) => {
          log.warn({ ...clash, error: error.message }, 'a network could not be moved off a VLAN that is taken')
          return null
        })
        const remedy = evasion ? remedyOf(tor, clash, evasion) : before?.remedy
        tried.set(keyOf(clash), { at: performance.now(), remedy })
        if (evasion?.result === 'moved') log.warn({ ...clash, to: evasion.vlan }, 'moved off a VLAN that is taken')
      }
    },
    remedy: (problem) => {
      const clash = clashOf(problem)
      return clash ? tried.get(keyOf(clash))?.remedy : undefined
    },
  }
}
