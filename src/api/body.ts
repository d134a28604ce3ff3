/** Bodies as they come in: JSON in UTF-8, of bounded depth, and nothing else. Their length Fastify bounds. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '#kernel/errors.ts'
import type { FastifyInstance } from 'fastify'

/** No attribute is nested deeper; what works on values may recurse. */
const MAX_DEPTH = 64

/** An empty body is no body; one that does not say what it is is JSON; anything else is refused. */
export function acceptJson(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ headers }) => {
    headers['content-type'] ??= 'application/json'
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') throw malformed(`content encoding ${encoding} is not read`)
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => {
    try {
      done(null, parseBody(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
}

/** Throws MalformedRequestBody. */
export function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  if (!isUtf8(body)) throw malformed('it is not UTF-8')
  const text = body.toString('utf8')
  if (depthOf(text) > MAX_DEPTH) throw malformed(`it is nested deeper than ${MAX_DEPTH} levels`)
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('it is not valid JSON')
  }
}

const malformed = (reason: string): ApiError => new ApiError('MalformedRequestBody', { reason })

/** How deep brackets are nested, outside of strings: of JSON its depth, of anything else no matter. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '\\') at++
    else if (char === '"') quoted = !quoted
    else if (quoted) continue
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth)
    else if (char === '}' || char === ']') depth--
  }
  return deepest
}
