/** Port forwardings of floating IPs: the aliases clients look for. */
import { defineExtension, type Extension } from '#model/define.ts'
import { portUse } from '../port-uses.ts'
import { portForwarding } from './forwarding.ts'
import { forwardedPorts, forwardingFloatingIps } from './parts.ts'

const more = (alias: string, name: string, description: string, updated: string, on: Extension['on'] = {}): Extension =>
  defineExtension({ alias, name, description, updated, requires: ['floating-ip-port-forwarding'], on })

export const portForwardings: readonly Extension[] = Object.freeze([
  defineExtension({
    alias: 'floating-ip-port-forwarding',
    name: 'Floating IP Port Forwarding',
    description: 'Ports of a floating IP that lead to ports behind a router.',
    updated: '2018-01-19T10:00:00-00:00',
    requires: ['router'],
    resources: [portForwarding, portUse],
    on: { port: forwardedPorts },
  }),
  more(
    'floating-ip-port-forwarding-description',
    'Floating IP Port Forwarding new attribute description',
    'Port forwardings have a description.',
    '2019-11-01T10:00:00-00:00',
  ),
  more(
    'floating-ip-port-forwarding-port-ranges',
    'Floating IP Port Forwarding support port ranges',
    'Several ports forwarded at once.',
    '2020-07-01T10:00:00-00:00',
  ),
  more(
    'expose-port-forwarding-in-fip',
    'Expose Floating IP port forwardings',
    'A floating IP shows its port forwardings.',
    '2018-06-28T16:00:00-00:00',
    { floatingip: forwardingFloatingIps },
  ),
  more(
    'floating-ip-port-forwarding-detail',
    'Floating IP port forwarding detail',
    'The port forwardings a floating IP shows have their ids.',
    '2022-05-06T10:00:00-00:00',
  ),
])
