/** The end of bindings whose migration was abandoned: nobody wrote them for as long as their lease. */
import type { Context } from '#model/define.ts'
import { endWaiting, type Waiting } from './binding.ts'

export interface Expired {
  readonly port_id: string
  readonly host: string
  /** RFC 3339. */
  readonly expires_at: string
}

/** Removes a bounded number of them; answers which. One that was written meanwhile stays. */
export async function expireBindings(context: Context): Promise<readonly Expired[]> {
  const found = await context.find('expired_port_binding', { expired: true })
  const due = found.toSorted((a, b) => (String(a['port_id']) < String(b['port_id']) ? -1 : 1))
  const gone: Expired[] = []
  for (const { id, port_id } of due) {
    // The port first, as everyone does who writes its bindings.
    await context.load('port', String(port_id), 'update')
    const binding = (await context.load('port_binding', String(id), 'update')) as unknown as Waiting | undefined
    if (!binding || Date.parse(binding.expires_at) > Date.parse(context.now)) continue
    await endWaiting(context, binding)
    gone.push({ port_id: binding.port_id, host: binding.host, expires_at: binding.expires_at })
  }
  return gone
}
