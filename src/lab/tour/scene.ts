/** What the acts of the tour play with. */
import type { Api } from '../api.ts'
import type { Lab, VmState } from '../state.ts'
import type { Stage } from './stage.ts'

export interface Scene {
  readonly lab: Lab
  readonly api: Api
  readonly stage: Stage
  readonly vms: ReadonlyMap<string, VmState>
}

export const vmOf = ({ vms }: Scene, name: string): VmState => {
  const vm = vms.get(name)
  if (!vm) throw new Error(`the tour has no VM ${name}`)
  return vm
}

export const ipOf = (vm: VmState): string => vm.addresses.find((a) => !a.includes(':'))?.split('/')[0] ?? ''
