/** NDP proxies, and the routers that have them. */
import { defineExtension, type Extension } from '#model/define.ts'
import { proxiedPorts, proxyingRouters } from './parts.ts'
import { ndpProxy } from './proxy.ts'

export const ndpProxies: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'l3-ndp-proxy',
    name: 'L3 NDP Proxy',
    description: 'IPv6 addresses behind routers that the outside finds by neighbour discovery.',
    updated: '2021-06-29T10:00:00-00:00',
    requires: ['router', 'address-scope', 'floating-ip-port-forwarding'],
    resources: [ndpProxy],
    on: { port: proxiedPorts },
  }),
  defineExtension({
    alias: 'l3-ext-ndp-proxy',
    name: 'Router support to enable NDP proxy',
    description: 'Whether the gateway of a router answers for addresses behind it.',
    updated: '2020-08-25T00:00:00-00:00',
    requires: ['l3-ndp-proxy', 'ext-gw-mode'],
    on: { router: proxyingRouters },
  }),
])
