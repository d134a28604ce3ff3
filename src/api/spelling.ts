/** Collections are written with dashes by some clients and with underscores by others; Neutron takes both. */
import type { Model } from '#model/compose.ts'
import { collectionPath } from '#model/paths.ts'

const withDashes = (name: string): string => name.replaceAll('_', '-')

/** Puts the collection of a path below /v2.0 into the spelling its route has; leaves every other URL alone. */
export function spelling(model: Model): (url: string) => string {
  const routes = new Map<string, string>()
  for (const resource of model.resources.values()) {
    const name = collectionPath(model, resource).split('/')[2]
    if (name !== undefined) routes.set(withDashes(name), name)
  }
  return (url) => {
    const name = /^\/v2\.0\/([^/?#.]+)/.exec(url)?.[1]
    const route = name !== undefined && /[-_]/.test(name) ? routes.get(withDashes(name)) : undefined
    return name === undefined || route === undefined || route === name ? url : url.replace(name, route)
  }
}
