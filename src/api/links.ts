/** Where things are: the links of pages and of version documents. */
import type { ListRequest } from '#core/query.ts'
import type { ListAnswer } from '#core/read.ts'
import type { FastifyRequest } from 'fastify'

export interface Link {
  readonly rel: string
  readonly href: string
}

export const baseUrl = (request: FastifyRequest): string => `${request.protocol}://${request.host}`

/** `next` while a page is full, `previous` once past the first. */
export function pageLinks(
  request: FastifyRequest,
  { limit, marker, reverse }: ListRequest,
  { items, first, last }: ListAnswer,
): Link[] {
  const full = items.length === limit
  const link = (rel: string, id: string | null, backwards: boolean): Link[] => {
    if (id === null) return []
    const url = new URL(request.url, baseUrl(request))
    url.searchParams.set('marker', id)
    if (backwards) url.searchParams.set('page_reverse', 'True')
    else url.searchParams.delete('page_reverse')
    return [{ rel, href: url.href }]
  }
  const hasNext = reverse ? marker !== undefined : full
  const hasPrevious = reverse ? full : marker !== undefined
  return [...(hasNext ? link('next', last, false) : []), ...(hasPrevious ? link('previous', first, true) : [])]
}
