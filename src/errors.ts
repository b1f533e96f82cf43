/**
 * Every way a request can fail, by its wire code, with the status and the title it is answered with.
 * The codes are part of the contract: pages and dashboards match on them.
 */
export const FAILURES = {
  invalid_request: [400, 'The request is not valid'],
  invalid_customer_id: [400, 'The customer id is not well formed'],
  unauthenticated: [401, 'A valid credential is needed'],
  forbidden: [403, 'The caller may not do this'],
  csrf: [403, 'The request needs the header X-Requested-With'],
  origin_not_allowed: [403, 'The origin is not allowed'],
  not_found: [404, 'There is nothing here'],
  method_not_allowed: [405, 'The method is not allowed here'],
  request_timeout: [408, 'The request did not arrive in time'],
  too_large: [413, 'The body is too large'],
  uri_too_long: [414, 'The URL is too long'],
  unsupported_media_type: [415, 'The body must be JSON'],
  origin_required: [422, 'The origin of the page is needed'],
  rate_limited: [429, 'Too many requests'],
  headers_too_large: [431, 'The headers are too large'],
  internal_error: [500, 'Something went wrong here'],
  upstream_rejected: [502, 'The token service refused the request'],
  upstream_invalid: [502, 'The token service sent an unusable answer'],
  upstream_unavailable: [503, 'The token service is not available'],
  upstream_rate_limited: [503, 'The token service asks for a pause'],
  caller_check_unavailable: [503, 'The caller could not be checked'],
  cache_unavailable: [503, 'The eviction could not reach every replica'],
  limiter_unavailable: [503, 'The rate limit could not be checked'],
  overloaded: [503, 'The service is at its limit'],
  draining: [503, 'The service is stopping'],
  upstream_timeout: [504, 'The token service did not answer in time'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type FailureCode = keyof typeof FAILURES

export type FailureDetails = {
  /** For the log alone: what we know of the reason. Never reaches the caller. */
  cause?: unknown
  /** Milliseconds until another try makes sense; rounded up to whole seconds on the wire. */
  retryAfterMs?: number
  /** For 401: a credential was sent and is no good, as opposed to none sent (RFC 6750, section 3.1). */
  credentialSent?: boolean
}

/** A failure the caller is told about: `message` is fixed words, without ids and upstream text. */
export class BrokerError extends Error {
  readonly code: FailureCode
  readonly retryAfterMs: number | undefined
  readonly credentialSent: boolean

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = 'BrokerError'
    this.code = code
    this.retryAfterMs = details.retryAfterMs
    this.credentialSent = details.credentialSent ?? false
  }
}
