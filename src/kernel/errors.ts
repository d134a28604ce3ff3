/**
 * The catalogue of errors a client can see: OpenStack `type`, HTTP status, message template and occasion, by area.
 *
 * Types, statuses and messages follow Neutron's (neutron-lib exceptions, Networking API v2.0 reference), so that
 * clients which match on them keep working; `facts` carry what Neutron leaves out: a machine-readable reason.
 */
import { addressGroupErrors } from './errors/address-group.ts'
import { agentErrors } from './errors/agent.ts'
import { bgpErrors } from './errors/bgp.ts'
import { bindingErrors } from './errors/binding.ts'
import { flavorErrors } from './errors/flavor.ts'
import { floatingIpErrors } from './errors/floating-ip.ts'
import { loggingErrors } from './errors/logging.ts'
import { meteringErrors } from './errors/metering.ts'
import { natErrors } from './errors/nat.ts'
import { networkErrors } from './errors/network.ts'
import { outboxErrors } from './errors/outbox.ts'
import { portErrors } from './errors/port.ts'
import { qosErrors } from './errors/qos.ts'
import { quotaErrors } from './errors/quota.ts'
import { rbacErrors } from './errors/rbac.ts'
import { requestErrors } from './errors/request.ts'
import { routerErrors } from './errors/router.ts'
import { schedulerErrors } from './errors/scheduler.ts'
import { securityGroupErrors } from './errors/security-group.ts'
import { segmentErrors } from './errors/segment.ts'
import { subnetErrors } from './errors/subnet.ts'
import { subnetPoolErrors } from './errors/subnet-pool.ts'
import { tagErrors } from './errors/tag.ts'
import { topologyErrors } from './errors/topology.ts'
import { trunkErrors } from './errors/trunk.ts'

export const catalogue = Object.freeze({
  ...requestErrors,
  ...quotaErrors,
  ...networkErrors,
  ...subnetErrors,
  ...portErrors,
  ...bindingErrors,
  ...securityGroupErrors,
  ...agentErrors,
  ...routerErrors,
  ...floatingIpErrors,
  ...natErrors,
  ...subnetPoolErrors,
  ...addressGroupErrors,
  ...rbacErrors,
  ...qosErrors,
  ...trunkErrors,
  ...segmentErrors,
  ...schedulerErrors,
  ...flavorErrors,
  ...meteringErrors,
  ...loggingErrors,
  ...tagErrors,
  ...topologyErrors,
  ...bgpErrors,
  ...outboxErrors,
})

export type ErrorType = keyof typeof catalogue
export type ErrorParams = Readonly<Record<string, unknown>>

/** An error from the catalogue, with the facts that fill its template. */
export class ApiError extends Error {
  readonly type: ErrorType
  readonly status: number
  readonly params: ErrorParams
  /** Machine-readable: `{ reason, …facts }`; empty where the type says it all. */
  readonly facts: ErrorParams
  /** For people, where the message is not enough: clients append it to the message. */
  readonly detail: string

  constructor(type: ErrorType, params: ErrorParams = {}, facts: ErrorParams = {}, detail = '') {
    super(fill(catalogue[type].message, params))
    this.name = type
    this.type = type
    this.status = catalogue[type].status
    this.params = params
    this.facts = facts
    this.detail = detail
  }
}

const fill = (template: string, params: ErrorParams): string =>
  template.replace(/%\((\w+)\)s/g, (_, key: string) => String(params[key] ?? ''))
