/** Who plays in the tour: the networks, ports and VMs, as data. */

export interface Role {
  readonly vm: string
  readonly network: 'blue' | 'red'
  readonly host: string
  readonly ip: string
  /** Null: the project's default group. */
  readonly group: string | null
}

/** Prefix of every name the tour gives, so that it meets nobody else's networks. */
export const PREFIX = 'tour'
export const named = (name: string): string => `${PREFIX}-${name}`

/** Two networks with one and the same prefix: the addresses of `red` stand in `blue` as well. */
export const CIDR = '10.0.0.0/24'
export const CIDR6 = 'fd00:b1ce::/64'
export const WEB_PORT = 8080
export const CLOSED_PORT = 9090

export const roles: readonly Role[] = [
  { vm: 'b1', network: 'blue', host: 'h1', ip: '10.0.0.11', group: null },
  { vm: 'b2', network: 'blue', host: 'h1', ip: '10.0.0.12', group: null },
  { vm: 'b3', network: 'blue', host: 'h2', ip: '10.0.0.13', group: null },
  { vm: 'web', network: 'blue', host: 'h3', ip: '10.0.0.14', group: 'web' },
  { vm: 'r1', network: 'red', host: 'h1', ip: '10.0.0.21', group: null },
  { vm: 'r3', network: 'red', host: 'h3', ip: '10.0.0.13', group: null },
]

export const networkCommands: readonly string[] = [
  `network create ${named('blue')}`,
  `network create ${named('red')}`,
  `security group create ${named('web')}`,
]

export const subnetCommands: readonly string[] = [
  `subnet create --network ${named('blue')} --subnet-range ${CIDR} ${named('blue')}`,
  `subnet create --network ${named('red')} --subnet-range ${CIDR} ${named('red')}`,
  `security group rule create --protocol tcp --dst-port ${WEB_PORT} ${named('web')}`,
]

export const portCommand = ({ vm, network, host, ip, group }: Role): string => {
  const groups = group === null ? '' : ` --security-group ${named(group)}`
  return `port create --network ${named(network)} --host ${host} --fixed-ip ip-address=${ip}${groups} ${named(vm)}`
}

/** What is left behind is removed in this order: ports before networks. Collection and name of each object. */
export const leftBehind: readonly (readonly [string, string])[] = [
  ...roles.map(({ vm }) => ['ports', named(vm)] as const),
  ['networks', named('blue')],
  ['networks', named('red')],
  ['security-groups', named('web')],
]
