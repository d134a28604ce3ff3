/** A real ovsdb-server with a hardware_vtep database for tests: no switch behind it, so it is quick. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '#kernel/log.ts'
import { connectOvsdb, type OvsdbClient, type Tables } from '#protocol/ovsdb/client.ts'
import { insert, mutate, named, type Op } from '#protocol/ovsdb/ops.ts'
import { DATABASE, MONITORED, readTor, type TorSeen } from './seen.ts'

const SCHEMA = '/usr/share/openvswitch/vtep.ovsschema'
export const missing = existsSync(SCHEMA) ? false : `needs ${SCHEMA} (apt install openvswitch-vtep)`

export interface VtepDatabase {
  readonly target: string
  /** Starts the server again; the file keeps what it held. */
  start(): Promise<void>
  kill(): Promise<void>
  stop(): Promise<void>
  connect(): Promise<OvsdbClient>
}

export async function startVtepDatabase(): Promise<VtepDatabase> {
  const dir = mkdtempSync(join(tmpdir(), 'T-vtep-'))
  const [file, socket] = [join(dir, 'vtep.db'), join(dir, 'db.sock')]
  execFileSync('ovsdb-tool', ['create', file, SCHEMA])
  let server: ChildProcess | null = null
  const target = `unix:${socket}`
  const connect = (): Promise<OvsdbClient> => connectOvsdb({ target, database: DATABASE, log: silentLogger })
  const start = async (): Promise<void> => {
    const args = [file, `--remote=punix:${socket}`, `--unixctl=${join(dir, 'ctl')}`, '-vconsole:off']
    server = spawn('/usr/sbin/ovsdb-server', args, { stdio: 'ignore' })
    for (let left = 200; ; left--) {
      const client = await connect().catch(() => null)
      if (client) return client.close()
      if (left === 0) throw new Error('ovsdb-server does not answer')
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const kill = async (): Promise<void> => {
    const gone = new Promise((resolve) => server?.once('exit', resolve))
    server?.kill('SIGKILL')
    await gone
  }
  await start()
  return {
    target,
    start,
    kill,
    connect,
    stop: async () => {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A view of the database that follows it. */
export async function watchTor(client: OvsdbClient): Promise<() => TorSeen> {
  const tables: Tables = new Map()
  await client.monitor(MONITORED, tables, null, () => undefined)
  return () => readTor((name) => tables.get(name) ?? new Map())
}

/** A physical switch with ports, as the ToR itself writes it. */
export const physicalSwitch = (root: string, name: string, tunnelIp: string, ports: readonly string[]): Op[] => [
  ...ports.map((port) => insert('Physical_Port', { name: port }, `pp_${port}`)),
  insert('Physical_Switch', { name, tunnel_ips: [tunnelIp], ports: ports.map((port) => named(`pp_${port}`)) }, 'ps'),
  mutate('Global', [['_uuid', '==', root]], ['switches', 'insert', [named('ps')]]),
]
