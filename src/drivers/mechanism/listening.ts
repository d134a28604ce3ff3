/**
 * Drivers that bind nothing. `logger` writes what became of bindings into the log. `l2population` is a name that
 * configurations carry along: what it did, telling every tunnel end who is where, is done by the feed for all drivers.
 */
import type { BindingAnswer, BindingChange, MechanismDriver } from '#core/contracts.ts'
import type { Logger } from '#kernel/log.ts'

const listening = (name: string): MechanismDriver => ({
  name,
  connectivity: 'l2',
  vnicTypes: [],
  bind: (): BindingAnswer => ({
    refused: 'binds_nothing',
    facts: {},
    remedy: `Nothing: ${name} binds no ports, another driver must.`,
  }),
})

export const l2populationDriver: MechanismDriver = listening('l2population')

export const loggerDriver = (log: Logger): MechanismDriver => ({
  ...listening('logger'),
  follow: async (change) => {
    const changed = bindingIn(change)
    if (changed) log.info(changed, 'a binding changed')
  },
})

const BINDING = ['binding:host_id', 'binding:vnic_type', 'binding:vif_type', 'binding:vif_details', 'binding:levels']
/** The same of a binding in waiting, whose attributes have plain names. */
const WAITING = ['host', 'vnic_type', 'vif_type', 'vif_details', 'levels', 'status']

/** What of a change concerns bindings: the attributes that differ, before and after. Null: nothing. */
export function bindingIn({ kind, id, op, generation, before, after }: BindingChange): Record<string, unknown> | null {
  const names = kind === 'port' ? BINDING : kind === 'port_binding' ? WAITING : []
  const changed = names.filter((name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]))
  if (changed.length === 0) return null
  const of = (image: BindingChange['before']) => image && Object.fromEntries(changed.map((name) => [name, image[name]]))
  return { kind, id, op, generation, before: of(before), after: of(after) }
}
