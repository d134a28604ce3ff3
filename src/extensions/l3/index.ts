/** Routers and what belongs to them: the aliases clients look for, and what they stand for. */
import { defineExtension, type Extension } from '#model/define.ts'
import { routerAddress } from './addresses.ts'
import { externalNetwork } from './external-network.ts'
import { floatingIp } from './floating-ip.ts'
import { floatingIpPool } from './pools.ts'
import { haNetwork, haRouters } from './ha-network.ts'
import { routerPorts } from './ports.ts'
import { router } from './router.ts'
import { routerSubnets } from './subnets.ts'

const named = (
  alias: string,
  name: string,
  description: string,
  updated: string,
  rest: Partial<Pick<Extension, 'on' | 'resources' | 'requires'>> = { requires: ['router'] },
): Extension => defineExtension({ alias, name, description, updated, ...rest })

export const l3: readonly Extension[] = Object.freeze([
  named(
    'router',
    'Neutron L3 Router',
    'Routers, their interfaces and gateways; floating IPs.',
    '2012-07-20T10:00:00-00:00',
    {
      requires: ['external-net'],
      on: { port: routerPorts, subnet: routerSubnets },
      resources: [router, floatingIp, routerAddress],
    },
  ),
  named('external-net', 'Neutron external network', 'Networks that lead outside.', '2013-01-14T10:00:00-00:00', {
    on: { network: externalNetwork },
  }),
  named(
    'ext-gw-mode',
    'Neutron L3 Configurable external gateway mode',
    'Whether a gateway translates addresses.',
    '2013-03-28T10:00:00-00:00',
  ),
  named('extraroute', 'Neutron Extra Route', 'Routes of a router’s own.', '2013-02-01T10:00:00-00:00'),
  named(
    'extraroute-atomic',
    'Atomically add/remove extra routes',
    'Adding and removing some of a router’s routes.',
    '2019-07-10T00:00:00+00:00',
    { requires: ['router', 'extraroute'] },
  ),
  named('dvr', 'Distributed Virtual Router', 'Routers on every host that needs them.', '2014-06-1T10:00:00-00:00'),
  named('l3-ha', 'HA Router extension', 'Routers on several hosts.', '2014-04-26T00:00:00-00:00', {
    requires: ['router'],
    on: { router: haRouters },
    resources: [haNetwork],
  }),
  named(
    'router-admin-state-down-before-update',
    "Enforce Router's Admin State Down Before Update Extension",
    'A router becomes distributed, or stops being so, while it is down.',
    '2019-07-02T15:56:00',
    { requires: ['dvr'] },
  ),
  named(
    'l3-port-ip-change-not-allowed',
    'Prevent L3 router ports IP address change extension',
    'The IPv4 addresses of a router’s interfaces stay.',
    '2018-10-09T10:00:00-00:00',
  ),
  named(
    'fip-port-details',
    'Floating IP Port Details Extension',
    'The port a floating IP leads to.',
    '2018-04-09T10:00:00-00:00',
  ),
  named(
    'floatingip-pools',
    'Floating IP Pools Extension',
    'Where floating IPs come from.',
    '2018-03-21T10:00:00-00:00',
    {
      requires: ['router'],
      resources: [floatingIpPool],
    },
  ),
])
