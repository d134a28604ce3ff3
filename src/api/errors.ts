/** Errors on the wire, in OpenStack's form; what is not in the catalogue is logged and answered as a 500 without details. */
import { ApiError } from '#kernel/errors.ts'
import type { Logger } from '#kernel/log.ts'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/**
 * `{"NeutronError": {type, message, detail}}`, with `facts` where there are some; 401 in the form of Keystone's
 * middleware. `detail` is a text: clients append it to the message, and lose the type when it is none.
 */
export function errorBody(error: ApiError): Record<string, unknown> {
  if (error.type === 'Unauthorized') return { error: { code: 401, title: 'Unauthorized', message: error.message } }
  const { type, message, detail, facts } = error
  return { NeutronError: { type, message, detail, ...(Object.keys(facts).length > 0 && { facts }) } }
}

/** What Fastify itself refuses, in our words. */
function fromFramework(error: FastifyError, request: FastifyRequest): ApiError | null {
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new ApiError('MalformedRequestBody', { reason: 'it is not valid JSON' })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError('MalformedRequestBody', {
        reason: `content type ${String(request.headers['content-type'] ?? 'none')} is not application/json`,
      })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError('RequestBodyTooLarge', { limit: request.server.initialConfig.bodyLimit })
    case 'FST_ERR_BAD_URL':
      return new ApiError('HTTPBadRequest', { reason: 'The path has a percent sign that encodes nothing' })
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new ApiError('HTTPNotFound')
    default:
      return error instanceof SyntaxError || error.statusCode === 400
        ? new ApiError('MalformedRequestBody', { reason: 'it is not valid JSON' })
        : null
  }
}

/** Without the query, in which clients may have written what is nobody's business. */
const pathOf = ({ url }: FastifyRequest): string => url.replace(/[?#].*/s, '')

/** `authenticateUri`: where clients get a token; by default /identity of the host they called. */
export const createErrorHandler =
  (log: Logger, authenticateUri?: string) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const known = error instanceof ApiError ? error : fromFramework(error, request)
    if (!known)
      log.error(
        { err: error, method: request.method, path: pathOf(request), request_id: request.id },
        'a request failed',
      )
    const shown = known ?? new ApiError('HTTPInternalServerError')
    if (shown.status === 401) {
      const uri = authenticateUri ?? `${request.protocol}://${request.host}/identity`
      void reply.header('www-authenticate', `Keystone uri="${uri}"`)
    }
    if (shown.status === 503) void reply.header('retry-after', '1')
    void reply.code(shown.status).type('application/json').send(errorBody(shown))
  }
