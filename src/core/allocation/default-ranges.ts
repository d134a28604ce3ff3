/** Keeps the default ranges of segmentation ids what the configuration says; writes nothing when nothing changed. */
import type { SegmentRange } from '#model/context.ts'
import { lockPool } from '#store/ranges.ts'
import { SYSTEM } from '../hosts/agents.ts'
import { type Core, operateInternally } from '../operation.ts'

type Configured = Omit<SegmentRange, 'project_id'>

const keyOf = ({ network_type, physical_network, minimum, maximum }: Configured): string =>
  JSON.stringify([network_type, physical_network, minimum, maximum])

export function storeDefaultRanges(core: Core): Promise<void> {
  const configured = [...core.settings.segments.drivers.values()].flatMap(({ type, ranges }) =>
    ranges.map((one): Configured => ({ network_type: type, ...one })),
  )
  return operateInternally(core, SYSTEM, 'configuration', async (unit) => {
    const resource = unit.model.resource('network_segment_range')
    // Servers that start side by side do it one after the other.
    await lockPool(unit.tx, resource.name)
    const stored = await unit.find(resource, { default: true })
    const there = new Set(stored.map((one) => keyOf(one as unknown as Configured)))
    const wanted = new Map(configured.map((one) => [keyOf(one), one]))
    for (const [key, one] of wanted)
      if (!there.has(key))
        await unit.context.create(resource, { ...one, name: '', default: true, shared: true, project_id: null })
    for (const one of stored)
      if (!wanted.has(keyOf(one as unknown as Configured))) await unit.context.remove(resource, String(one['id']))
  })
}
