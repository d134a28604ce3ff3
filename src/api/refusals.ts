/**
 * What is refused before there is a request: bytes that are no HTTP, headers too large, a request that does not arrive
 * in time. The answers have the form of all others.
 */
import { maxHeaderSize, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ApiError } from '#kernel/errors.ts'
import { errorBody } from './errors.ts'

/** Node's codes of what is wrong with a connection's bytes. */
function refusalOf(code: string | undefined): ApiError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('RequestHeaderTooLarge', { limit: maxHeaderSize })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('RequestTimeout')
    default:
      return new ApiError('HTTPBadRequest', { reason: 'The request is not well-formed HTTP' })
  }
}

/** Answers and closes the connection: where the next request would begin is unknown. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const refusal = refusalOf(error.code)
  const body = JSON.stringify(errorBody(refusal))
  socket.end(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
