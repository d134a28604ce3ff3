/** Looking again at a port's binding: after a failure, when an agent is back, when its mappings are others. */
import type { BindingLevel, BindingRequest, Context } from '#model/context.ts'
import type { Resource } from '#model/define.ts'
import { bindingOf, isUnattended, type Port, port as portResource, requestOf } from '#resources/port.ts'
import { isDistributedOwner } from '#resources/standard.ts'

/**
 * A binding that failed is tried anew. One that holds stays, whatever the drivers would choose today; one that would
 * not be made like this any more moves to where it would be made now, and stays when that is nowhere: a port that may
 * still work is not taken down on suspicion. Answers whether the port changed.
 */
export async function rebindPort(
  context: Context,
  portId: string,
  holds: (request: BindingRequest, levels: readonly BindingLevel[]) => Promise<boolean>,
): Promise<boolean> {
  const port = (await context.load('port', portId, 'update')) as unknown as Port | undefined
  if (!port || port['binding:host_id'] === '' || isDistributedOwner(port.device_owner, port['binding:host_id']))
    return false
  const request = requestOf(port)
  const levels = port['binding:levels']
  const failing = port['binding:vif_type'] === 'binding_failed'
  if (!failing && (await holds(request, levels))) return false
  const result = await context.binding.bind(request)
  if (!failing && result.vif_type === 'binding_failed') return false
  const stored = bindingOf(result, port)
  if (failing && stored['binding:failure'] === port['binding:failure']) return false
  const status = isUnattended(result.vif_type) ? 'ACTIVE' : 'DOWN'
  context.binding.release(levels)
  await context.update(portResource as Resource, portId, { ...stored, status })
  return true
}
