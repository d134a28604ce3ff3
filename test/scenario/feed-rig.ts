/**
 * A cloud without API and without switches for tests of the feed: a real PostgreSQL, edits as SQL with their change
 * rows in one transaction, any number of feeds on it, and real agents with simulated data planes.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Client } from 'pg'
import { pino } from 'pino'
import { type Agent, type AgentOptions, createAgent } from '#agent/agent.ts'
import { createSimDataplane, type SimDataplane } from '#dataplane/sim/index.ts'
import { enrol } from '#feed/credentials.ts'
import { createFeed, type Feed } from '#feed/feed.ts'
import type { AgentReport, PortAt } from '#feed/types.ts'
import { newId } from '#kernel/ids.ts'
import { silentLogger } from '#kernel/log.ts'
import { createChangeReader } from '#store/change-reader.ts'
import { migrate } from '#store/migrate.ts'
import { createNotifier } from '#store/notify.ts'
import { type Database, openDatabase } from '#store/pool.ts'
import { inTransaction, type Transaction } from '#store/transaction.ts'
import { testDatabase } from '../lib/postgres.ts'

/** The same name gives the same id in every run. */
export const idOf = (name: string): string =>
  createHash('sha256')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')

export const until = async (what: string, is: () => unknown, ms = 10_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await is()); await sleep(5))
    if (Date.now() > end) assert.fail(`not reached: ${what}`)
}

/** What every host with an agent is plugged into. */
export const PHYSICAL_NETWORKS = ['left', 'right'] as const

interface Image {
  readonly [name: string]: unknown
}

const macOf = (name: string): string => `fa:16:3e:${(idOf(name).slice(0, 6).match(/../g) ?? []).join(':')}`

/** What an edit writes into the change log. */
async function record(
  tx: Transaction,
  kind: string,
  id: string,
  before: Image | null,
  after: Image | null,
): Promise<void> {
  const op = before ? (after ? 'update' : 'delete') : 'create'
  await tx.query(
    `insert into change (era, actor, actor_name, request_id, project_id, kind, id, op, generation, before, after)
     values (1, 'test', 'test', '', '', $1, $2, $3, 0, $4, $5)`,
    [kind, id, op, before && JSON.stringify(before), after && JSON.stringify(after)],
  )
}

export interface PortSpec {
  readonly network: string
  readonly host: string
  readonly groups: readonly string[]
  readonly address: number
  readonly owner?: string
  readonly failed?: boolean
  readonly pairs?: readonly string[]
  /** Hosts with a binding that is not active; a leading `-`: one that was until the last activation. */
  readonly expected?: readonly string[]
  /** What carries it; by default the switch. */
  readonly vif?: string
  /** The segment it is on; by default one that every host has, and one of its host's. */
  readonly segment?: string
  /** Boot file that DHCP names. */
  readonly bootfile?: string
}

/** Networks a router has interfaces in, its gateway's, and the hosts it is placed on. */
export interface RouterSpec {
  readonly inside: readonly string[]
  readonly gateway: string | null
  readonly hosts: readonly string[]
}

/** A switch that ends tunnels for the hosts below it. */
export interface TorSpec {
  readonly tunnelIp: string
  readonly hosts: readonly string[]
}

const imageOf = (spec: PortSpec): Image => ({
  network_id: idOf(spec.network),
  'binding:host_id': spec.host,
  security_groups: spec.groups.map(idOf),
  device_owner: spec.owner ?? 'compute:nova',
  'binding:inactive_hosts': (spec.expected ?? []).map((host) => host.replace('-', '')),
})

/** Each host carries its ports on a segment of its own, below one that all share. */
const levelsOn = (host: string): readonly unknown[] =>
  ['every host', host].map((name, level) => ({ level, driver: 'any', segment_id: idOf(`segment of ${name}`) }))

const levelsOf = ({ host, failed, segment }: PortSpec): readonly unknown[] => {
  if (host === '' || failed) return []
  return segment === undefined ? levelsOn(host) : [{ level: 0, driver: 'any', segment_id: idOf(segment) }]
}

/** Edits, by name: what the API's operations would do. */
export class Edits {
  readonly #database: Database
  readonly #poke: () => void
  #addresses = 0

  constructor(database: Database, poke: () => void) {
    this.#database = database
    this.#poke = poke
  }

  /** An address nobody has. */
  fresh(): number {
    return ++this.#addresses
  }

  async #edit(work: (tx: Transaction) => Promise<void>): Promise<void> {
    await inTransaction(this.#database, async (tx) => ({ value: await work(tx) }))
    this.#poke()
  }

  network(name: string, mtu = 1450, domain = ''): Promise<void> {
    const id = idOf(name)
    return this.#edit(async (tx) => {
      const before = await tx.query('select 1 from networks where id = $1', [id])
      await tx.query(
        `insert into networks (id, project_id, name, admin_state_up, mtu, dns_domain, revision_number)
         values ($1, 'p', $2, true, $3, $4, 1)
         on conflict (id) do update set mtu = $3, dns_domain = $4, revision_number = networks.revision_number + 1`,
        [id, name, mtu, domain],
      )
      if (before.length === 0) {
        const vni = Number.parseInt(id.slice(0, 6), 16) % 16_000_000
        await tx.query(
          `insert into network_segments (id, network_id, network_type, segmentation_id) values ($1, $2, 'vxlan', $3)`,
          [newId(), id, vni],
        )
      }
      await record(tx, 'network', id, before.length > 0 ? {} : null, {})
    })
  }

  /** A segment on a physical network. */
  segment(name: string, network: string, physical_network: string): Promise<void> {
    return this.#edit(async (tx) => {
      await tx.query(
        `insert into network_segments (id, network_id, network_type, physical_network, segmentation_id, segment_index)
         values ($1, $2, 'vlan', $3, 7, (select max(segment_index) + 1 from network_segments where network_id = $2))`,
        [idOf(name), idOf(network), physical_network],
      )
      await record(tx, 'network', idOf(network), {}, {})
    })
  }

  /** A host without an agent of ours reaches these physical networks. */
  reach(host: string, physicalNetworks: readonly string[]): Promise<void> {
    const image = (configurations: unknown): Image => ({ host, configurations })
    const says = { bridge_mappings: Object.fromEntries(physicalNetworks.map((name) => [name, `br-${name}`])) }
    return this.#edit(async (tx) => {
      const [was] = await tx.query<{ configurations: unknown }>('select configurations from agents where id = $1', [
        idOf(`switch of ${host}`),
      ])
      await tx.query(
        `insert into agents (id, host, agent_type, binary_name, topic, configurations, created_at, started_at, heartbeat_timestamp, revision_number)
         values ($1, $2, 'Open vSwitch agent', 'x', 'x', $3, now(), now(), now(), 1) on conflict (id) do update set configurations = $3`,
        [idOf(`switch of ${host}`), host, JSON.stringify(says)],
      )
      await record(tx, 'agent', idOf(host), was ? image(was.configurations) : null, image(says))
    })
  }

  subnet(name: string, network: string, dhcp = true): Promise<void> {
    const [id, network_id] = [idOf(name), idOf(network)]
    return this.#edit(async (tx) => {
      const before = await tx.query('select 1 from subnets where id = $1', [id])
      await tx.query(
        `insert into subnets (id, network_id, name, ip_version, cidr, gateway_ip, dns_nameservers, host_routes, enable_dhcp)
         values ($1, $2, $3, 4, '10.0.0.0/16', '10.0.0.1', '["9.9.9.9"]', '[]', $4) on conflict (id) do update set enable_dhcp = $4`,
        [id, network_id, name, dhcp],
      )
      await record(tx, 'subnet', id, before.length > 0 ? { network_id } : null, { network_id })
    })
  }

  dropSubnet(name: string, network: string): Promise<void> {
    return this.#edit(async (tx) => {
      const gone = await tx.query('delete from subnets where id = $1 returning id', [idOf(name)])
      if (gone.length > 0) await record(tx, 'subnet', idOf(name), { network_id: idOf(network) }, null)
    })
  }

  group(name: string, stateful = true): Promise<void> {
    return this.#edit(async (tx) => {
      const before = await tx.query('select 1 from security_groups where id = $1', [idOf(name)])
      await tx.query(
        `insert into security_groups (id, project_id, name, stateful, revision_number) values ($1, 'p', $2, $3, 1)
         on conflict (id) do update set stateful = $3, revision_number = security_groups.revision_number + 1`,
        [idOf(name), name, stateful],
      )
      await record(tx, 'security_group', idOf(name), before.length > 0 ? {} : null, {})
    })
  }

  rule(name: string, group: string, remote: string | null): Promise<void> {
    const security_group_id = idOf(group)
    return this.#edit(async (tx) => {
      const made = await tx.query(
        `insert into security_group_rules (id, security_group_id, direction, ethertype, protocol, port_range_min,
           port_range_max, remote_group_id) values ($1, $2, 'ingress', 'IPv4', 'tcp', 22, 22, $3) on conflict do nothing returning id`,
        [idOf(name), security_group_id, remote && idOf(remote)],
      )
      if (made.length === 0) return
      await tx.query('update security_groups set revision_number = revision_number + 1 where id = $1', [
        security_group_id,
      ])
      await record(tx, 'security_group_rule', idOf(name), null, { security_group_id })
    })
  }

  dropRule(name: string, group: string): Promise<void> {
    const security_group_id = idOf(group)
    return this.#edit(async (tx) => {
      const gone = await tx.query('delete from security_group_rules where id = $1 returning id', [idOf(name)])
      if (gone.length > 0) await record(tx, 'security_group_rule', idOf(name), { security_group_id }, null)
    })
  }

  /** Creates or changes a port; `before` as it was. */
  port(name: string, spec: PortSpec, before: PortSpec | null): Promise<void> {
    const id = idOf(name)
    const address = `10.0.${spec.address >> 8}.${spec.address & 255}`
    const mac = `fa:16:3e:${[16, 8, 0].map((shift) => ((spec.address >> shift) & 255).toString(16).padStart(2, '0')).join(':')}`
    const vif = spec.host === '' ? 'unbound' : spec.failed ? 'binding_failed' : (spec.vif ?? 'ovs')
    const pairs = (spec.pairs ?? []).map((ip_address) => ({ ip_address, mac_address: mac }))
    const options = spec.bootfile === undefined ? [] : [{ opt_name: '67', opt_value: spec.bootfile, ip_version: 4 }]
    const facts = [
      id,
      idOf(spec.network),
      mac,
      spec.owner ?? 'compute:nova',
      JSON.stringify([{ subnet_id: idOf(`subnet of ${spec.network}`), ip_address: address }]),
      spec.groups.map(idOf),
      spec.host,
      vif,
      JSON.stringify(pairs),
      JSON.stringify(options),
      JSON.stringify(levelsOf(spec)),
    ]
    return this.#edit(async (tx) => {
      await tx.query(
        `insert into ports (id, project_id, network_id, name, description, mac_address, admin_state_up, status, device_id,
           device_owner, fixed_ips, security_group_ids, port_security_enabled, allowed_address_pairs, binding_host,
           binding_vnic_type, binding_profile, binding_vif_type, binding_vif_details, revision_number, dns_name,
           extra_dhcp_opts, binding_levels)
         values ($1, 'p', $2, '', '', $3, true, 'DOWN', '', $4, $5, $6, true, $9, $7, 'normal', '{}', $8, '{}', 1, '', $10, $11)
         on conflict (id) do update set fixed_ips = $5, security_group_ids = $6, binding_host = $7, binding_vif_type = $8,
           allowed_address_pairs = $9, extra_dhcp_opts = $10, binding_levels = $11,
           revision_number = ports.revision_number + 1,
           status = case when ports.binding_host = $7 then ports.status else 'DOWN' end`,
        facts,
      )
      await tx.query('delete from port_bindings where port_id = $1', [id])
      for (const one of spec.expected ?? [])
        await tx.query(
          `insert into port_bindings (id, port_id, host, vnic_type, profile, vif_type, vif_details, expires_at, levels,
             revision_number, created_at, updated_at)
           values ($1, $2, $3, 'normal', '{}', $4, '{}', 'infinity', $5, 1, now(), now())`,
          one.startsWith('-')
            ? [newId(), id, one.replace('-', ''), 'unbound', '[]']
            : [newId(), id, one, 'ovs', JSON.stringify(levelsOn(one))],
        )
      await record(tx, 'port', id, before && imageOf(before), imageOf(spec))
    })
  }

  dropPort(name: string, spec: PortSpec): Promise<void> {
    return this.#edit(async (tx) => {
      await tx.query('delete from port_bindings where port_id = $1', [idOf(name)])
      await tx.query('delete from ports where id = $1', [idOf(name)])
      await record(tx, 'port', idOf(name), imageOf(spec), null)
    })
  }

  /** Creates or changes a router: its ports by the router's own change row, as operations write it. */
  async router(name: string, { inside, gateway, hosts }: RouterSpec): Promise<void> {
    const id = idOf(name)
    await this.#edit(async (tx) => {
      const before = await tx.query('select 1 from routers where id = $1', [id])
      await tx.query(
        `insert into routers (id, project_id, name, admin_state_up, enable_snat, routes, distributed, revision_number)
         values ($1, 'p', $2, true, true, '[{"destination":"10.99.0.0/16","nexthop":"10.0.0.9"}]', false, 1)
         on conflict (id) do update set revision_number = routers.revision_number + 1`,
        [id, name],
      )
      await tx.query('delete from ports where router_id = $1', [id])
      for (const network of inside) await this.#routerPort(tx, name, network, 'network:router_interface')
      if (gateway !== null) await this.#routerPort(tx, name, gateway, 'network:router_gateway')
      await record(tx, 'router', id, before.length > 0 ? {} : null, {})
    })
    await this.#bind('router', id, hosts)
  }

  async #routerPort(tx: Transaction, router: string, network: string, owner: string): Promise<void> {
    const name = `${owner} of ${router} in ${network}`
    const fixed = JSON.stringify([{ subnet_id: idOf(`subnet of ${network}`), ip_address: '10.0.0.1' }])
    await tx.query(
      `insert into ports (id, project_id, network_id, mac_address, admin_state_up, status, device_owner, fixed_ips,
         security_group_ids, port_security_enabled, allowed_address_pairs, binding_host, binding_vnic_type,
         binding_vif_type, revision_number, dns_name, router_id)
       values ($1, 'p', $2, $3, true, 'DOWN', $4, $5, '{}', false, '[]', '', 'normal', 'unbound', 1, '', $6)`,
      [idOf(name), idOf(network), macOf(name), owner, fixed, idOf(router)],
    )
  }

  async dropRouter(name: string): Promise<void> {
    const id = idOf(name)
    await this.#bind('router', id, [])
    await this.#edit(async (tx) => {
      await tx.query('delete from ports where router_id = $1', [id])
      const gone = await tx.query('delete from routers where id = $1 returning id', [id])
      if (gone.length > 0) await record(tx, 'router', id, {}, null)
    })
  }

  /** A ToR's agent, which says where it is and which hosts are below it; null: it is gone. */
  tor(name: string, spec: TorSpec | null): Promise<void> {
    const image = (configurations: unknown): Image => ({ host: name, configurations })
    const says = spec && {
      tunnel_ip: spec.tunnelIp,
      ports: Object.fromEntries(spec.hosts.map((host) => [host, `to-${host}`])),
    }
    return this.#edit(async (tx) => {
      const [was] = await tx.query<{ configurations: unknown }>(
        "delete from agents where host = $1 and agent_type = 'Hardware VTEP agent' returning configurations",
        [name],
      )
      if (says)
        await tx.query(
          `insert into agents (id, host, agent_type, binary_name, topic, configurations, created_at, started_at, heartbeat_timestamp, revision_number)
           values ($1, $2, 'Hardware VTEP agent', 'x', 'x', $3, now(), now(), now(), 1)`,
          [idOf(name), name, JSON.stringify(says)],
        )
      if (was || says)
        await record(tx, 'agent', idOf(name), was ? image(was.configurations) : null, says ? image(says) : null)
    })
  }

  /** The network's DHCP is served on these hosts, whether they have ports of it or not. */
  serve(network: string, hosts: readonly string[]): Promise<void> {
    return this.#bind('dhcp', idOf(network), hosts)
  }

  /** Makes these the hosts that a router or a network's DHCP is bound to. */
  async #bind(kind: 'router' | 'dhcp', id: string, hosts: readonly string[]): Promise<void> {
    const [table, column, agentType] =
      kind === 'router' ? ['router_bindings', 'router_id', 'L3 agent'] : ['dhcp_bindings', 'network_id', 'DHCP agent']
    const image = (host: string): Image => ({ [column as string]: id, host })
    await this.#edit(async (tx) => {
      const gone = await tx.query<{ id: string; host: string }>(
        `delete from ${table} where ${column} = $1 and host <> all($2::text[]) returning id, host`,
        [id, hosts],
      )
      for (const one of gone) await record(tx, `${kind}_binding`, one.id, image(one.host), null)
      for (const host of hosts) {
        const [agent] = await tx.query<{ id: string }>(
          `insert into agents (id, host, agent_type, binary_name, topic, created_at, started_at, heartbeat_timestamp, revision_number)
           values ($1, $2, $3, 'x', 'x', now(), now(), now(), 1)
           on conflict (host, agent_type) do update set topic = 'x' returning id`,
          [newId(), host, agentType],
        )
        const slot = kind === 'router' ? ', slot' : ''
        const made = await tx.query<{ id: string }>(
          `insert into ${table} (id, ${column}, agent_id, host, revision_number, created_at, updated_at${slot})
           select $1, $2, $3, $4, 1, now(), now()${slot && `, (select coalesce(max(slot), 0) + 1 from ${table} where ${column} = $2)`}
           on conflict do nothing returning id`,
          [newId(), id, agent?.id, host],
        )
        for (const one of made) await record(tx, `${kind}_binding`, one.id, null, image(host))
      }
    })
  }

  /** As core does it: a change row only for what others depend on. */
  agentReported({ host, configurations, started_at }: AgentReport): Promise<void> {
    return this.#edit(async (tx) => {
      const [before] = await tx.query<{ id: string; ip: string | null }>(
        `select id, configurations->>'tunneling_ip' as ip from agents where host = $1 for update`,
        [host],
      )
      const [after] = await tx.query<{ id: string; ip: string | null }>(
        `insert into agents (id, host, agent_type, binary_name, topic, configurations, created_at, started_at, heartbeat_timestamp, revision_number)
         values ($1, $2, 'Open vSwitch agent', 'deuteron-agent', 'N/A', $3, now(), $4, now(), 1)
         on conflict (host, agent_type) do update set configurations = $3, started_at = $4, heartbeat_timestamp = now(), refused = null
         returning id, configurations->>'tunneling_ip' as ip`,
        [newId(), host, JSON.stringify(configurations), started_at],
      )
      if (before?.ip !== after?.ip) await record(tx, 'agent', String(after?.id), before ? { host } : null, { host })
    })
  }

  portsRealized(ports: readonly PortAt[], up: boolean): Promise<void> {
    return this.#edit(async (tx) => {
      const changed = await tx.query<{ id: string; network_id: string; groups: string[]; host: string }>(
        `update ports t set status = $3, revision_number = revision_number + 1
         from unnest($1::uuid[], $2::text[]) as s (id, host)
         where t.id = s.id and t.binding_host = s.host and t.status <> $3
         returning t.id, t.network_id, t.security_group_ids as groups, s.host`,
        [ports.map(({ id }) => id), ports.map(({ host }) => host), up ? 'ACTIVE' : 'DOWN'],
      )
      for (const { id, network_id, groups, host } of changed) {
        const image = { network_id, 'binding:host_id': host, security_groups: groups, device_owner: 'compute:nova' }
        await record(tx, 'port', id, image, image)
      }
    })
  }
}

export interface RigHost extends AsyncDisposable {
  readonly agent: Agent
  readonly dataplane: SimDataplane
}

export interface Rig extends AsyncDisposable {
  /** What agents and feeds logged as warnings or worse: JSON lines. */
  readonly complaints: readonly string[]
  readonly database: Database
  readonly edits: Edits
  readonly folder: string
  /** Starts a feed on a socket named after the server. */
  feed(server: string): Promise<Feed>
  urlOf(server: string): string
  /** Starts a host's agent, enrolling it first unless `credential` is given. */
  host(name: string, servers: readonly string[], more?: Partial<AgentOptions>): Promise<RigHost>
  /** Waits until these agents know exactly what SQL says they must. */
  converged(hosts: readonly { readonly name: string; readonly agent: Agent }[], feeds: readonly Feed[]): Promise<void>
}

/** Columns that the feed does not read need not be filled in by its tests. */
const LOOSEN = `
  do $$ declare c record; begin
    for c in select table_name, column_name from information_schema.columns
      where table_name in ('networks', 'network_segments', 'subnets', 'ports', 'security_groups', 'security_group_rules', 'routers')
        and table_schema = 'public' and is_nullable = 'NO' and column_default is null and column_name not in ('id', 'network_id', 'segment_index')
    loop execute format('alter table %I alter column %I drop not null', c.table_name, c.column_name); end loop;
  end $$`

export async function createRig(heartbeatMs = 60_000): Promise<Rig> {
  const stack = new AsyncDisposableStack()
  const complaints: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void complaints.push(line) })
  const db = await testDatabase()
  stack.defer(() => db.drop())
  const client = new Client({ connectionString: db.url })
  await client.connect()
  await migrate(client)
  await client.query(`insert into eras values (1, 'rig', 1)`)
  await client.query(LOOSEN)
  await client.end()
  const database = openDatabase({ url: db.url, size: 12, log: silentLogger, agentDownTime: 75 })
  stack.defer(() => database.close())
  const notifier = createNotifier(db.url, silentLogger)
  stack.defer(() => notifier.close())
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-feed-'))
  stack.defer(() => rmSync(folder, { recursive: true }))
  const edits = new Edits(database, notifier.poke)
  const urlOf = (server: string): string => `ws+unix:${join(folder, server)}:/agent`

  const feed = async (server: string): Promise<Feed> => {
    const reader = await createChangeReader({ database, from: null, hint: notifier.hint, log: silentLogger })
    const made = createFeed({
      database,
      source: {
        ...reader,
        waitUntil: (xmax) => {
          notifier.poke()
          return reader.waitUntil(xmax)
        },
      },
      effects: {
        agentReported: (report) => edits.agentReported(report),
        portsRealized: (ports, up) => edits.portsRealized(ports, up),
        portsAwaited: async () => {},
        networksRealized: async () => {},
        routersRealized: async () => {},
      },
      listen: { socket: join(folder, server) },
      dnsDomain: 'rig.example.',
      server,
      heartbeatMs,
      watchMs: 100,
      log,
    })
    await made.start()
    stack.defer(() => made.close())
    return made
  }

  const host = async (name: string, servers: readonly string[], more: Partial<AgentOptions> = {}): Promise<RigHost> => {
    const credential = more.credential === undefined ? (await enrol(database, name)).secret : more.credential
    const reached = PHYSICAL_NETWORKS.map((one) => [one, `br-${one}`])
    const bridgeMappings = Object.fromEntries(reached)
    const dataplane = createSimDataplane({ autoPlug: true, tunnelingIp: `192.0.2.${name.slice(1)}`, bridgeMappings })
    const agent = createAgent({
      host: name,
      agentVersion: 'test',
      dataplane,
      stateDir: null,
      servers: servers.map(urlOf),
      log,
      timing: { pauseMs: [5, 30], refusedMs: [100, 100] },
      retry: { firstMs: 5, maxMs: 40 },
      ...more,
      credential,
    })
    await agent.start()
    let stopped: Promise<void> | null = null
    const dispose = (): Promise<void> => (stopped ??= agent.stop())
    stack.defer(dispose)
    return {
      agent,
      dataplane: (more.dataplane as SimDataplane | undefined) ?? dataplane,
      [Symbol.asyncDispose]: dispose,
    }
  }

  const converged: Rig['converged'] = async (hosts, feeds) => {
    for (const { name, agent } of hosts) {
      let views: unknown[] = []
      const same = async (): Promise<boolean> => {
        const want = new Map(sorted(await (feeds[0] as Feed).recompute(name)))
        const serving = feeds.filter((feed) => feed.hosts().includes(name))
        views = [want, worldOf(agent), ...serving.map((feed) => new Map(sorted(feed.worldOf(name))))]
        const { connected, inSync } = agent.status()
        return connected && inSync && views.every((view) => isDeepStrictEqual(view, want))
      }
      await until(`${name} converged`, same).catch((error: unknown) => {
        for (const view of views) assert.deepEqual(view, views[0], `${name}: SQL, then agent, then feed`)
        throw error
      })
    }
  }

  return {
    complaints,
    database,
    edits,
    folder,
    feed,
    urlOf,
    host,
    converged,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

const sorted = <V>(entries: Iterable<readonly [string, V]>): [string, V][] =>
  [...entries].map(([key, value]): [string, V] => [key, value]).toSorted(([a], [b]) => (a < b ? -1 : 1))

/** What an agent knows, by key, in order. */
export const worldOf = (agent: Agent): Map<string, unknown> =>
  new Map(
    sorted(
      Object.entries(agent.world.world).flatMap(([type, table]) =>
        [...(table as ReadonlyMap<string, unknown>)].map(([id, object]) => [`${type}/${id}`, object] as const),
      ),
    ),
  )
