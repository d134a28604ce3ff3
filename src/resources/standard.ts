/** The attributes most resources share: Neutron's standard attributes, and who owns the object. */
import { text, timestamp, uuid, whole } from '#model/define.ts'

export const identity = {
  id: uuid({ filter: true, sort: true }),
  /** Shown as `tenant_id` too. */
  project_id: text({ set: 'create', filter: true, sort: true }),
} as const

export const standard = {
  description: text({ set: 'always', default: '', filter: true }),
  revision_number: whole({ filter: true, max: Number.MAX_SAFE_INTEGER }),
  created_at: timestamp({ column: 'created_at' }),
  updated_at: timestamp({ column: 'updated_at' }),
} as const

/** A port with such an owner belongs to the network service itself: it disappears with its network or subnet. */
export const AUTO_DELETED_OWNERS = ['network:dhcp', 'network:distributed'] as const

/** What every link that carries IPv6 must be able to carry, in bytes (RFC 8200 §5). */
export const IPV6_MTU = 1280

/** Ports of the service itself carry no security groups and are not guarded against spoofing. */
export const isServiceOwner = (deviceOwner: string): boolean => deviceOwner.startsWith('network:')

/** Such ports stand on many hosts at once, or, replicated ones, on the hosts of their router while they name none. */
export const isDistributedOwner = (deviceOwner: string, host: string): boolean =>
  deviceOwner === 'network:dhcp' ||
  deviceOwner === 'network:router_interface_distributed' ||
  (deviceOwner === 'network:ha_router_replicated_interface' && host === '')
