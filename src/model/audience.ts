/** What depends on who asks: an object's audience flags, worked out for a caller's project. */
import { EVERYONE } from './attribute.ts'
import type { ComposedResource } from './compose.ts'
import type { Draft } from './define.ts'

/**
 * The object as the project sees it; what has no list yet stays as it is. `projectId` null: a caller without project
 * is part of no audience but everyone's.
 */
export function asSeenBy(
  { audiences }: Pick<ComposedResource, 'audiences'>,
  object: Readonly<Draft>,
  projectId: string | null,
): Readonly<Draft> {
  if (audiences.length === 0) return object
  const flags = audiences.flatMap(([name, { list }]) => {
    const members = object[list] as readonly string[] | undefined
    if (!members) return []
    return [[name, members.includes(EVERYONE) || (projectId !== null && members.includes(projectId))]]
  })
  return { ...object, ...Object.fromEntries(flags) }
}
