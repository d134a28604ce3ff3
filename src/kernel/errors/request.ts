/** What is wrong with a request itself, who makes it, and what is not the client’s fault. */
import { define } from './spec.ts'

export const requestErrors = define({
  HTTPBadRequest: {
    status: 400,
    message: '%(reason)s',
    when: 'A body, attribute, parameter or header is wrong; `facts.reason` and `facts.issues` say more.',
  },
  BadRequest: {
    status: 400,
    message: 'Bad %(resource)s request: %(msg)s.',
    when: 'What is asked for together does not go together.',
  },
  InvalidInput: {
    status: 400,
    message: 'Invalid input for operation: %(error_message)s.',
    when: 'Values are well formed but do not fit together or do not fit what is there.',
  },
  MalformedRequestBody: {
    status: 400,
    message: 'Malformed request body: %(reason)s.',
    when: 'The body is not JSON, or not said to be.',
  },
  TenantIdProjectIdFilterConflict: {
    status: 400,
    message: 'Both tenant_id and project_id passed as filters.',
    when: '`tenant_id` and `project_id` are both filters and differ.',
  },
  RequestBodyTooLarge: {
    status: 413,
    message: 'The request body is larger than %(limit)s bytes.',
    when: 'The body is longer than the setting `max_body_size`.',
  },
  RequestHeaderTooLarge: {
    status: 431,
    message: 'The path and the header of the request are larger than %(limit)s bytes.',
    when: 'Path and header together are longer than what is read.',
  },
  RequestTimeout: {
    status: 408,
    message: 'The request was not received in time.',
    when: 'The request was not complete after `request_timeout` (its header: after a minute).',
  },
  HTTPNotFound: { status: 404, message: 'The resource could not be found.', when: 'No such path.' },
  HTTPMethodNotAllowed: {
    status: 405,
    message: 'The method %(method)s is not allowed for this resource.',
    when: 'The path exists, with other methods.',
  },
  Conflict: {
    status: 409,
    message: 'The request stands in the way of itself, or of others that write the same again and again: %(reason)s',
    when: 'Objects of one request exclude each other, or other requests keep changing what this one changes.',
  },
  BadAsOf: {
    status: 400,
    message: "'%(value)s' is not a valid instant for as_of: %(reason)s.",
    when: '`as_of` is no RFC 3339 instant, or lies outside what the change log covers.',
  },
  RevisionNumberConstraintFailed: {
    status: 412,
    message: 'Constrained to %(expected)s, but current revision is %(current)s',
    when: 'The object has another revision than `If-Match` says.',
  },
  IdempotencyKeyReused: {
    status: 422,
    message: "Idempotency-Key '%(key)s' was already used with another request.",
    when: 'The key was used with another method, path or body.',
  },
  ExtensionNotFound: {
    status: 404,
    message: 'Extension with alias %(alias)s does not exist',
    when: 'No extension has this alias.',
  },
  Unauthorized: {
    status: 401,
    message: 'The request you have made requires authentication.',
    when: 'The token is missing, malformed, expired or revoked. The body has the form of Keystone’s middleware.',
  },
  IdentityUnavailable: {
    status: 503,
    message: 'Keystone cannot validate the token; try again: %(reason)s',
    when: 'Keystone is down, too slow or does not trust this server; `Retry-After` says when to try again.',
  },
  PolicyNotAuthorized: {
    status: 403,
    message: '(rule:%(action)s) is disallowed by policy',
    when: 'A rule of the policy forbids it to this caller.',
  },
  AdminRequired: {
    status: 403,
    message: 'User does not have admin privileges: %(reason)s.',
    when: 'Only an administrator may do this.',
  },
  ServiceUnavailable: {
    status: 503,
    message: 'The database cannot be reached; try again: %(reason)s',
    when: 'PostgreSQL cannot be reached; `Retry-After` says when to try again.',
  },
  DatabaseFull: {
    status: 503,
    message: "The database's disk is full, so nothing was stored; free space and try again: %(reason)s",
    when: 'PostgreSQL has no room on its disk.',
  },
  HTTPInternalServerError: {
    status: 500,
    message: 'Request Failed: internal server error while processing your request.',
    when: 'A defect; the server’s log has it under the request’s id.',
  },
})
