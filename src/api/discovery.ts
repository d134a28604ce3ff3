/** Version documents and the list of extensions. */
import { ApiError } from '#kernel/errors.ts'
import type { Model } from '#model/compose.ts'
import type { Extension } from '#model/define.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { baseUrl } from './links.ts'

const version = (request: FastifyRequest) => ({
  id: 'v2.0',
  status: 'CURRENT',
  links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/` }],
})

const shown = ({ alias, name, description, updated }: Extension) => ({ alias, name, description, updated, links: [] })

export function discoveryRoutes(app: FastifyInstance, model: Model): void {
  for (const path of ['/', '/versions']) app.get(path, async (request) => ({ versions: [version(request)] }))
  const exposed = [...model.resources.values()].filter(({ operations, parent }) => operations.length > 0 && !parent)
  const resources = exposed.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const path of ['/v2.0', '/v2.0/']) {
    app.get(path, async (request) => ({
      resources: resources.map(({ singular, plural, path: at }) => ({
        name: singular,
        collection: plural,
        links: [{ rel: 'self', href: `${baseUrl(request)}/v2.0/${at}` }],
      })),
    }))
  }
  app.get('/v2.0/extensions', async () => ({ extensions: model.extensions.map(shown) }))
  app.get<{ Params: { alias: string } }>('/v2.0/extensions/:alias', async ({ params }) => {
    const found = model.extensions.find((one) => one.alias === params.alias)
    if (!found) throw new ApiError('ExtensionNotFound', { alias: params.alias })
    return { extension: shown(found) }
  })
}
