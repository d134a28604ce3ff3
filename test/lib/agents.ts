/** Hosts that report without an agent: for tests of what the server makes of it. */
import { recordAgent } from '#core/hosts/agents.ts'
import type { TestServer } from './server.ts'

const SERVICES = { dhcp: { dhcp_driver: 'sim' }, l3: { agent_mode: 'dvr_snat' } }

/** A heartbeat of a host that does everything, but for what `more` says. True: it changed what others depend on. */
export const hostReports = (
  { core }: Pick<TestServer, 'core'>,
  host: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<boolean> =>
  recordAgent(core, {
    host,
    configurations: {
      tunneling_ip: '192.0.2.1',
      tunnel_types: ['vxlan'],
      bridge_mappings: {},
      availability_zone: 'nova',
      services: SERVICES,
      ...more,
    },
    started_at: '2026-01-01T00:00:00Z',
  })

/** The host was silent for longer than an agent may be. */
export const silence = async ({ database }: TestServer, host: string): Promise<void> => {
  await database.query("update agents set heartbeat_timestamp = now() - interval '1 day' where host = $1", [host])
}

/** The host's agents by type, in order of type. */
export async function agentsOf({ admin }: TestServer, host: string): Promise<Record<string, Record<string, any>>> {
  const { agents } = (await admin.get(`agents?host=${host}`)).body as { agents: Record<string, any>[] }
  const ordered = agents.toSorted((a, b) => (String(a['agent_type']) < String(b['agent_type']) ? -1 : 1))
  return Object.fromEntries(ordered.map((one) => [String(one['agent_type']), one]))
}
