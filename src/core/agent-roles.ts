/**
 * One program runs on a host; clients know several agents, one for each of its jobs. Which jobs it does it says with
 * each heartbeat: `services` of its configurations has one entry a job, with what that agent says of itself. Pure.
 */

export interface AgentReport {
  readonly host: string
  readonly configurations: Readonly<Record<string, unknown>>
  /** RFC 3339. */
  readonly started_at: string
}

export interface AgentRow {
  readonly agent_type: string
  readonly topic: string
  /** Null: the job has nothing to do with zones. */
  readonly availability_zone: string | null
  readonly configurations: Readonly<Record<string, unknown>>
}

const SERVICES = [
  { service: 'dhcp', agent_type: 'DHCP agent', topic: 'dhcp_agent', zoned: true },
  { service: 'l3', agent_type: 'L3 agent', topic: 'l3_agent', zoned: true },
  { service: 'metadata', agent_type: 'Metadata agent', topic: 'N/A', zoned: false },
  { service: 'bgp', agent_type: 'BGP dynamic routing agent', topic: 'bgp_dragent', zoned: false },
] as const

type Dictionary = Readonly<Record<string, unknown>>
const isDictionary = (value: unknown): value is Dictionary =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The switching agent first, which every host has. */
export function rolesOf({ configurations }: AgentReport): readonly AgentRow[] {
  const { services, availability_zone, ...switching } = configurations
  const said = isDictionary(services) ? services : {}
  const zone = typeof availability_zone === 'string' ? availability_zone : null
  const others = SERVICES.flatMap(({ service, agent_type, topic, zoned }) => {
    const own = said[service]
    return isDictionary(own) ? [{ agent_type, topic, availability_zone: zoned ? zone : null, configurations: own }] : []
  })
  return [
    { agent_type: 'Open vSwitch agent', topic: 'N/A', availability_zone: null, configurations: switching },
    ...others,
  ]
}
