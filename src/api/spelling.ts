/**
 * Ways of writing a URL that lead to one route, as in Neutron: collections with dashes and with underscores, `.json`
 * or a slash at the end, and a proxy's form, with the host in front.
 */
import type { Model } from '#model/compose.ts'
import { collectionPath } from '#model/paths.ts'

const withDashes = (name: string): string => name.replaceAll('_', '-')

/** Puts a URL below /v2.0 into the spelling its route has; leaves every other path alone. */
export function spelling(model: Model): (url: string) => string {
  const routes = new Map<string, string>()
  for (const resource of model.resources.values()) {
    const name = collectionPath(model, resource).split('/')[2]
    if (name !== undefined) routes.set(withDashes(name), name)
  }
  return (target) => {
    const url = withoutEnding(originForm(target))
    const name = /^\/v2\.0\/([^/?#.]+)/.exec(url)?.[1]
    const route = name !== undefined && /[-_]/.test(name) ? routes.get(withDashes(name)) : undefined
    return name === undefined || route === undefined || route === name ? url : url.replace(name, route)
  }
}

const originForm = (target: string): string =>
  target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*(?=\/)/i, '')

/** A tag may end so itself; the document is called so. */
const withoutEnding = (url: string): string =>
  url
    .replace(/^(\/v2\.0\/(?!openapi\.)(?![^?]*\/tags\/)[\w/-]+)\.json(?=\?|$)/, '$1')
    .replace(/^(\/v2\.0\/[^?]*[^/?])\/(?=\?|$)/, '$1')
