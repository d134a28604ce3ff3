/** Where things are: the links of pages and of version documents. */
import type { ListRequest } from '#core/query.ts'
import type { ListAnswer } from '#core/read.ts'
import type { FastifyRequest } from 'fastify'

export interface Link {
  readonly rel: string
  readonly href: string
}

export const baseUrl = (request: FastifyRequest): string => `${request.protocol}://${request.host}`

/**
 * As Neutron has them: `next` unless the last page was reached forwards, `previous` unless the first was backwards.
 * Clients that page by links follow them until one leads to an empty page.
 */
export function pageLinks(
  request: FastifyRequest,
  { limit, reverse }: ListRequest,
  { items, first, last }: ListAnswer,
): Link[] {
  const link = (rel: string, id: string | null, backwards: boolean): Link => {
    const url = new URL(request.url, baseUrl(request))
    url.searchParams.delete('marker')
    url.searchParams.delete('page_reverse')
    if (id !== null) url.searchParams.set('marker', id)
    if (backwards) url.searchParams.set('page_reverse', 'True')
    return { rel, href: url.href }
  }
  const short = items.length < (limit ?? 0)
  return [
    ...(short && !reverse ? [] : [link('next', last, false)]),
    ...(short && reverse ? [] : [link('previous', first, true)]),
  ]
}
