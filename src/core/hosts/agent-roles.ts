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
  /** What it has and how it fares, which nothing depends on: a change of these alone is a heartbeat. */
  readonly news: readonly string[]
}

const SERVICES = [
  {
    service: 'dhcp',
    agent_type: 'DHCP agent',
    topic: 'dhcp_agent',
    zoned: true,
    news: ['networks', 'subnets', 'ports'],
  },
  {
    service: 'l3',
    agent_type: 'L3 agent',
    topic: 'l3_agent',
    zoned: true,
    news: ['routers', 'ex_gw_ports', 'interfaces', 'floating_ips'],
  },
  { service: 'metadata', agent_type: 'Metadata agent', topic: 'N/A', zoned: false, news: [] },
  {
    service: 'bgp',
    agent_type: 'BGP dynamic routing agent',
    topic: 'bgp_dragent',
    zoned: false,
    news: ['advertise_routes', 'peers', 'speakers'],
  },
  { service: 'nic_switch', agent_type: 'NIC Switch agent', topic: 'N/A', zoned: false, news: ['devices'] },
  { service: 'macvtap', agent_type: 'Macvtap agent', topic: 'N/A', zoned: false, news: ['devices'] },
  { service: 'bpf', agent_type: 'eBPF agent', topic: 'N/A', zoned: false, news: ['devices'] },
] as const
const SWITCHING_NEWS = ['devices', 'networks', 'in_sync', 'realized', 'failing']

type Dictionary = Readonly<Record<string, unknown>>
const isDictionary = (value: unknown): value is Dictionary =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The switching agent first, which every host has. */
export function rolesOf({ configurations }: AgentReport): readonly AgentRow[] {
  const { services, availability_zone, ...switching } = configurations
  const said = isDictionary(services) ? services : {}
  const zone = typeof availability_zone === 'string' ? availability_zone : null
  const others = SERVICES.flatMap(({ service, agent_type, topic, zoned, news }) => {
    const own = said[service]
    const availability_zone = zoned ? zone : null
    return isDictionary(own) ? [{ agent_type, topic, availability_zone, configurations: own, news }] : []
  })
  const first = { agent_type: 'Open vSwitch agent', topic: 'N/A', availability_zone: null }
  return [{ ...first, configurations: switching, news: SWITCHING_NEWS }, ...others]
}
