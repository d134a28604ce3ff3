/**
 * Every setting of the server: its kind, default, what it is for. Names on the command line, in the environment and in
 * the file follow from the key: `listenHost` is `--listen-host`, DEUTERON_LISTEN_HOST and `listen_host`. Where Neutron has an option of the same meaning, the file's name and the default are Neutron's.
 */
import { SERVICE_USER } from './account.ts'
import { driverFields } from './setting-drivers.ts'
import { type Field, type Fields, group, logLevel, underHome, type ValuesOf } from './setting-field.ts'
import { keystoneFields } from './setting-keystone.ts'
import {
  address,
  duration,
  flag,
  idRange,
  list,
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
import { torFields } from './setting-tor.ts'

const physnet = /^[^\s:,]+$/

const serving = group('Serving')
const database = group('Database')
const identity = group('Identity and policy')
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

  ...keystoneFields,

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
  geneveVniRanges: networks(
    optional(list(idRange(1, 16_777_215))),
    null,
    'Geneve identifiers for tenant networks, where they differ; by default those of vni_ranges.',
  ),
  geneveMaxHeaderSize: networks(
    whole(30, 288),
    30,
    'Bytes a Geneve header takes of the MTU beside the outer IP header; more than 30 where hosts send options.',
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

  ...driverFields,

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

  bindingLease: agents(
    duration(1),
    86_400,
    'How long a binding of a port that is not active is kept when nobody writes it: what a live migration left that was abandoned.',
  ),
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
  ...torFields,

  logLevel,
} as const satisfies Fields

export type ServerSettings = ValuesOf<typeof serverFields>
