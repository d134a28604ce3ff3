/**
 * No identity at all: every request is believed. Without headers the caller is the administrator of one fixed project;
 * X-User-Id, X-User-Name, X-Project-Id, X-Project-Name and X-Roles (a list with commas) say otherwise, the way
 * OpenStack's services pass a caller on. X-Tenant-Id is read where X-Project-Id is missing.
 */
import type { Caller } from '#kernel/caller.ts'
import { withImplied } from './builtin/directory.ts'
import { type Headers, header, type Identity } from './identity.ts'

export const FIXED_PROJECT = 'd0000000000000000000000000000001'
export const FIXED_USER = 'd0000000000000000000000000000002'
const HOURS_24 = 24 * 3600_000

/** `clock`: milliseconds since 1970. What was authenticated stays so for 24 hours. */
export const createNone = ({ clock = Date.now }: { readonly clock?: () => number } = {}): Identity => ({
  authenticate: async (headers) => callerOf(headers, new Date(clock() + HOURS_24)),
})

function callerOf(headers: Headers, expiresAt: Date): Caller {
  const userId = header(headers, 'x-user-id') ?? FIXED_USER
  const projectId = header(headers, 'x-project-id') ?? header(headers, 'x-tenant-id') ?? FIXED_PROJECT
  const roles = header(headers, 'x-roles')?.split(',') ?? ['admin']
  return {
    userId,
    userName: header(headers, 'x-user-name') ?? (userId === FIXED_USER ? 'admin' : userId),
    projectId,
    projectName: header(headers, 'x-project-name') ?? (projectId === FIXED_PROJECT ? 'admin' : projectId),
    domainId: null,
    systemScope: null,
    roles: withImplied(roles.map((role) => role.trim().toLowerCase()).filter((role) => role !== '')),
    serviceRoles: [],
    expiresAt,
  }
}
