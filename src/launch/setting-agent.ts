/** Every setting of the agent. */
import { hostname } from 'node:os'
import { type Fields, group, logLevel, underHome, type ValuesOf } from './setting-field.ts'
import { excludedDevices, pciDevice, physnetDevice } from './setting-devices.ts'
import { address, duration, flag, list, mapping, oneOf, optional, path, text, url } from './setting-kinds.ts'

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
  physicalDeviceMappings: host(
    list(physnetDevice()),
    [],
    'Physical networks and the SR-IOV cards of this host on each, as physnet:device; a network may have several.',
  ),
  pciDevices: host(
    list(pciDevice()),
    [],
    'Virtual functions that ports may be given, as slot@physnet or slot@physnet@vendor:product; without it any that Nova names. Finds mistakes before a server starts; where none of them is there the card is simulated, for laboratories.',
  ),
  excludeDevices: host(
    list(excludedDevices()),
    [],
    'Virtual functions of cards that ports are not given, as device:slot;slot.',
  ),
  physicalInterfaceMappings: host(
    mapping('physnet', 'interface'),
    {},
    'Physical networks and the interface of this host above which macvtap devices are made.',
  ),

  availabilityZone: host(
    text({ name: 'availability zone', pattern: /^[^,]{1,255}$/ }),
    'nova',
    'The zone of this host, for networks and routers that ask for one.',
  ),

  logLevel,
} as const satisfies Fields

export type AgentSettings = ValuesOf<typeof agentFields>
