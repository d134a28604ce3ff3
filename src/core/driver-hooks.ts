/** What mechanism drivers have to say about a port being written: the last of its hooks, on delete the first. */
import type { ApiError } from '#kernel/errors.ts'
import type { Context } from '#model/context.ts'
import type { Write } from '#model/define.ts'
import type { MechanismDriver } from './contracts.ts'

type Drivers = readonly MechanismDriver[]

/** Pure: what is wrong with the write of an object of this resource, in the order of the drivers. */
export const driverIssues = (drivers: Drivers, resource: string, write: Write): readonly ApiError[] =>
  resource === 'port' ? drivers.flatMap((driver) => driver.check?.(write) ?? []) : []

/** Runs one driver after another, on delete the last first. A driver that throws undoes the operation. */
export async function runDrivers(drivers: Drivers, resource: string, context: Context, write: Write): Promise<void> {
  if (resource !== 'port') return
  for (const driver of write.op === 'delete' ? drivers.toReversed() : drivers) await driver.inTx?.(context, write)
}
