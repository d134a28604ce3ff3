/** Operations of the core without HTTP: for tests that count, race and break them. */
import { createObjects, deleteObject, type Core, type Request, updateObject } from '#core/operation.ts'
import { showObject } from '#core/reading/read.ts'
import type { Caller } from '#kernel/caller.ts'
import { ApiError } from '#kernel/errors.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
export type Shown = Record<string, any>

export interface Direct {
  readonly caller: Caller
  make(kind: string, values: Readonly<Record<string, unknown>>): Promise<Shown>
  makeMany(kind: string, values: readonly Readonly<Record<string, unknown>>[]): Promise<Shown[]>
  update(kind: string, id: string, values: Readonly<Record<string, unknown>>): Promise<Shown>
  remove(kind: string, id: string): Promise<void>
  show(kind: string, id: string, asOf?: string): Promise<Shown>
}

export const callerOf = (project: string, roles: readonly string[] = ['admin']): Caller => ({
  userId: `user-of-${project}`,
  userName: `user of ${project}`,
  projectId: project,
  projectName: project,
  domainId: null,
  systemScope: null,
  roles: roles.includes('admin') ? ['admin', 'manager', 'member', 'reader'] : [...roles, 'reader'],
  serviceRoles: [],
  expiresAt: new Date(Date.now() + 3_600_000),
})

let requests = 0

/** Each operation is a request of its own, `req-…-<number>`. */
export function direct(core: Core, project = 'p1', roles: readonly string[] = ['admin']): Direct {
  const caller = callerOf(project, roles)
  const request = (): Request => ({
    caller,
    requestId: `req-${project}-${++requests}`,
    idempotency: null,
    ifRevision: null,
    dryRun: false,
  })
  const resource = (kind: string) => core.model.resource(kind)
  const create = async (kind: string, body: Shown): Promise<Shown> =>
    JSON.parse((await createObjects(core, resource(kind), body, request())).body)
  return {
    caller,
    make: async (kind, values) => (await create(kind, { [kind]: values }))[kind],
    makeMany: async (kind, values) => {
      const { plural } = resource(kind)
      return (await create(kind, { [plural]: values }))[plural]
    },
    update: async (kind, id, values) =>
      JSON.parse((await updateObject(core, resource(kind), { id }, { [kind]: values }, request())).body)[kind],
    remove: async (kind, id) => void (await deleteObject(core, resource(kind), { id }, request())),
    show: async (kind, id, asOf) =>
      JSON.parse(await showObject(core, resource(kind), { id }, caller, { fields: undefined, asOf })),
  }
}

/** The error's type where it is one of the catalogue, else its message. */
export const kindOf = (error: unknown): string =>
  error instanceof ApiError ? error.type : `${(error as { code?: string }).code ?? ''} ${(error as Error).message}`

/** Runs `count` workers side by side, each until `work` answers false. */
export async function workers(count: number, work: (worker: number) => Promise<boolean>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, worker) => {
      while (await work(worker));
    }),
  )
}

/** What became of each: the values, and how many failed in which way. */
export async function outcomes<T>(
  promises: readonly Promise<T>[],
): Promise<{ readonly values: T[]; readonly errors: Readonly<Record<string, number>> }> {
  const settled = await Promise.allSettled(promises)
  const values = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const errors: Record<string, number> = {}
  for (const one of settled) {
    if (one.status === 'rejected') errors[kindOf(one.reason)] = (errors[kindOf(one.reason)] ?? 0) + 1
  }
  return { values, errors }
}
