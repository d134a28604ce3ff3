/** Settings of the mechanism drivers: which there are, in which order they are asked, and what each may bind. */
import { isAbsolute, resolve } from 'node:path'
import { group } from './setting-field.ts'
import { type Kind, list, text } from './setting-kinds.ts'

const binding = group('Port binding')

/** A name, or a path: with a slash in front, a dot in front, or the ending of a module. */
const isPath = (name: string): boolean => name.startsWith('.') || isAbsolute(name) || /\.[cm]?[jt]s$/.test(name)

/** Paths are those of the folder in which the program starts. */
const driver = (): Kind<string> => {
  const name = text({ name: 'driver, path of a module or name of a package', pattern: /^\S+$/ })
  return {
    ...name,
    parse: (raw) => {
      const parsed = name.parse(raw)
      return 'ok' in parsed && isPath(parsed.ok) ? { ok: resolve(parsed.ok) } : parsed
    },
  }
}

/** One driver and one of the types of ports it binds. */
export interface DriverVnicType {
  readonly driver: string
  readonly vnic_type: string
}

const driverVnicType = (): Kind<DriverVnicType> => {
  const pair = text({ name: 'driver:vnic_type', pattern: /^[^\s:]+:[a-z-]+$/, example: 'openvswitch:direct' })
  return {
    ...pair,
    parse: (raw) => {
      const parsed = pair.parse(raw)
      if ('must' in parsed) return parsed
      const [name = '', vnic_type = ''] = parsed.ok.split(':')
      return { ok: Object.freeze({ driver: name, vnic_type }) }
    },
    print: (one) => `${one.driver}:${one.vnic_type}`,
  }
}

export const driverFields = {
  mechanismDrivers: binding(
    list(driver()),
    ['openvswitch', 'sriovnicswitch', 'macvtap', 'bpf', 'vtep'],
    'Mechanism drivers in the order in which they are asked; beside these `logger` and `l2population`, and drivers of others by the path of a module (./my-driver.ts) or the name of a package.',
  ),
  vnicTypeProhibitList: binding(
    list(driverVnicType()),
    [],
    'Types of ports that a driver must not bind though it could, as openvswitch:direct.',
  ),
  vnicTypeAllowList: binding(
    list(driverVnicType()),
    [],
    'Types of ports, for each driver named here, that it may bind and no others.',
  ),
} as const
