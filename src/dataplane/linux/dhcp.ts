/**
 * DHCP on this host: one dnsmasq per network, in a namespace of its own, answering only this host's ports.
 *
 * The servers live on when the agent dies; a new agent adopts them by folder, command line and configuration hash and
 * touches none that is healthy. Ports that come and go change files alone, and no program is run for them. A watch
 * looks every second for servers that died, namespaces that lost their name and devices that went away or came home,
 * and tells whom it concerns.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fingerprint } from '#kernel/fingerprint.ts'
import type { Logger } from '#kernel/log.ts'
import type { World } from '#wire/objects.ts'
import { createOptionCheck, type OptionCheck } from './dhcp-check.ts'
import { carryOut, look, readServer, readTaken, type Site, siteOf, takeDown } from './dhcp-host.ts'
import { NoDeviceError, planDhcp } from './dhcp-plan.ts'
import { type LeftOut, sayLeftOut } from './dhcp-options.ts'
import { confHash, type DhcpWant, dhcpFiles, dhcpWants } from './dhcp-want.ts'
import { linuxHost } from './host.ts'
import type { LinuxPort } from './port.ts'

export interface DhcpOptions {
  /** Folder that outlives the agent; servers keep theirs in `<stateDir>/dhcp/<network id>`. */
  readonly stateDir: string
  /** Tells the hosts of one machine apart; letters, digits, `_`, `.`. */
  readonly hostTag: string
  readonly log: Logger
  readonly host?: LinuxPort
  /** How often servers are looked at; 1000 ms without. */
  readonly watchMs?: number
  /**
   * Makes the switch make a device again that it believes it has: a device dies with a namespace that somebody
   * deletes, and the switch does not notice. Asked when a device has been nowhere for `REMAKE_MS`, and again after that.
   */
  readonly remake?: (device: string) => Promise<void>
}

const REMAKE_MS = 3_000

export interface Dhcp {
  /**
   * Makes the host serve what `wants` say; answers by network why not, null: it does. What is healthy and unchanged
   * costs nothing. With `inSync`, servers nobody wants are taken down. The switch must have made the device
   * (`dhcpDevice(network)`); until then the network fails, and `onDirty` tells when the device is there.
   */
  reconcile(wants: readonly DhcpWant[], inSync: boolean): Promise<ReadonlyMap<string, Error | null>>
  /** What ports of the network asked for, when it was last served, and do not get. */
  leftOut(networkId: string): readonly LeftOut[]
  /** Networks whose server needs a `reconcile`: it died, lost its namespace or device, or can be made now. */
  onDirty(listener: (networks: readonly string[]) => void): void
  /** Networks that have a server's folder on this host, healthy or not. */
  seen(): Promise<string[]>
  /** Stops watching; the servers stay. */
  close(): Promise<void>
}

/** What was last made of a network. */
interface Made {
  readonly want: DhcpWant
  readonly print: string
  readonly error: Error | null
  /** `Date.now()` since when its device has been nowhere. */
  readonly lostAt: number
}

const PARALLEL = 8

export const createDhcp = (options: DhcpOptions): Dhcp => new Service(options)

class Service implements Dhcp {
  readonly #stateDir: string
  readonly #hostTag: string
  readonly #log: Logger
  readonly #host: LinuxPort
  readonly #user: string
  readonly #askRemake: (device: string) => Promise<void>
  readonly #check: OptionCheck
  readonly #made = new Map<string, Made>()
  readonly #leftOut = new Map<string, readonly LeftOut[]>()
  readonly #dirty = new Set<string>()
  readonly #timer: NodeJS.Timeout
  #listener: (networks: readonly string[]) => void = () => undefined
  #running: Promise<unknown> = Promise.resolve()
  #watching: Promise<void> | null = null

  constructor({ stateDir, hostTag, log, host = linuxHost, watchMs = 1_000, remake }: DhcpOptions) {
    if (!/^[\w.-]{1,64}$/.test(hostTag)) throw new Error(`not a host tag: ${hostTag}`)
    this.#stateDir = resolve(stateDir)
    this.#hostTag = hostTag
    this.#log = log
    this.#host = host
    this.#check = createOptionCheck(host, this.#stateDir)
    this.#askRemake = remake ?? (async () => undefined)
    this.#user = reachable(this.#stateDir) ? 'nobody' : 'root'
    this.#timer = setInterval(() => this.#watch(), watchMs)
    this.#timer.unref()
  }

  reconcile(wants: readonly DhcpWant[], inSync: boolean): Promise<ReadonlyMap<string, Error | null>> {
    const run = this.#running.then(async () => {
      const outcome = new Map<string, Error | null>()
      const queue = [...wants]
      const worker = async (): Promise<void> => {
        for (let want = queue.shift(); want; want = queue.shift()) outcome.set(want.networkId, await this.#settle(want))
      }
      await Promise.all(Array.from({ length: Math.min(PARALLEL, wants.length) }, worker))
      if (inSync) await this.#sweep(new Set(wants.map(({ networkId }) => networkId)))
      return outcome
    })
    this.#running = run.catch(() => undefined)
    return run
  }

  leftOut(networkId: string): readonly LeftOut[] {
    return this.#leftOut.get(networkId) ?? []
  }

  onDirty(listener: (networks: readonly string[]) => void): void {
    this.#listener = listener
  }

  seen(): Promise<string[]> {
    return this.#host.list(`${this.#stateDir}/dhcp`)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#watching
    await this.#running
  }

  #site(networkId: string): Site {
    return siteOf(this.#stateDir, this.#hostTag, networkId)
  }

  async #settle(want: DhcpWant): Promise<Error | null> {
    const { networkId } = want
    const print = fingerprint(want)
    const before = this.#made.get(networkId)
    if (before?.print === print && before.error === null && !this.#dirty.has(networkId)) return null
    const linkMade = before?.error === null && sameLink(before.want, want) && !this.#dirty.has(networkId)
    this.#dirty.delete(networkId)
    const error = await this.#serve(want, linkMade).then(
      () => null,
      (reason: Error) => reason,
    )
    if (error && error.message !== before?.error?.message)
      this.#log.warn({ network: networkId, reason: error.message }, 'dhcp server not in place')
    const lostAt = before?.error instanceof NoDeviceError ? before.lostAt : Date.now()
    this.#made.set(networkId, { want, print, error, lostAt })
    return error
  }

  async #serve(want: DhcpWant, linkMade: boolean): Promise<void> {
    const site = this.#site(want.networkId)
    const paths = { dir: site.dir, user: this.#user }
    const refused = await this.#check.refused(want.options.map(({ body }) => body))
    const unknown = want.options.flatMap(({ port, name, body }) => {
      const complaint = refused.get(body)
      return complaint === undefined ? [] : [{ port, name, why: `dnsmasq says '${complaint}'` }]
    })
    this.#leftOut.set(want.networkId, [...want.leftOut, ...unknown])
    const files = dhcpFiles(want, paths, await readTaken(this.#host, site), refused)
    // A namespace that got its name back shows its device only now: look again until nothing is left to do.
    for (let turn = 0; turn < 3; turn++) {
      const steps = planDhcp(want, files, await look(this.#host, site, want, confHash(files), linkMade))
      if (steps.length === 0) return
      this.#log.info({ network: want.networkId, steps: steps.map(({ op }) => op) }, 'dhcp server changes')
      for (const step of steps) await carryOut(this.#host, site, want.device, step)
    }
    throw new Error(`the DHCP server of network ${want.networkId} does not settle`)
  }

  async #sweep(wanted: ReadonlySet<string>): Promise<void> {
    for (const networkId of await this.seen()) {
      if (wanted.has(networkId)) continue
      this.#log.info({ network: networkId }, 'dhcp server is not wanted any more')
      await takeDown(this.#host, this.#site(networkId)).catch((error: Error) =>
        this.#log.warn({ network: networkId, reason: error.message }, 'dhcp server not taken down'),
      )
    }
    for (const networkId of this.#made.keys()) {
      if (wanted.has(networkId)) continue
      this.#made.delete(networkId)
      this.#leftOut.delete(networkId)
    }
  }

  async #remake(made: Made): Promise<void> {
    const { want, error, lostAt } = made
    if (!(error instanceof NoDeviceError) || Date.now() - lostAt < REMAKE_MS) return
    this.#made.set(want.networkId, { ...made, lostAt: Date.now() })
    this.#log.warn({ network: want.networkId, device: want.device }, 'dhcp device is nowhere: asking for a new one')
    await this.#askRemake(want.device)
  }

  #watch(): void {
    this.#watching ??= this.#running
      .then(async () => {
        if (this.#made.size === 0) return
        const home = await this.#host.devices()
        const sick = await Promise.all(
          [...this.#made.values()].map(async (made) =>
            // A device at home is new: the switch has made it, or made it again and left the one in the namespace.
            home.has(made.want.device) || (await needsWork(this.#host, this.#site(made.want.networkId), made))
              ? made
              : null,
          ),
        )
        // What was made anew while we looked is not judged by the old look.
        const networks = sick.flatMap((made) =>
          made && this.#made.get(made.want.networkId) === made ? [made.want.networkId] : [],
        )
        for (const networkId of networks) this.#dirty.add(networkId)
        if (networks.length > 0) this.#listener(networks)
        for (const made of this.#made.values()) if (!home.has(made.want.device)) await this.#remake(made)
      })
      .catch((error: Error) => this.#log.warn({ reason: error.message }, 'dhcp watch failed'))
      .finally(() => {
        this.#watching = null
      })
  }
}

const sameLink = (a: DhcpWant, b: DhcpWant): boolean => fingerprint(linkIn(a)) === fingerprint(linkIn(b))
const linkIn = ({ device, mac, mtu, addresses }: DhcpWant) => [device, mac, mtu, addresses]

/** A healthy server lives, in the namespace of its name, with its device and addresses. */
async function needsWork(host: LinuxPort, place: Site, { want, error }: Made): Promise<boolean> {
  const server = await readServer(host, place)
  if (error) return server !== null
  if (!server) return true
  const [home, named] = await Promise.all([host.namespaceOf(server.pid), host.namespaceId(place.namespace)])
  return home !== named || !(await host.carries(server.pid, want.device, want.addresses))
}

/** Whether an unprivileged dnsmasq can read files below `dir`: every folder above is open to all. */
function reachable(dir: string): boolean {
  for (let at = dir; ; at = dirname(at)) {
    try {
      accessSync(at, constants.X_OK)
      if ((statSync(at).mode & 0o001) === 0) return false
    } catch {
      // Not there yet: it will be made with the mode of dhcp folders.
    }
    if (at === dirname(at)) return true
  }
}

/** The same for a whole world: `problemOf` remembers the outcome by network. */
export interface DhcpServers {
  reconcile(world: World, inSync: boolean): Promise<void>
  /** Why the server of a network does not answer; null when it does, or none is wanted. */
  problemOf(network: string): string | null
  /** What a port asked for and does not get, in one sentence; null when there is nothing. */
  remarkOf(network: string, port: string): string | null
  onDirty(listener: (networks: readonly string[]) => void): void
  close(): Promise<void>
}

export function createDhcpServers(options: DhcpOptions): DhcpServers {
  const dhcp = createDhcp(options)
  let outcome: ReadonlyMap<string, Error | null> = new Map()
  return {
    reconcile: async (world, inSync) => {
      outcome = await dhcp.reconcile(dhcpWants(world), inSync)
    },
    problemOf: (network) => outcome.get(network)?.message ?? null,
    remarkOf: (network, port) => sayLeftOut(dhcp.leftOut(network).filter((one) => one.port === port)),
    onDirty: (listener) => dhcp.onDirty(listener),
    close: () => dhcp.close(),
  }
}
