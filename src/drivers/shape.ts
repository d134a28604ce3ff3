/** Is it a mechanism driver? What modules of others hold is looked at once, before anything is asked of it. */
import type { MechanismDriver } from '#core/contracts.ts'

const CONNECTIVITIES = ['l2', 'l3', 'legacy']
const OPTIONAL = ['check', 'inTx', 'responsible', 'ask', 'follow'] as const

/** The driver, its methods bound to it; or what it lacks, without a full stop. */
export function describedAsDriver(held: unknown): { readonly driver: MechanismDriver } | { readonly wrong: string } {
  if (typeof held !== 'object' || held === null)
    return { wrong: 'its default export must be a driver, or a function that answers one' }
  const given = held as Readonly<Record<string, unknown>>
  const wrong = wrongIn(given)
  return wrong === null ? { driver: plain(held as MechanismDriver) } : { wrong }
}

function wrongIn({ name, connectivity, vnicTypes, bind, ...rest }: Readonly<Record<string, unknown>>): string | null {
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9_.-]{0,63}$/i.test(name))
    return 'name must be a word of at most 64 letters, digits, "_", "." and "-"'
  if (!CONNECTIVITIES.includes(connectivity as string))
    return `connectivity must be one of ${CONNECTIVITIES.join(', ')}`
  if (vnicTypes !== undefined && !(Array.isArray(vnicTypes) && vnicTypes.every((one) => typeof one === 'string')))
    return 'vnicTypes must be a list of texts'
  if (typeof bind !== 'function') return 'bind must be a function'
  const bad = OPTIONAL.find((key) => rest[key] !== undefined && typeof rest[key] !== 'function')
  return bad === undefined ? null : `${bad} must be a function`
}

/** A plain object, also of an instance of a class. */
const plain = (driver: MechanismDriver): MechanismDriver =>
  Object.freeze({
    name: driver.name,
    connectivity: driver.connectivity,
    ...(driver.vnicTypes && { vnicTypes: driver.vnicTypes }),
    bind: driver.bind.bind(driver),
    ...Object.fromEntries(OPTIONAL.flatMap((key) => (driver[key] ? [[key, driver[key].bind(driver)]] : []))),
  })
