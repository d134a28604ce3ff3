/** What networks and routers say of availability zones: where they want to be, and where they are. */
import { type Attribute, list, parseText, Reject } from '#model/define.ts'

const MAX_LENGTH = 255

const zone = { schema: { type: 'string' }, parse: parseText(MAX_LENGTH) }
const zones = list(zone, { set: 'create', default: [], unique: true, sort: true })

/** All names together are bounded, as in Neutron. */
export const zoneHints: Attribute<readonly string[]> = {
  ...zones,
  parse: (value) => {
    const names = zones.parse(value)
    if (JSON.stringify(names).length > MAX_LENGTH) throw new Reject('Too many availability_zone_hints specified')
    return names
  },
}

/** The zones of the agents that the rows of `table` bind the object to. */
export const zonesOf = (table: string, column: string): Attribute<readonly string[]> =>
  list(zone, {
    sql: `(select coalesce(json_agg(distinct a.availability_zone), '[]') from ${table} b join agents a on a.id = b.agent_id
       where b.${column} = t.id and a.availability_zone is not null)`,
  })
