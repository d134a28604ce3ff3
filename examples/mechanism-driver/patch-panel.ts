/**
 * A mechanism driver to copy: bare metal servers whose cables somebody patched by hand. It binds ports of type
 * `baremetal` to the hosts of a list, on the physical network their cable leads to, and says who must patch what.
 *
 * Only types are imported, and Node takes types away, so the file runs wherever it lies.
 */
import { readFileSync } from 'node:fs'
import type { BindingAnswer, BindingChange, BindingFacts, MechanismDriver } from '../../src/core/contracts.ts'
import type { DriverTools } from '../../src/drivers/load.ts'
import type { Draft, Write } from '../../src/model/define.ts'

interface Cable {
  readonly switch: string
  readonly port: string
  readonly physical_network: string
}
/** By host. */
type Cables = Readonly<Record<string, Cable>>

const VNIC_TYPE = 'baremetal'
const PLUGGED_ELSEWHERE = 'other'

/** A module's default export is a driver, or a function that makes one. What it throws ends the start of the server. */
export default function patchPanel({ log, invalid }: DriverTools): MechanismDriver {
  const list = process.env['PATCH_PANEL'] ?? new URL('cables.json', import.meta.url)
  const cables = JSON.parse(readFileSync(list, 'utf8')) as Cables
  return {
    name: 'patch-panel',
    connectivity: 'l2',
    vnicTypes: [VNIC_TYPE],

    // Pure, before a port is written: what the client must not ask for.
    check: ({ after }: Write) =>
      after?.['binding:vnic_type'] === VNIC_TYPE && Object.hasOwn(profileOf(after), 'vlan')
        ? [invalid('a patch panel has no VLANs: leave vlan out of binding:profile')]
        : [],

    // Pure: a proposal, or why not. Facts hold all there is to know; nothing may be written or asked elsewhere.
    bind: ({ host, port, segment }: BindingFacts): BindingAnswer => {
      if (port.vnic_type !== VNIC_TYPE)
        return { refused: 'vnic_unsupported', facts: { vnic_type: port.vnic_type, supported: [VNIC_TYPE] } }
      const cable = cables[host]
      if (!cable) {
        const remedy = `Patch ${host} to a switch and write the cable into ${String(list)}.`
        return { refused: 'not_patched', facts: { host, patched: Object.keys(cables) }, remedy }
      }
      const { physical_network } = cable
      if (segment.network_type !== 'flat' || segment.physical_network !== physical_network)
        return {
          refused: 'physnet_not_mapped',
          facts: { wanted: segment.physical_network, mapped: [physical_network] },
        }
      return { vif_type: PLUGGED_ELSEWHERE, vif_details: { port_filter: false, connectivity: 'l2', ...cable } }
    },

    // After the commit, at least once and in order for each port; thrown errors are tried again later.
    follow: async ({ kind, id, before, after }: BindingChange) => {
      if (kind !== 'port') return
      const [from, to] = [switchOf(before), switchOf(after)]
      if (from !== to) log.info({ port: id, from, to }, 'a server is to be patched')
    },
  }
}

const profileOf = (port: Readonly<Draft>): object => (port['binding:profile'] ?? {}) as object

const switchOf = (port: Readonly<Draft> | null): string | null => {
  const { switch: name, port: socket } = (port?.['binding:vif_details'] ?? {}) as Partial<Cable>
  return name === undefined ? null : `${name} ${socket}`
}
