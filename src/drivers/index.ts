/** What is built in: the type drivers as configured, and the mechanism drivers by name. */
import type { MechanismDriver, TypeDriver } from '#core/contracts.ts'
import type { Logger } from '#kernel/log.ts'
import { bpfDriver } from './mechanism/bpf.ts'
import { l2populationDriver, loggerDriver } from './mechanism/listening.ts'
import { macvtapDriver } from './mechanism/macvtap.ts'
import { openvswitchDriver } from './mechanism/openvswitch.ts'
import { sriovnicswitchDriver } from './mechanism/sriovnicswitch.ts'
import { vtepDriver } from './mechanism/vtep/driver.ts'
import { flatDriver } from './type/flat.ts'
import { localDriver } from './type/local.ts'
import { type IdRange, tunnelDriver } from './type/tunnel.ts'
import { type VlanRange, vlanDriver } from './type/vlan.ts'

export interface TypeSettings {
  readonly vniRanges: readonly IdRange[]
  /** Null: as VXLAN's. */
  readonly geneveVniRanges: readonly IdRange[] | null
  /** Bytes. */
  readonly geneveMaxHeaderSize: number
  readonly tunnelIdRanges: readonly IdRange[]
  readonly networkVlanRanges: readonly VlanRange[]
  readonly flatNetworks: readonly string[]
}

export const typeDrivers = (settings: TypeSettings): ReadonlyMap<string, TypeDriver> =>
  new Map(
    [
      flatDriver(settings.flatNetworks),
      vlanDriver(settings.networkVlanRanges),
      tunnelDriver('vxlan', settings.vniRanges),
      tunnelDriver('geneve', settings.geneveVniRanges ?? settings.vniRanges, settings.geneveMaxHeaderSize),
      tunnelDriver('gre', settings.tunnelIdRanges),
      localDriver,
    ].map((driver) => [driver.type, driver]),
  )

export const mechanismDrivers = (log: Logger): ReadonlyMap<string, MechanismDriver> =>
  new Map(
    [
      openvswitchDriver,
      sriovnicswitchDriver,
      macvtapDriver,
      bpfDriver,
      vtepDriver,
      l2populationDriver,
      loggerDriver(log),
    ].map((driver) => [driver.name, driver]),
  )
