/**
 * From the configured names to the mechanism drivers, in order: those that are built in, and those of others, which are
 * modules found by path or package name. Everything that is wrong is found at start and told together.
 */
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MechanismDriver } from '#core/contracts.ts'
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import { VNIC_TYPES } from '#resources/port.ts'
import { offered } from './mechanism/agent-based.ts'
import { describedAsDriver } from './shape.ts'

interface DriverVnicType {
  readonly driver: string
  readonly vnic_type: string
}

export interface MechanismSettings {
  /** Names, absolute paths of modules, names of packages. */
  readonly mechanismDrivers: readonly string[]
  readonly vnicTypeProhibitList: readonly DriverVnicType[]
  readonly vnicTypeAllowList: readonly DriverVnicType[]
}

/** What a driver's module is handed when its default export is a function. */
export interface DriverTools {
  readonly log: Logger
  /** An error for the client, 400 InvalidInput; for `check` to answer and `inTx` to throw. */
  readonly invalid: (sentence: string) => ApiError
}

const toolsFor = (name: string, log: Logger): DriverTools => ({
  log: log.child({ driver: name }),
  invalid: (sentence) => new ApiError('InvalidInput', { error_message: sentence }),
})

/** The drivers cannot be used; a line for each reason when there are several. */
export class DriverError extends Error {
  constructor(problems: readonly string[]) {
    super(
      problems.length === 1
        ? `${problems[0]}.`
        : `these mechanism drivers cannot be used:${problems.map((one) => `\n  - ${one}`).join('')}`,
    )
    this.name = 'DriverError'
  }
}

/** @throws DriverError with every problem found */
export async function loadMechanismDrivers(
  settings: MechanismSettings,
  builtIn: ReadonlyMap<string, MechanismDriver>,
  log: Logger,
): Promise<readonly MechanismDriver[]> {
  const problems: string[] = []
  const drivers: MechanismDriver[] = []
  for (const name of settings.mechanismDrivers) {
    const found = builtIn.get(name) ?? (await fromOutside(name, [...builtIn.keys()], log))
    if (typeof found === 'string') problems.push(found)
    else if (drivers.some((one) => one.name === found.name))
      problems.push(`two mechanism drivers are called ${found.name}`)
    else drivers.push(found)
  }
  const complete = problems.length === 0
  const limited = drivers.map((driver) => {
    const { vnicTypes, wrong } = permitted(driver, settings)
    problems.push(...wrong)
    return vnicTypes ? limitedTo(driver, vnicTypes) : driver
  })
  if (complete) problems.push(...unknownDrivers(drivers, settings))
  if (problems.length > 0) throw new DriverError(problems)
  return Object.freeze(limited)
}

/** The driver that a module holds, or what is wrong, without a full stop. */
async function fromOutside(name: string, builtIn: readonly string[], log: Logger): Promise<MechanismDriver | string> {
  const address = isAbsolute(name) ? pathToFileURL(name).href : packageUrl(name)
  if (address === null)
    return `there is no mechanism driver ${name}: built in are ${builtIn.join(', ')}; for one of another maker give a path (./${name}.ts) or the name of a package that is installed`
  const unread = isAbsolute(name) ? readingFault(name) : null
  if (unread !== null) return `mechanism driver ${name}: ${unread}`
  try {
    const { default: held } = (await import(address)) as { readonly default?: unknown }
    const described = describedAsDriver(typeof held === 'function' ? await held(toolsFor(name, log)) : held)
    return 'driver' in described ? described.driver : `mechanism driver ${name} is none: ${described.wrong}`
  } catch (error) {
    return `mechanism driver ${name} could not be loaded: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Why a file cannot be read, by the user as whom we run; null: it can. */
function readingFault(file: string): string | null {
  try {
    accessSync(file, constants.R_OK)
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? 'there is no such file' : `${userInfo().username} cannot read it (${code})`
  }
}

/** Null: there is no such package. It is looked for from the present folder up, then beside us. */
function packageUrl(name: string): string | null {
  for (const from of [join(process.cwd(), 'package.json'), import.meta.url]) {
    try {
      return pathToFileURL(createRequire(from).resolve(name)).href
    } catch {}
  }
  return null
}

/** What a driver may bind by the settings; null: all it can. */
function permitted(
  driver: MechanismDriver,
  { vnicTypeAllowList, vnicTypeProhibitList }: MechanismSettings,
): { readonly vnicTypes: readonly string[] | null; readonly wrong: readonly string[] } {
  const of = (list: readonly DriverVnicType[]): string[] =>
    list.flatMap((one) => (one.driver === driver.name ? [one.vnic_type] : []))
  const [allowed, prohibited] = [of(vnicTypeAllowList), of(vnicTypeProhibitList)]
  if (allowed.length + prohibited.length === 0) return { vnicTypes: null, wrong: [] }
  const all = driver.vnicTypes ?? VNIC_TYPES
  const wrong = [...allowed, ...prohibited]
    .filter((type) => !all.includes(type))
    .map((type) => `${driver.name} does not bind ${type}, only ${all.join(', ') || 'nothing'}`)
  const vnicTypes = (allowed.length > 0 ? allowed : all).filter((type) => !prohibited.includes(type))
  return { vnicTypes, wrong: vnicTypes.length > 0 ? wrong : [...wrong, `${driver.name} may not bind anything`] }
}

/** Lists that name a driver which is not in use are mistakes. */
const unknownDrivers = (
  drivers: readonly MechanismDriver[],
  { vnicTypeAllowList, vnicTypeProhibitList }: MechanismSettings,
): readonly string[] =>
  [...new Set([...vnicTypeAllowList, ...vnicTypeProhibitList].map((one) => one.driver))]
    .filter((name) => !drivers.some((one) => one.name === name))
    .map((name) => `${name} has a list of vnic_types and is not among the mechanism drivers`)

const limitedTo = (driver: MechanismDriver, vnicTypes: readonly string[]): MechanismDriver => ({
  ...driver,
  vnicTypes,
  bind: (facts, outside) => offered(facts.port.vnic_type, vnicTypes) ?? driver.bind(facts, outside),
})
