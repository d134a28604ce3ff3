/** Where things are: the links of pages and of version documents. */
import type { ListRequest } from '#core/reading/query.ts'
import type { Listing } from '#core/reading/read.ts'
import type { FastifyRequest } from 'fastify'

export interface Link {
  readonly rel: string
  readonly href: string
}

/** As the client has it; a client of HTTP/1.0 may not say. */
export const baseUrl = ({ protocol, host, socket }: FastifyRequest): string =>
  `${protocol}://${host || `${socket.localAddress}:${socket.localPort}`}`

/** True of what can stand in a link: a name or an address, and a port. */
export const isHost = (host: string): boolean =>
  host === '' || (/^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i.test(host) && URL.canParse(`http://${host}`))

/**
 * As Neutron has them: `next` unless the last page was reached forwards, `previous` unless the first was backwards.
 * Clients that page by links follow them until one leads to an empty page.
 */
export function pageLinks(
  request: FastifyRequest,
  { limit, reverse }: ListRequest,
  { count, first, last }: Listing,
): Link[] {
  const link = (rel: string, id: string | null, backwards: boolean): Link => {
    const url = new URL(request.url, baseUrl(request))
    url.searchParams.delete('marker')
    url.searchParams.delete('page_reverse')
    if (id !== null) url.searchParams.set('marker', id)
    if (backwards) url.searchParams.set('page_reverse', 'True')
    return { rel, href: url.href }
  }
  const short = count < (limit ?? 0)
  return [
    ...(short && !reverse ? [] : [link('next', last, false)]),
    ...(short && reverse ? [] : [link('previous', first, true)]),
  ]
}
