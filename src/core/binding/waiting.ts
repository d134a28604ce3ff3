/** What hosts say of ports that are to come: the flows of a binding that waits are proven there, or are not any more. */
import type { Resource } from '#model/define.ts'
import { SYSTEM } from '../hosts/agents.ts'
import { type Core, operateInternally } from '../operation.ts'
import type { PortAt } from '../hosts/port-status.ts'

const PENDING = `select t.id, t.port_id, t.host from unnest($1::uuid[], $2::text[]) as s (id, host)
  join port_bindings t on t.port_id = s.id and t.host = s.host
  where t.proven <> $3 and t.vif_type <> 'unbound' order by t.port_id, t.host`

/** Answers the ports of bindings for which that is new. */
export async function recordBindingsProven(core: Core, ports: readonly PortAt[], proven: boolean): Promise<string[]> {
  const params = [ports.map(({ id }) => id), ports.map(({ host }) => host), proven]
  if (ports.length === 0 || (await core.database.query(PENDING, params)).length === 0) return []
  return operateInternally(core, SYSTEM, 'port realizations', async (unit) => {
    const [resource, port] = [unit.model.resource('port_binding'), unit.model.resource('port')]
    const taken: string[] = []
    for (const { id, port_id, host } of await unit.tx.query<Pending>(PENDING, params)) {
      // The port first, as everyone does who writes its bindings: it may be active there by now.
      await unit.load(port, port_id, 'update')
      const binding = await unit.load(resource, id, 'update')
      if (binding?.['host'] !== host || binding['vif_type'] === 'unbound') continue
      await unit.updateInternal(resource as unknown as Resource, id, { proven })
      taken.push(port_id)
    }
    return taken
  })
}
interface Pending extends Record<string, unknown> {
  readonly id: string
  readonly port_id: string
  readonly host: string
}
