/**
 * Every setting of the server and of the agent: its kind, default, what it is for. Names on the command line, in the
 * environment and in the file follow from the key: `listenHost` is `--listen-host`, DEUTERON_LISTEN_HOST and
 * `listen_host`. Where Neutron has an option of the same meaning, the file's name and the default are Neutron's.
 */
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { isRoot, SERVICE_HOME, SERVICE_USER } from './account.ts'
import {
  address,
  duration,
  flag,
  idRange,
  type Kind,
  list,
  mapping,
  oneOf,
  optional,
  path,
  physnetMtu,
  size,
  text,
  url,
  vlanRange,
  whole,
} from './setting-kinds.ts'
import { outboxFields } from './setting-outbox.ts'

export interface Field<T> {
  readonly kind: Kind<T>
  readonly default: T
  readonly doc: string
  /** Heading in the reference. */
  readonly group: string
  /** The flag's name when it is not the key's. */
  readonly flag?: string
  /** How the reference writes a default that differs by machine. */
  readonly defaultText?: string
  /** Hidden when printed. */
  readonly secret?: boolean
}
export type Fields = Readonly<Record<string, Field<unknown>>>
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

type Extra = Partial<Pick<Field<unknown>, 'flag' | 'defaultText' | 'secret'>>

/** Fields of one heading; `field(kind, default, doc)`. */
const group =
  (name: string) =>
  <T>(kind: Kind<T>, value: NoInfer<T>, doc: string, extra: Extra = {}): Field<T> => ({
    kind,
    default: value,
    doc,
    group: name,
    ...extra,
  })

const underHome = (folder: string): string =>
  isRoot()
    ? join(SERVICE_HOME, folder)
    : join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'deuteron', folder === 'data' ? '' : folder)

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const logging = group('Logs')
const logLevel = logging(
  oneOf(...LOG_LEVELS),
  'info',
  'The least grave message that is logged (JSON lines on standard error).',
)
const physnet = /^[^\s:,]+$/

const serving = group('Serving')
const database = group('Database')
const identity = group('Identity and policy')
const keystone = group('Keystone')
const networks = group('Networks')
const limits = group('Limits')
const quotas = group('Default quotas')
const agents = group('Agents')

const quota = (resource: string, value: number): Field<number> =>
  quotas(whole(-1, 2_147_483_647), value, `How many ${resource} a project may have; -1 is without limit.`)

export const serverFields = {
  listenHost: serving(address(), '127.0.0.1', 'Address on which the API is served.'),
  listenPort: serving(whole(1, 65_535), 9696, 'Port on which the API is served.', { flag: 'port' }),
  publicUrl: serving(
    optional(url('http', 'https')),
    null,
    'How clients reach the API, for the links it gives out; by default its own address and port.',
  ),
  feedHost: serving(address(), '127.0.0.1', 'Address on which agents connect.'),
  feedPort: serving(
    whole(1, 65_535),
    9697,
    'Port on which agents connect; by default the one after the port of the API.',
    {
      defaultText: '`9697`',
    },
  ),
  feedSocket: serving(
    optional(path()),
    null,
    'A Unix socket on which agents of this machine connect as well (`ws+unix:PATH:/agent`).',
  ),
  feedTlsCertificate: serving(
    optional(path()),
    null,
    'PEM file with the certificate shown to agents. Needed when the feed address is not loopback.',
  ),
  feedTlsKey: serving(optional(path()), null, 'PEM file with the key of that certificate.'),
  workers: serving(whole(0, 64), 0, 'API processes beside one feed process; 0 serves both in one process.'),
  user: serving(text({ name: 'user name' }), SERVICE_USER, 'The user a server started by root turns into.'),
  dataDir: serving(path(), underHome('data'), 'Folder for the embedded database, secrets and deuteron.yaml.', {
    flag: 'data',
    defaultText: '~/.local/share/deuteron; as root /var/lib/deuteron/data',
  }),
  maxBodySize: serving(size(), 1024 ** 2, 'Longest request body that is read.'),
  requestTimeout: serving(duration(), 60, 'How long a client may take to send a request.'),

  databaseUrl: database(
    optional(url('postgresql', 'postgres')),
    null,
    'PostgreSQL 15 or newer. Without it `up` starts the embedded one.',
    {
      flag: 'database',
      secret: true,
    },
  ),
  databasePool: database(whole(2, 500), 16, 'Connections each process holds at most.'),
  changeRetention: database(
    duration(60),
    30 * 86_400,
    'How long the change log is kept: the reach of as_of, watch and audit.',
  ),
  idempotencyRetention: database(duration(60), 86_400, 'How long the answer to an Idempotency-Key is kept.'),

  identity: identity(
    oneOf('builtin', 'keystone', 'none'),
    'builtin',
    'Who says who a caller is: the built-in password and token service, Keystone, or nobody (everyone is an administrator).',
  ),
  insecureListen: identity(
    flag(),
    false,
    'Serve `builtin` or `none`, or agents without TLS, on addresses that are not loopback.',
  ),
  identityFile: identity(
    optional(path()),
    null,
    'Users, projects and passwords of `builtin`; by default identity.json in the data folder.',
  ),
  policyFile: identity(optional(path()), null, 'YAML file of oslo.policy rules that replace the defaults.'),
  policyDir: identity(
    optional(path()),
    null,
    'Folder of further policy files (`*.yaml`, `*.json`), read after `policy_file` in order of name: the last one holds.',
  ),
  enforceNewDefaults: identity(
    flag(),
    true,
    'Use the rules with reader, member and manager roles; otherwise the deprecated rules hold too.',
  ),
  enforceScope: identity(flag(), true, "Refuse tokens whose scope is not one of the rule's."),

  keystoneAuthUrl: keystone(
    optional(url('http', 'https')),
    null,
    'Where this server reaches Keystone, with or without /v3. Needed by `identity: keystone`.',
  ),
  keystoneWwwAuthenticateUri: keystone(
    optional(url('http', 'https')),
    null,
    'Where clients without a token are told to get one; by default keystone_auth_url.',
  ),
  keystoneUsername: keystone(
    optional(text({ name: 'user name' })),
    null,
    'The user as whom this server validates tokens; it needs the role service or admin.',
  ),
  keystonePassword: keystone(optional(text({ name: 'password' })), null, "That user's password.", { secret: true }),
  keystoneUserDomainName: keystone(text({ name: 'domain name' }), 'Default', "That user's domain."),
  keystoneProjectName: keystone(text({ name: 'project name' }), 'service', 'The project in which it has that role.'),
  keystoneProjectDomainName: keystone(text({ name: 'domain name' }), 'Default', "That project's domain."),
  keystoneApplicationCredentialId: keystone(
    optional(text({ name: 'id' })),
    null,
    'An application credential instead of user and password.',
  ),
  keystoneApplicationCredentialSecret: keystone(
    optional(text({ name: 'secret' })),
    null,
    'The secret of that credential.',
    { secret: true },
  ),
  keystoneCafile: keystone(
    optional(path()),
    null,
    "PEM file of the authority that signed Keystone's certificate; by default those Node knows.",
  ),
  keystoneInsecure: keystone(flag(), false, "Do not verify Keystone's certificate: for laboratories."),
  keystoneHttpTimeout: keystone(
    duration(),
    10,
    'How long a request waits for Keystone, attempts included; then it is answered 503.',
  ),
  keystoneHttpRequestMaxRetries: keystone(
    whole(0, 10),
    3,
    'Attempts after the first when a connection fails or Keystone errs.',
  ),
  keystoneTokenCacheTime: keystone(
    duration(0),
    300,
    'How long a validated token is not asked about again; one that is revoked is accepted at most so long. 0s asks at each request.',
  ),
  keystoneServiceTokenRoles: keystone(
    list(text({ name: 'role' })),
    ['service'],
    'With one of these roles a service token lets an expired user token pass.',
  ),
  keystoneServiceTokenRolesRequired: keystone(flag(), false, 'Refuse service tokens that have none of these roles.'),
  keystoneServiceType: keystone(
    text({ name: 'service type' }),
    'network',
    'What access rules of application credentials call this service.',
  ),

  tenantNetworkTypes: networks(
    list(oneOf('local', 'vlan', 'vxlan', 'geneve', 'gre')),
    ['vxlan'],
    'Segment types for networks that name none, tried in order.',
  ),
  vniRanges: networks(
    list(idRange(1, 16_777_215)),
    [{ first: 1, last: 65_535 }],
    'VXLAN and Geneve identifiers for tenant networks.',
  ),
  tunnelIdRanges: networks(
    list(idRange(1, 4_294_967_295)),
    [{ first: 1, last: 65_535 }],
    'GRE keys for tenant networks.',
  ),
  networkVlanRanges: networks(
    list(vlanRange()),
    [],
    'Physical networks that carry tags, and the tags tenants may draw.',
  ),
  flatNetworks: networks(
    list(text({ name: 'physical network or *', pattern: physnet })),
    ['*'],
    'Physical networks that may be used untagged; * allows any.',
  ),
  globalPhysnetMtu: networks(
    whole(68, 65_535),
    1500,
    'MTU of the physical networks and the underlay; overlay networks get less by their header.',
  ),
  pathMtu: networks(
    whole(0, 65_535),
    0,
    'MTU of the way between hosts, where it is less than global_physnet_mtu; 0: it is not.',
  ),
  physicalNetworkMtus: networks(
    list(physnetMtu()),
    [],
    'Physical networks whose MTU is less than global_physnet_mtu, each as physnet:mtu.',
  ),
  overlayIpVersion: networks(
    oneOf('4', '6'),
    '4',
    'IP version of the underlay: what an outer header takes of the MTU.',
  ),
  baseMac: networks(
    text({ name: 'MAC address', pattern: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, example: 'fa:16:3e:00:00:00' }),
    'fa:16:3e:00:00:00',
    'Start of generated MAC addresses; the first three octets stay, the fourth too when it is not 00.',
  ),

  dnsDomain: networks(
    text({ name: 'domain', pattern: /^([a-zA-Z0-9_-]{1,63}(\.|$))*$/, example: 'cloud.example.org' }),
    'openstacklocal',
    'Domain of the names of ports, as their dns_assignment says them; DHCP hands it out where a network has no dns_domain.',
  ),

  maxAllowedAddressPair: limits(whole(0, 10_000), 10, 'Allowed address pairs on one port.'),
  maxDnsNameservers: limits(whole(0, 1000), 5, 'Name servers on one subnet.'),
  maxSubnetHostRoutes: limits(whole(0, 10_000), 20, 'Host routes on one subnet.'),
  maxBulkItems: limits(whole(1, 1_000_000), 1000, 'Objects that one request may create.'),
  paginationMaxLimit: limits(whole(-1, 1_000_000), -1, 'Longest page of a list; -1 is without limit.'),

  quotaNetwork: quota('networks', 100),
  quotaSubnet: quota('subnets', 100),
  quotaSubnetpool: quota('subnet pools', -1),
  quotaPort: quota('ports', 500),
  quotaRouter: quota('routers', 10),
  quotaFloatingip: quota('floating IPs', 50),
  quotaSecurityGroup: quota('security groups', 10),
  quotaSecurityGroupRule: quota('security group rules', 100),
  quotaRbacPolicy: quota('RBAC policies', 10),
  quotaAddressGroup: quota('address groups', -1),
  quotaTrunk: quota('trunks', -1),

  agentDownTime: agents(duration(), 75, 'An agent that was silent for so long counts as down.'),
  heartbeatInterval: agents(duration(), 30, 'How often agents report; at most half of agent_down_time.'),
  dhcpAgentsPerNetwork: agents(
    whole(1, 8),
    1,
    'DHCP agents that keep a network served while no port of it has a host.',
  ),
  maxL3AgentsPerRouter: agents(whole(2, 8), 3, 'L3 agents of a router with high availability.'),
  allowAutomaticL3agentFailover: agents(flag(), false, 'Give the routers of an L3 agent that is down to others.'),
  allowAutomaticDhcpFailover: agents(flag(), true, 'Give the networks of a DHCP agent that is down to others.'),
  defaultAvailabilityZones: agents(
    list(text({ name: 'availability zone' })),
    [],
    'Zones of networks and routers that name none; by default any.',
  ),
  ...outboxFields,

  logLevel,
} as const satisfies Fields

const connection = group('Connection')
const host = group('Host')

export const agentFields = {
  serverUrls: connection(
    list(url('ws', 'wss', 'ws+unix')),
    ['ws://127.0.0.1:9697'],
    'Servers, tried in order: wss://, on this machine also ws:// or ws+unix:PATH:/agent.',
    { flag: 'server' },
  ),
  credentialFile: connection(
    optional(path()),
    null,
    "This host's credential, written by `deuteron agent enrol`; by default `credential` in the state folder.",
  ),
  tlsCa: connection(optional(path()), null, "PEM file of the authority that signed the servers' certificates.", {
    flag: 'tls-ca',
  }),
  insecureServer: connection(
    flag(),
    false,
    'Speak to servers on other machines without TLS: for laboratories, where the wire is ours.',
  ),
  heartbeatInterval: connection(duration(), 30, 'How often this agent reports.'),

  host: host(
    text({ name: 'host name', pattern: /^[A-Za-z0-9_.-]{1,255}$/ }),
    hostname(),
    'Name of this host, as in binding:host_id.',
    {
      defaultText: "the machine's host name",
    },
  ),
  hostTag: host(
    optional(text({ name: 'host tag', pattern: /^[A-Za-z0-9_.-]{1,64}$/ })),
    null,
    "Stands in names that agents on one machine share, as those of DHCP namespaces; by default the host's name.",
  ),
  stateDir: host(path(), underHome('agent'), 'Folder for the last known state and stable ids.', {
    flag: 'state',
    defaultText: '~/.local/share/deuteron/agent; as root /var/lib/deuteron/agent',
  }),
  dataplane: host(oneOf('ovs', 'sim'), 'ovs', 'What moves the packets: Open vSwitch, or nothing (a simulation).'),
  ovsdb: host(
    text({ name: 'OVSDB address', pattern: /^(unix:\/.+|tcp:.+:\d+)$/, example: 'unix:/var/run/openvswitch/db.sock' }),
    'unix:/var/run/openvswitch/db.sock',
    "Where this host's ovsdb-server listens.",
  ),
  integrationBridge: host(
    text({ name: 'bridge name', pattern: /^\S{1,15}$/ }),
    'br-int',
    'The bridge that virtual machines are plugged into; made when missing.',
  ),
  datapathType: host(oneOf('system', 'netdev'), 'system', 'Datapath of the bridges: the kernel, or user space.'),
  tunnelingIp: host(
    optional(address()),
    null,
    "This host's address for tunnels; without it no overlay network reaches this host.",
  ),
  tunnelTypes: host(list(oneOf('vxlan', 'geneve', 'gre')), ['vxlan', 'geneve'], 'Tunnels this host can end.'),
  bridgeMappings: host(
    mapping('physnet', 'bridge'),
    {},
    'Physical networks this host is plugged into, and by which bridge.',
  ),

  availabilityZone: host(
    text({ name: 'availability zone', pattern: /^[^,]{1,255}$/ }),
    'nova',
    'The zone of this host, for networks and routers that ask for one.',
  ),

  logLevel,
} as const satisfies Fields

export type ServerSettings = ValuesOf<typeof serverFields>
export type AgentSettings = ValuesOf<typeof agentFields>
