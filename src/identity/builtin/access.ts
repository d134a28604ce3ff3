/** What routes over the directory share: who may ask, finding the one that is meant, names that are taken. */
import { type Directory, DOMAIN } from './directory.ts'
import { type Call, forbidden, IdentityError, notFound, optionalTextIn, type Route } from './http.ts'
import { readsAll, requireAdmin, requireSession, type Session } from './session.ts'

export interface DirectoryContext {
  readonly read: () => Directory
  readonly update: <R>(change: (draft: Directory) => R) => R
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** An answer that has the directory at hand. */
export type Handler = (context: DirectoryContext, call: Call) => ReturnType<Route['answer']>

export const sessionFor = ({ read, clock }: DirectoryContext, call: Call): Session =>
  requireSession(read(), call.headers, clock())

/** `action` is how Keystone's policy calls it; refusals name it. */
export const forAdmins =
  (action: string, handler: Handler): Handler =>
  (context, call) => {
    requireAdmin(sessionFor(context, call), action)
    return handler(context, call)
  }

export const forReaders =
  (action: string, handler: Handler): Handler =>
  (context, call) => {
    if (!readsAll(sessionFor(context, call))) throw forbidden(action)
    return handler(context, call)
  }

/** Readers, and the user whom the path names. */
export const forOneself =
  (action: string, handler: Handler): Handler =>
  (context, call) => {
    const session = sessionFor(context, call)
    if (session.user.id !== call.params['user'] && !readsAll(session)) throw forbidden(action)
    return handler(context, call)
  }

export const routesOf = (
  context: DirectoryContext,
  table: readonly (readonly [Route['method'], string, Handler])[],
): Route[] => table.map(([method, path, handler]) => ({ method, path, answer: (call) => handler(context, call) }))

/** The one with that id. @throws IdentityError 404 */
export function the<T extends { readonly id: string }>(what: string, all: readonly T[], id: string | undefined): T {
  const found = all.find((one) => one.id === id)
  if (!found) throw notFound(what, id ?? '')
  return found
}

/** @throws IdentityError 409 when another than `self` has the name */
export function refuseSameName(
  what: string,
  all: readonly { readonly id: string; readonly name: string }[],
  { id, name }: { readonly id: string; readonly name: string },
): void {
  if (all.some((one) => one.name === name && one.id !== id))
    throw new IdentityError(
      409,
      `Conflict occurred attempting to store ${what} - it is not permitted to have two ${what}s with the same name in the same domain: ${name}.`,
    )
}

/** There is one domain. @throws IdentityError 404 when another is asked for */
export function refuseForeignDomain(given: Readonly<Record<string, unknown>>): void {
  const domain = optionalTextIn(given, 'domain_id')
  if (domain !== undefined && domain !== DOMAIN.id) throw notFound('domain', domain)
}

/** Those that fit `name`, `enabled` and `domain_id` of the query, as far as they are given. */
export function fitting<T extends { name: string; enabled: boolean }>(all: readonly T[], query: URLSearchParams): T[] {
  const domain = query.get('domain_id')
  const name = query.get('name')
  const enabled = query.get('enabled')
  return all.filter(
    (one) =>
      (domain === null || domain === DOMAIN.id) &&
      (name === null || one.name === name) &&
      (enabled === null || one.enabled === !/^(0|false|no)$/i.test(enabled)),
  )
}
