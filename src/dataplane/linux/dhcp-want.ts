/** What DHCP should look like on this host, derived from wire objects, and the files dnsmasq reads for it. Pure. */
import { formatIp, networkOf, parseIp, parsePrefix } from '#kernel/ip.ts'
import { fingerprint } from '#kernel/fingerprint.ts'
import type { DhcpClientObject, NetworkObject, PortObject, SubnetObject, World } from '#wire/objects.ts'
import {
  type Asked,
  askedBy,
  CLIENT_TAGS,
  type LeftOut,
  MAC_TAGS,
  optionLine,
  type PortOption,
} from './dhcp-options.ts'

/** One network's server on this host. */
export interface DhcpWant {
  readonly networkId: string
  /** Device the switch makes; moved into the server's namespace. */
  readonly device: string
  readonly mac: string
  readonly mtu: number
  /** Handed out to clients, and of the names the server knows; empty: none. */
  readonly domain: string
  /** Address and prefix length, `10.0.0.2/24`, sorted. */
  readonly addresses: readonly string[]
  /** Those with DHCP. */
  readonly subnets: readonly SubnetObject[]
  readonly leases: readonly Lease[]
  /** MACs of all ports of the network that are served here, with addresses or without. */
  readonly macs: readonly string[]
  /** What ports get besides. */
  readonly options: readonly PortOption[]
  /** What ports ask for and cannot get. */
  readonly leftOut: readonly LeftOut[]
}

/** An address that one MAC gets. Of several for one MAC in a subnet the first counts: the port's first. */
export interface Lease {
  readonly mac: string
  readonly ip: string
  readonly hostname: string
  /** A client that says this gets the address, too. */
  readonly clientId: string | null
}

/** Name of a network's DHCP interface on the switch: a device name, at most 15 characters. */
export const dhcpDevice = (networkId: string): string => `dh${networkId.replaceAll('-', '').slice(0, 11)}`

const LEASE_SECONDS = 86_400

/** A port as its server sees it. */
type Client = DhcpClientObject | PortObject

/**
 * One server per network that has a DHCP port; leases for the ports bound to this host, and for those that it serves on
 * the wire.
 */
export function dhcpWants(world: Pick<World, 'network' | 'port' | 'dhcp_client'>): DhcpWant[] {
  // While a port comes to this host it may be both.
  const clients = new Map<string, Client>([...world.dhcp_client, ...world.port])
  const ports = Map.groupBy(
    [...clients.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    (port) => port.network_id,
  )
  return [...world.network.values()].flatMap((network) => {
    const { dhcp } = network
    return dhcp ? [dhcpWant(network, dhcp, ports.get(network.id) ?? [])] : []
  })
}

function dhcpWant(
  network: NetworkObject,
  dhcp: NonNullable<NetworkObject['dhcp']>,
  ports: readonly Client[],
): DhcpWant {
  const subnets = network.subnets.filter((subnet) => subnet.enable_dhcp).sort((a, b) => (a.id < b.id ? -1 : 1))
  const byId = new Map(network.subnets.map((subnet) => [subnet.id, subnet]))
  const addresses = dhcp.fixed_ips.flatMap(({ subnet_id, ip_address }) => {
    const length = byId.get(subnet_id)?.cidr.split('/')[1]
    const tooNarrow = network.mtu < 1280 && ip_address.includes(':') // RFC 8200 §5
    return length === undefined || tooNarrow ? [] : [`${ip_address}/${length}`]
  })
  const macs = ports.map((port) => port.mac_address).sort()
  const known = new Set(macs)
  const asking = ports.map((port) => ({ port, asked: askedBy(port, known) }))
  return {
    networkId: network.id,
    device: dhcpDevice(network.id),
    mac: dhcp.mac_address,
    mtu: network.mtu,
    domain: network.dns_domain,
    addresses: addresses.sort(),
    subnets,
    leases: asking.flatMap(({ port, asked }) => leasesOf(port, asked, subnets)),
    macs,
    options: asking.flatMap(({ asked }) => asked.options),
    leftOut: asking.flatMap(({ asked }) => asked.leftOut),
  }
}

function leasesOf(port: Client, { clientIds }: Asked, subnets: readonly SubnetObject[]): Lease[] {
  const given = new Map(subnets.filter(assignsAddresses).map(({ id, ip_version }) => [id, ip_version]))
  return port.fixed_ips.flatMap(({ subnet_id, ip_address }) => {
    const version = given.get(subnet_id)
    if (version === undefined) return []
    return {
      mac: port.mac_address,
      ip: ip_address,
      hostname: hostname(port.dns_name, ip_address),
      clientId: clientIds[version] ?? null,
    }
  })
}

/** SLAAC and stateless hosts make their addresses themselves (RFC 4862, RFC 3736). */
const assignsAddresses = ({ ip_version, ipv6_address_mode }: SubnetObject): boolean =>
  ip_version === 4 || ipv6_address_mode === null || ipv6_address_mode === 'dhcpv6-stateful'

/** Served at all: router advertisements, and so SLAAC alone, are the router's. */
const isServed = ({ ip_version, ipv6_address_mode }: SubnetObject): boolean =>
  ip_version === 4 || ipv6_address_mode !== 'slaac'

const hostname = (dnsName: string, ip: string): string => dnsName || `host-${ip.replaceAll(/[.:]/g, '-')}`

/** Contents of the files of one server. A change of `conf` needs a restart; a change of the others a SIGHUP. */
export interface DhcpFiles {
  readonly conf: string
  readonly hosts: string
  readonly options: string
  readonly names: string
}
export interface FilePaths {
  readonly dir: string
  /** The account dnsmasq runs under. */
  readonly user: string
}

/**
 * `taken`: address → MAC that holds a lease of it (from the lease file). dnsmasq refuses an address that is leased to
 * someone its line does not name: so an IPv4 address that went from a port that is no more to another is written for
 * both. Where that cannot be done, `staleLeases` says so. `refused`: lines of options that dnsmasq does not take.
 */
export function dhcpFiles(
  want: DhcpWant,
  paths: FilePaths,
  taken: ReadonlyMap<string, string>,
  refused: ReadonlyMap<string, string> = new Map(),
): DhcpFiles {
  const options = want.options.filter(({ body }) => !refused.has(body))
  return {
    conf: confFile(want, paths),
    hosts: lines(hostLines(want, taken)),
    options: lines([
      ...want.subnets.filter(isServed).flatMap((subnet) => optionLines(subnet, want)),
      ...options.map(optionLine),
    ]),
    names: lines(want.leases.map(({ ip, hostname: name }) => [ip, ...namesOf(name, want.domain)].join(' '))),
  }
}

const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('')

/** Names the configuration a running server was started with. */
export const confHash = (files: Pick<DhcpFiles, 'conf'>): string => fingerprint(files.conf)
/** Names what it must have read since. */
export const reloadHash = ({ hosts, options, names }: DhcpFiles): string => fingerprint([hosts, options, names])

function confFile({ device, subnets, domain }: DhcpWant, { dir, user }: FilePaths): string {
  if (!/^[\w.-]*$/.test(domain)) throw new Error(`not a domain: ${domain}`)
  const ranges = subnets.filter(isServed).map((subnet) => {
    const prefix = parsePrefix(subnet.cidr)
    if (!prefix) throw new Error(`subnet ${subnet.id} has no valid cidr: ${subnet.cidr}`)
    const first = formatIp(networkOf(prefix))
    const size = prefix.version === 4 ? netmask(prefix.length) : String(Math.max(64, prefix.length))
    return `dhcp-range=set:${tag(subnet)},${first},static,${size},${LEASE_SECONDS}`
  })
  return lines([
    'no-hosts',
    'no-resolv',
    'no-poll',
    'bind-dynamic',
    `interface=${device}`,
    'except-interface=lo',
    'dhcp-authoritative',
    'dhcp-no-override',
    'quiet-dhcp',
    'quiet-dhcp6',
    ...(domain === '' ? [] : [`domain=${domain}`, `local=/${domain}/`]),
    ...CLIENT_TAGS,
    `user=${user}`,
    `pid-file=${dir}/pid`,
    `dhcp-leasefile=${dir}/leases`,
    `dhcp-hostsfile=${dir}/hosts`,
    `dhcp-optsfile=${dir}/options`,
    `addn-hosts=${dir}/names`,
    `log-facility=${dir}/log`,
    'dhcp-lease-max=65536',
    ...ranges,
    ...MAC_TAGS,
  ])
}

const tag = ({ id }: SubnetObject): string => `s${id.replaceAll('-', '')}`

const netmask = (length: number): string =>
  formatIp({ version: 4, value: 0xffffffffn ^ (0xffffffffn >> BigInt(length)) })

function hostLines(want: DhcpWant, taken: ReadonlyMap<string, string>): string[] {
  return want.leases.map(({ mac, ip, hostname: name, clientId }) => {
    const holder = formerHolder(want, mac, ip, taken)
    return [
      mac,
      ...(holder === null ? [] : [holder]),
      ...(clientId === null ? [] : [`id:${clientId}`]),
      name.replace(/\.$/, ''),
      ip.includes(':') ? `[${ip}]` : ip,
    ].join(',')
  })
}

/** Whole, and without the domain; a name that ends with a dot is whole. */
function namesOf(name: string, domain: string): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1), name.split('.')[0] ?? '']
  return domain === '' ? [name] : [`${name}.${domain}`, name]
}

/** The MAC of a port that is gone and still holds a lease of this IPv4 address. */
function formerHolder(want: DhcpWant, mac: string, ip: string, taken: ReadonlyMap<string, string>): string | null {
  const holder = taken.get(ip)
  return holder === undefined || holder === mac || want.macs.includes(holder) || ip.includes(':') ? null : holder
}

/** Addresses with a lease that must be forgotten, or their new port gets nothing until it ends. */
export const staleLeases = (want: DhcpWant, taken: ReadonlyMap<string, string>): string[] =>
  want.leases
    .filter(({ mac, ip }) => (taken.get(ip) ?? mac) !== mac && formerHolder(want, mac, ip, taken) === null)
    .map(({ ip }) => ip)

/**
 * Options of one subnet. Without a gateway the router option is sent empty, or dnsmasq would name itself. Clients that
 * take classless routes ignore the router option (RFC 3442), so the default route stands among them.
 */
function optionLines(subnet: SubnetObject, { mtu, domain }: DhcpWant): string[] {
  const servers = subnet.dns_nameservers
  if (subnet.ip_version === 6) {
    const dns = servers.length > 0 ? [`option6:dns-server,${servers.map((ip) => `[${ip}]`).join(',')}`] : []
    const search = domain === '' ? [] : [`option6:domain-search,${domain}`]
    return [...dns, ...search].map((option) => `tag:${tag(subnet)},${option}`)
  }
  const gateway = subnet.gateway_ip
  const routes = subnet.host_routes.filter(({ nexthop }) => parseIp(nexthop)?.version === 4)
  const classless = routes.map(({ destination, nexthop }) => `${destination},${nexthop}`)
  if (gateway && routes.every(({ destination }) => destination !== '0.0.0.0/0')) classless.push(`0.0.0.0/0,${gateway}`)
  return [
    gateway ? `option:router,${gateway}` : 'option:router',
    `option:mtu,${mtu}`,
    ...(servers.length > 0 ? [`option:dns-server,${servers.join(',')}`] : []),
    // 249 is 121 for Windows before RFC 3442.
    ...(routes.length > 0 ? [121, 249].map((code) => `option:${code},${classless.join(',')}`) : []),
  ].map((option) => `tag:${tag(subnet)},${option.replace(/^option:(121|249),/, '$1,')}`)
}

const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/
/** DUIDs made of a link-layer address, with time or without (RFC 8415 §11.2, §11.4), on Ethernet. */
const DUID_MAC = /^00:(?:01:00:01:(?:[0-9a-f]{2}:){4}|03:00:01:)((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$/

/** Address and MAC of each lease that dnsmasq wrote; IPv6 leases of clients whose DUID hides their MAC are left out. */
export const readLeases = (text: string): Map<string, string> =>
  new Map(
    text.split('\n').flatMap((line) => {
      const [, id = '', ip = '', , duid = ''] = line.split(' ')
      const mac = ip.includes(':') ? DUID_MAC.exec(duid)?.[1] : MAC.exec(id)?.[0]
      return mac !== undefined && parseIp(ip) ? [[ip, mac] as const] : []
    }),
  )

/** The lease file without the leases of these addresses. */
export const withoutLeases = (text: string, ips: readonly string[]): string =>
  text
    .split('\n')
    .filter((line) => !ips.includes(line.split(' ')[2] ?? ''))
    .join('\n')
