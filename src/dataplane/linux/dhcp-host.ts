/** Reads what of a network's DHCP server stands on the host, and carries out single steps. No decisions. */
import { join } from 'node:path'
import type { DhcpSeen, DhcpStep } from './dhcp-plan.ts'
import {
  confHash,
  type DhcpFiles,
  type DhcpWant,
  dhcpDevice,
  readLeases,
  staleLeases,
  withoutLeases,
} from './dhcp-want.ts'
import type { LinuxPort } from './port.ts'

/** Where one network's server lives. */
export interface Site {
  readonly networkId: string
  readonly namespace: string
  readonly dir: string
}

/**
 * Ownership marks: the namespace's name, `dhcp-<host tag>-<8 digits of the network>`, and the folder with the
 * configuration, which the server's command line names. The tag keeps hosts that share a machine apart.
 */
export const siteOf = (stateDir: string, hostTag: string, networkId: string): Site => ({
  networkId,
  namespace: `dhcp-${hostTag}-${networkId.replaceAll('-', '').slice(0, 8)}`,
  dir: join(stateDir, 'dhcp', networkId),
})

const CONF = 'conf-'
const LOADED = 'loaded'

/** The running server of this network, if any: its pid file names it, its command line proves it. */
export async function readServer(host: LinuxPort, { dir }: Site): Promise<{ pid: number; confHash: string } | null> {
  const pid = Number(await host.read(join(dir, 'pid')))
  if (!Number.isInteger(pid) || pid <= 1) return null
  const command = await host.commandOf(pid)
  const prefix = `--conf-file=${join(dir, CONF)}`
  const conf = command?.find((argument) => argument.startsWith(prefix))
  return conf === undefined ? null : { pid, confHash: conf.slice(prefix.length) }
}

export const readTaken = async (host: LinuxPort, { dir }: Site): Promise<Map<string, string>> =>
  readLeases((await host.read(join(dir, 'leases'))) ?? '')

/**
 * What stands of one network. `linkMade`: the device was made as it is wanted; that it is so still is believed when it
 * is found in place with its addresses, which costs no program. Without, `ip` is asked.
 */
export async function look(
  host: LinuxPort,
  site: Site,
  want: DhcpWant,
  hash: string,
  linkMade: boolean,
): Promise<DhcpSeen> {
  const { namespace, dir } = site
  const [id, server, files, loaded, taken] = await Promise.all([
    host.namespaceId(namespace),
    readServer(host, site),
    readFiles(host, dir, hash),
    host.read(join(dir, LOADED)),
    readTaken(host, site),
  ])
  const inNamespace = server !== null && id !== null && (await host.namespaceOf(server.pid)) === id
  const believed = linkMade && inNamespace && (await isInPlace(host, server.pid, want))
  return {
    namespace: id !== null,
    ...(believed ? linkOf(want) : await askForLink(host, id === null ? null : namespace, want.device)),
    server: server && { ...server, inNamespace },
    files,
    // What was read counts for the process that read it.
    loaded: server && loaded?.startsWith(`${server.pid} `) ? loaded.slice(`${server.pid} `.length) : null,
    stale: staleLeases(want, taken),
  }
}

/** As cheap as the watch: a device at home would be a new one. */
const isInPlace = async (host: LinuxPort, pid: number, { device, addresses }: DhcpWant): Promise<boolean> =>
  (await host.carries(pid, device, addresses)) && !(await host.devices()).has(device)

type LinkSeen = Pick<DhcpSeen, 'link' | 'orphan'>

const linkOf = ({ mac, mtu, addresses }: DhcpWant): LinkSeen => ({
  link: { at: 'namespace', up: true, mac, mtu, addresses },
  orphan: false,
})

async function askForLink(host: LinuxPort, namespace: string | null, device: string): Promise<LinkSeen> {
  const [home, inside] = await Promise.all([
    host.link(null, device),
    namespace === null ? null : host.link(namespace, device),
  ])
  return {
    link: home ? { at: 'home', ...home } : inside && { at: 'namespace', ...inside },
    orphan: home !== null && inside !== null,
  }
}

async function readFiles(host: LinuxPort, dir: string, hash: string): Promise<DhcpFiles | null> {
  const read = (name: string): Promise<string | null> => host.read(join(dir, name))
  const [conf, hosts, options, names] = await Promise.all([
    read(`${CONF}${hash}`),
    read('hosts'),
    read('options'),
    read('names'),
  ])
  if (conf === null || hosts === null || options === null || names === null) return null
  return { conf, hosts, options, names }
}

export async function carryOut(host: LinuxPort, site: Site, device: string, step: DhcpStep): Promise<void> {
  const { namespace, dir } = site
  const inside = (program: string, ...args: string[]): Promise<string> =>
    host.run('nsenter', [`--net=/run/netns/${namespace}`, program, ...args])
  switch (step.op) {
    case 'stop':
      return stop(host, step.pid)
    case 'add-namespace':
      if ((await host.namespaces()).includes(namespace)) await host.run('ip', ['netns', 'del', namespace])
      await host.run('ip', ['netns', 'add', namespace])
      return host.ip(namespace, ['link set lo up'])
    case 'name-namespace':
      return void (await host.run('ip', ['netns', 'attach', namespace, String(step.pid)]))
    case 'drop-link':
      return host.ip(namespace, [`link delete ${device}`])
    case 'move-link':
      return void (await host.run('ip', ['link', 'set', device, 'netns', namespace]))
    case 'set-link': {
      // The same addresses stand on every host: nobody may ask around whether they are taken.
      const quiet = ['accept_dad=0', 'accept_ra=0'].map((setting) => `net.ipv6.conf.${device}.${setting}`)
      await inside('sysctl', '-qew', ...quiet)
      return host.ip(namespace, [
        `link set dev ${device} address ${step.mac} mtu ${step.mtu} up`,
        ...step.remove.map((address) => `address del ${address} dev ${device}`),
        ...step.add.map(
          (address) => `address replace ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`,
        ),
      ])
    }
    case 'write':
      return writeFiles(host, dir, step.files)
    case 'forget': {
      const leases = (await host.read(join(dir, 'leases'))) ?? ''
      return host.write(join(dir, 'leases'), withoutLeases(leases, step.addresses))
    }
    case 'start':
      await inside('dnsmasq', `--conf-file=${join(dir, CONF)}${step.confHash}`)
      return markLoaded(host, site, step.loaded)
    case 'reload':
      host.signal(step.pid, 'SIGHUP')
      return markLoaded(host, site, step.loaded)
  }
}

async function markLoaded(host: LinuxPort, site: Site, loaded: string): Promise<void> {
  const server = await readServer(host, site)
  if (!server) throw new Error(`dnsmasq for network ${site.networkId} went away; see ${join(site.dir, 'log')}`)
  await host.write(join(site.dir, LOADED), `${server.pid} ${loaded}`)
}

async function writeFiles(host: LinuxPort, dir: string, files: DhcpFiles): Promise<void> {
  const name = `${CONF}${confHash(files)}`
  await host.write(join(dir, 'hosts'), files.hosts)
  await host.write(join(dir, 'options'), files.options)
  await host.write(join(dir, 'names'), files.names)
  await host.write(join(dir, name), files.conf)
  const old = (await host.list(dir)).filter((file) => file.startsWith(CONF) && file !== name)
  for (const file of old) await host.remove(join(dir, file))
}

/** Asks, then insists; resolves when the process is gone. */
async function stop(host: LinuxPort, pid: number): Promise<void> {
  host.signal(pid, 'SIGTERM')
  for (let waited = 0; (await host.commandOf(pid)) !== null; waited += 10) {
    if (waited === 1_000) host.signal(pid, 'SIGKILL')
    if (waited > 5_000) throw new Error(`process ${pid} does not stop`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Takes a server off the host; its device goes back to where the switch made it, which may still want it. */
export async function takeDown(host: LinuxPort, site: Site): Promise<void> {
  const server = await readServer(host, site)
  if (server) await stop(host, server.pid)
  const device = dhcpDevice(site.networkId)
  const inside = (await host.namespaceId(site.namespace)) !== null && (await host.link(site.namespace, device)) !== null
  if (inside && !(await host.link(null, device)))
    await host.run('ip', ['-n', site.namespace, 'link', 'set', device, 'netns', String(process.pid)])
  if ((await host.namespaces()).includes(site.namespace)) await host.run('ip', ['netns', 'del', site.namespace])
  await host.remove(site.dir)
}
