/**
 * Placement (API 1.23) and Nova's host aggregates (Compute API 2.41) learn what a segment of a routed network has. Each
 * event makes us look at both sides and do what is missing; a generation conflict makes us look again.
 */
import type { Database } from '#store/pool.ts'
import type { Destination, Sent, TakenEvent, Verdict } from './event.ts'
import {
  ADDRESS_CLASSES,
  type Aggregate,
  type AddressClass,
  type Amount,
  type Inventory,
  type KnownSegment,
  nameOf,
  planSegment,
  type Step,
  type WantedSegment,
} from './placement-plan.ts'
import { type Service, type ServiceAnswer, type ServiceRequest, wordsOf } from './service.ts'

export interface PlacementOptions {
  readonly database: Database
  readonly placement: Service
  /** Null: no host aggregates are kept. */
  readonly nova: Service | null
}

/** Looks again so often at once when others change the same provider. */
const LOOKS = 25

/** An answer that we cannot go on from. */
class Refused extends Error {
  readonly answer: ServiceAnswer
  constructor(what: string, answer: ServiceAnswer) {
    super(`${what}: ${wordsOf(answer)}`)
    this.answer = answer
  }
}

export const createPlacement = (options: PlacementOptions): Destination => ({
  name: 'placement',
  batch: 10,
  send: async (events, signal): Promise<Sent> => {
    const verdicts: Verdict[] = []
    for (const event of events) {
      try {
        verdicts.push(await reconcile(options, event, signal))
      } catch (error) {
        // Who is not there is not there for the others either; what was done already is found done.
        const refused = error instanceof Refused && [400, 409].includes(error.answer.status)
        if (!refused) return { kind: 'fault', why: (error as Error).message, answered: false }
        verdicts.push({ kind: 'again', why: (error as Error).message })
      }
    }
    return { kind: 'judged', verdicts }
  },
})

/** @throws Refused, or Error when there is no answer */
async function reconcile(options: PlacementOptions, { subject }: TakenEvent, signal: AbortSignal): Promise<Verdict> {
  const unknownHosts = new Set<string>()
  for (let look = 0; look < LOOKS; look++) {
    const wanted = await wantedOf(options.database, subject)
    const known = await knownOf(options, subject, signal)
    const steps = planSegment(wanted, known, unknownHosts)
    if (steps.length === 0) return { kind: 'done', note: noteOf(unknownHosts) }
    for (const step of steps) await carryOut(options, subject, step, unknownHosts, signal)
  }
  return { kind: 'again', why: 'others keep changing the resource provider' }
}

const noteOf = (hosts: ReadonlySet<string>): string | null =>
  hosts.size === 0 ? null : `Nova knows no compute host ${[...hosts].join(', ')}`

/** One statement: subnets by IP version, addresses of ports that are no servers', hosts. */
const WANTED = `select s.ip_version,
    sum(p.total + (p.total > 0 and s.gateway_ip is not null)::integer)::float8 as total,
    sum(case when p.total > 0 then (s.gateway_ip is not null)::integer + s.enable_dhcp::integer + held.count else 0 end)::float8 as reserved,
    (select coalesce(json_agg(h.host order by h.host), '[]') from segment_hosts h where h.segment_id = $1) as hosts
  from subnets s
    cross join lateral (select coalesce(sum(address_number((one ->> 'end')::inet) - address_number((one ->> 'start')::inet) + 1), 0) as total
      from jsonb_array_elements(s.allocation_pools) one) p
    cross join lateral (select count(*) as count from ip_allocations a join ports o on o.id = a.port_id
      where a.subnet_id = s.id and o.device_owner not like 'compute:%' and o.device_owner <> 'network:dhcp'
        and a.ip_address is distinct from s.gateway_ip
        and exists (select 1 from jsonb_array_elements(s.allocation_pools) one
          where a.ip_address between (one ->> 'start')::inet and (one ->> 'end')::inet)) held
  where s.segment_id = $1 group by s.ip_version having sum(p.total) > 0`

export async function wantedOf(database: Database, segment: string): Promise<WantedSegment> {
  const rows = await database.query<Amount & { ip_version: 4 | 6; hosts: string[] }>(WANTED, [segment])
  if (!rows[0]) return null
  const amounts = rows.map(({ ip_version, total, reserved }): [AddressClass, Amount] => [
    ADDRESS_CLASSES[ip_version],
    { total, reserved },
  ])
  return { amounts: Object.fromEntries(amounts), hosts: rows[0].hosts }
}

async function knownOf(options: PlacementOptions, segment: string, signal: AbortSignal): Promise<KnownSegment> {
  const at = `/resource_providers/${segment}`
  const ask = asking(options.placement, 'placement 1.23', signal)
  const aggregate = options.nova === null ? undefined : await aggregateOf(options.nova, segment, signal)
  const inventories = await ask({ method: 'GET', path: `${at}/inventories` }, [200, 404])
  if (inventories.status === 404) return { provider: null, aggregate }
  const aggregates = await ask({ method: 'GET', path: `${at}/aggregates` }, [200])
  const have = inventories.body as { inventories: Record<string, Inventory>; resource_provider_generation: number }
  return {
    provider: {
      generation: have.resource_provider_generation,
      inventories: Object.fromEntries(Object.entries(have.inventories).map(([name, one]) => [name, inventoryOf(one)])),
      aggregates: (aggregates.body as { aggregates: string[] }).aggregates,
    },
    aggregate,
  }
}

const inventoryOf = (one: Inventory): Inventory => ({
  total: one.total,
  reserved: one.reserved,
  min_unit: one.min_unit,
  max_unit: one.max_unit,
  step_size: one.step_size,
  allocation_ratio: one.allocation_ratio,
})

async function aggregateOf(nova: Service, segment: string, signal: AbortSignal): Promise<Aggregate | null> {
  const { body } = await asking(nova, 'compute 2.41', signal)({ method: 'GET', path: '/os-aggregates' }, [200])
  const { aggregates } = body as { aggregates: (Aggregate & { name: string })[] }
  return aggregates.find(({ name }) => name === nameOf(segment)) ?? null
}

/** Answers the answer if its status is one of these. @throws Refused */
const asking =
  (service: Service, version: string, signal: AbortSignal) =>
  async (request: ServiceRequest, statuses: readonly number[]): Promise<ServiceAnswer> => {
    const answer = await service({ ...request, version }, signal)
    if (statuses.includes(answer.status)) return answer
    throw new Refused(`${request.method} ${request.path}`, answer)
  }

/** 409 of a step with a generation: somebody else was faster; of a creation: somebody made it. Both are seen next time. */
async function carryOut(
  { placement, nova }: PlacementOptions,
  segment: string,
  step: Step,
  unknownHosts: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const at = `/resource_providers/${segment}`
  const toPlacement = asking(placement, 'placement 1.23', signal)
  const toNova = asking(nova ?? placement, 'compute 2.41', signal)
  switch (step.kind) {
    case 'create provider':
      await toPlacement(
        { method: 'POST', path: '/resource_providers', body: { uuid: segment, name: nameOf(segment) } },
        [200, 201, 409],
      )
      return
    case 'set inventories': {
      const custom = ADDRESS_CLASSES[6]
      if (custom in step.inventories)
        await toPlacement({ method: 'PUT', path: `/resource_classes/${custom}` }, [201, 204])
      const body = { resource_provider_generation: step.generation, inventories: step.inventories }
      const answer = await toPlacement({ method: 'PUT', path: `${at}/inventories`, body }, [200, 404, 409])
      if (answer.status === 409 && isInUse(answer)) throw new Refused('inventories', answer)
      return
    }
    case 'set aggregates': {
      const body = { resource_provider_generation: step.generation, aggregates: step.aggregates }
      await toPlacement({ method: 'PUT', path: `${at}/aggregates`, body }, [200, 404, 409])
      return
    }
    case 'delete provider':
      await toPlacement({ method: 'DELETE', path: at }, [204, 404])
      return
    case 'create aggregate':
      await toNova(
        { method: 'POST', path: '/os-aggregates', body: { aggregate: { name: nameOf(segment) } } },
        [200, 409],
      )
      return
    case 'delete aggregate':
      await toNova({ method: 'DELETE', path: `/os-aggregates/${step.aggregate}` }, [200, 204, 404])
      return
    case 'add host':
    case 'remove host': {
      const body = { [step.kind === 'add host' ? 'add_host' : 'remove_host']: { host: step.host } }
      const path = `/os-aggregates/${step.aggregate}/action`
      const { status } = await toNova({ method: 'POST', path, body }, [200, 404, 409])
      if (status === 404 && step.kind === 'add host') unknownHosts.add(step.host)
    }
  }
}

const isInUse = ({ body }: ServiceAnswer): boolean => JSON.stringify(body ?? '').includes('inventory.inuse')
