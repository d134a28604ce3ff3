/**
 * `deuteron agent`: one host's agent, or with `--dataplane sim --hosts N` many simulated ones in one process.
 *
 * SIGTERM and SIGINT stop it and leave the host as it is: what is in place goes on moving packets.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, createAgent } from '#agent/agent.ts'
import { readCredentials } from '#agent/credentials.ts'
import { hostDevices, withDevices } from '#dataplane/devices/index.ts'
import type { Dataplane } from '#dataplane/port.ts'
import { createSimDataplane } from '#dataplane/sim/index.ts'
import { createLogger, type Logger } from '#kernel/log.ts'
import { type AgentSettings, loadSettings } from '#launch/settings.ts'
import { UserError } from '#launch/user-error.ts'
import { isWireType, type ReadableVersions } from '#wire/versions.ts'
import { cardsOf, deviceList } from './cards.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** `port=1,network=1+2`: the versions to say instead of all that this build reads. */
function parseVersions(text: string | boolean | undefined): Partial<ReadableVersions> {
  if (typeof text !== 'string') return {}
  return Object.fromEntries(
    text.split(',').map((part) => {
      const [type = '', versions = ''] = part.split('=')
      if (!isWireType(type)) throw new UserError(`--wire-versions: there is no wire type '${type}'.`)
      return [type, versions.split('+').map(Number)]
    }),
  )
}

/** `ws://host:port` alone means its `/agent`. */
const withPath = (server: string): string => server.replace(/^(wss?:\/\/[^/]+)\/?$/, '$1/agent')

/** A switch that starts beside us may take a moment; one that is not there at all is said so. */
async function requireSwitch(ovsdb: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new UserError(
      'Moving packets with Open vSwitch needs root: run the agent with sudo, or choose --dataplane sim.',
    )
  }
  const socket = /^unix:(.+)$/.exec(ovsdb)?.[1]
  for (let tries = 0; socket !== undefined && !existsSync(socket); tries++) {
    if (tries === 20) {
      throw new UserError(
        `Open vSwitch is not running here (there is no ${socket}): install and start it (Debian: apt install openvswitch-switch), or name its database with --ovsdb.`,
      )
    }
    await sleep(250)
  }
}

async function ovsDataplane(settings: AgentSettings, log: Logger): Promise<Dataplane> {
  await requireSwitch(settings.ovsdb)
  const { createOvsDataplane } = await import('#dataplane/ovs/index.ts')
  return createOvsDataplane({
    host: settings.host,
    hostTag: settings.hostTag ?? settings.host,
    stateDir: settings.stateDir,
    ovsdb: settings.ovsdb,
    integrationBridge: settings.integrationBridge,
    datapathType: settings.datapathType,
    tunnelingIp: settings.tunnelingIp,
    tunnelTypes: settings.tunnelTypes,
    bridgeMappings: settings.bridgeMappings,
    log: log.child({ component: 'ovs' }),
  })
}

/** A tunnel address of its own for each simulated host. */
const simTunnelIp = (index: number): string => `198.18.${index >> 8}.${index & 255}`

async function start(argv: readonly string[]): Promise<{ agents: Agent[]; log: Logger }> {
  const { settings, extra } = loadSettings('agent', argv, process.env, {
    hosts: 'string',
    'auto-plug': 'boolean',
    'wire-versions': 'string',
  })
  const log = createLogger('deuteron-agent', settings.logLevel)
  const count = Number(extra['hosts'] ?? 1)
  if (!Number.isInteger(count) || count < 1 || count > 5000) throw new UserError('--hosts must be 1 to 5000.')
  if (count > 1 && settings.dataplane !== 'sim') throw new UserError('--hosts needs --dataplane sim.')
  const credentials = readCredentials(settings.credentialFile ?? join(settings.stateDir, 'credential'), log)
  const ca = settings.tlsCa ? readFileSync(settings.tlsCa, 'utf8') : undefined
  const agents: Agent[] = []
  for (let index = 0; index < count; index++) {
    const host = count === 1 ? settings.host : `${settings.host}-${index + 1}`
    const simulated = { autoPlug: extra['auto-plug'] !== false, bridgeMappings: settings.bridgeMappings }
    const tunnelingIp = count === 1 && settings.tunnelingIp ? settings.tunnelingIp : simTunnelIp(index + 1)
    const switching =
      settings.dataplane === 'sim'
        ? createSimDataplane({ ...simulated, tunnelingIp })
        : await ovsDataplane(settings, log)
    const stateDir = count === 1 ? settings.stateDir : null
    const devices = hostDevices(deviceList(settings), stateDir, log.child({ host, component: 'devices' }))
    agents.push(
      createAgent({
        host,
        dataplane: withDevices(switching, devices),
        services: cardsOf(settings),
        agentVersion: version,
        availabilityZone: settings.availabilityZone,
        stateDir,
        servers: settings.serverUrls.map(withPath),
        credential: credentials.of(host),
        ca,
        versions: parseVersions(extra['wire-versions']),
        heartbeatMs: settings.heartbeatInterval * 1000,
        log: log.child({ host }),
      }),
    )
  }
  for (const agent of agents) await agent.start()
  return { agents, log }
}

async function main(): Promise<void> {
  const { agents, log } = await start(process.argv.slice(2))
  const asked = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => asked.resolve(signal))
  const fatal = Promise.race(agents.map((agent) => agent.fatal))
  const why = await Promise.race([
    asked.promise.then((signal) => ({ signal, message: null })),
    fatal.then((message) => ({ signal: null, message })),
  ])
  if (why.message !== null) {
    log.fatal(why.message)
    process.exitCode = 1
  } else log.info({ signal: why.signal }, 'stopping; the host stays as it is')
  await Promise.all(agents.map((agent) => agent.stop()))
  process.exit()
}

main().catch((error: unknown) => {
  console.error(`deuteron agent: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(error instanceof UserError ? error.exitCode : 1)
})
