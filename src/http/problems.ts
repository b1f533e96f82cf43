import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { BrokerError, FAILURES, type FailureCode } from '../errors.ts'
import type { Log } from '../log.ts'

/** RFC 9457. Codes and types are stable: pages and dashboards match on them. */
export const Problem = z
  .object({
    type: z.string().describe('A stable URI for the kind of problem'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(FAILURES)),
    request_id: z.string().optional().describe('Absent where the request could not be read'),
    'violated-policies': z.array(z.string()).optional().describe('The limits that were exceeded'),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457)' })

/** Registered by draft-ietf-httpapi-ratelimit-headers, so that clients know it without knowing us. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

const DEFAULT_RETRY_AFTER_MS = 1000

export function problem(code: FailureCode, detail: string, requestId?: string) {
  const [status, title] = FAILURES[code]
  return {
    type: code === 'rate_limited' ? QUOTA_EXCEEDED : `urn:token-broker:problem:${code}`,
    title,
    status,
    detail,
    code,
    ...(code === 'rate_limited' && { 'violated-policies': ['customer'] }),
    ...(requestId !== undefined && { request_id: requestId }),
  }
}

/** Whole seconds, rounded up and never 0: a client that is told 0 comes back at once, and too early. */
const retryAfterSeconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000))

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: BrokerError) {
  const [status] = FAILURES[error.code]
  // Set here too, because a path that cannot be decoded is refused before any hook.
  reply.header('x-request-id', request.id)
  if (status === 401)
    reply.header(
      'www-authenticate',
      error.credentialSent ? 'Bearer error="invalid_token"' : 'Bearer',
    )
  if (status === 429 || status === 503)
    reply.header('retry-after', retryAfterSeconds(error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS))
  return reply
    .code(status)
    .type('application/problem+json')
    .send(problem(error.code, error.message, request.id))
}

/** What Fastify and its parsers refuse, in our words. Anything not listed is a fault of ours. */
const FRAMEWORK_FAILURES: Readonly<Record<string, readonly [FailureCode, string]>> = {
  FST_ERR_BAD_URL: ['invalid_request', 'the path is not validly encoded'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['too_large', 'the body may have 16384 bytes at most'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'send the body as application/json'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid_request', 'the body and its Content-Length differ'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_request', 'the body is not valid JSON'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_request', 'the body is empty'],
  FST_ERR_CTP_INVALID_TYPE: ['unsupported_media_type', 'send the body as application/json'],
  FST_ERR_NOT_FOUND: ['not_found', 'there is no such path'],
}

/** Every failure becomes a `BrokerError`; what we do not know is logged whole and told to no one. */
export function toBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error
  if (hasZodFastifySchemaValidationErrors(error))
    return new BrokerError('invalid_request', validationDetail(error))
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known = FRAMEWORK_FAILURES[code]
  if (known) return new BrokerError(...known, { cause: error })
  // What plugins and parsers refuse carries a status and no code of its own.
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (typeof status !== 'number' || status < 400 || status > 499) return unknownFailure(error)
  if (status === 403 || status === 404) return new BrokerError('not_found', 'there is no such path')
  if (status === 413) return new BrokerError('too_large', 'the body may have 16384 bytes at most')
  if (status === 415)
    return new BrokerError('unsupported_media_type', 'send the body as application/json')
  return new BrokerError('invalid_request', 'the request is not valid')
}

const unknownFailure = (cause: unknown) =>
  new BrokerError('internal_error', 'the fault is ours, and it has been logged', { cause })

const MOST_DETAIL = 500

/** Names the field and the rule, never the value: it may be a token in the wrong place. */
function validationDetail(error: FastifyError): string {
  const part =
    error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request')
  const issues = (error.validation ?? []).map((issue) => {
    const path = issue.instancePath.replace(/^\//, '').replaceAll('/', '.')
    return `${path === '' ? '' : `${path}: `}${issue.message ?? 'is not valid'}`
  })
  const detail = `${part}: ${issues.slice(0, 5).join('; ')}`
  // An unknown field is named, and its name is as long as the caller likes.
  return detail.length > MOST_DETAIL ? `${detail.slice(0, MOST_DETAIL)}…` : detail
}

/** Covers every route: errors, unknown paths and methods, and what the parser refuses before there is a request. */
export function answerInProblems(app: FastifyInstance, log: Log = app.log): void {
  app.setErrorHandler((error, request, reply) => {
    const failure = toBrokerError(error)
    // A refused caller is not an error of ours; an upstream that fails is someone's to look at.
    if (failure.code === 'internal_error')
      log.error({ request_id: request.id, err: failure.cause }, 'internal error')
    else if (FAILURES[failure.code][0] >= 500)
      log.warn({ request_id: request.id, code: failure.code, err: failure.cause }, failure.message)
    return sendProblem(request, reply, failure)
  })

  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, nothingHere(app, request, reply)),
  )
  // Before the body is read: it may be refused for reasons that have nothing to do with the path.
  app.addHook('onRequest', (request, reply, done) =>
    done(request.is404 ? nothingHere(app, request, reply) : undefined),
  )
}

function nothingHere(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply) {
  const path = request.url.split('?', 1)[0] ?? '/'
  const matching = METHODS.filter((method) => app.findRoute({ method, url: path }) !== null)
  // A route that takes the method and finds nothing, such as a file's.
  const isTaken = matching.some((method) => method === request.method)
  if (isTaken || matching.length === 0) return new BrokerError('not_found', 'there is no such path')
  reply.header('allow', matching.join(', '))
  return new BrokerError('method_not_allowed', `this path takes ${matching.join(', ')}`)
}

const METHODS = ['GET', 'POST', 'DELETE'] as const

const PARSER_FAILURES: Readonly<Record<string, readonly [FailureCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'the headers may have 16 KiB at most'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'the request did not arrive in time'],
}

/** `rawPacket` is not what Fastify's types say it is. */
type ParserError = Error & { readonly code?: string; readonly rawPacket?: unknown }

/** The parser counts the request line among the headers. */
const NOTHING_BUT_URL = /^[A-Z]+ \S+$/

function parserFailure({ code = '', rawPacket }: ParserError): readonly [FailureCode, string] {
  const begins = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1', 0, 8192) : ''
  if (code === 'HPE_HEADER_OVERFLOW' && NOTHING_BUT_URL.test(begins))
    return ['uri_too_long', 'the URL is too long']
  return PARSER_FAILURES[code] ?? ['invalid_request', 'the request is not valid HTTP']
}

/** What the HTTP parser itself refuses: there is no request yet, hence no request id. */
export function refuseUnreadable(error: ParserError, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  refuseOn(socket, ...parserFailure(error))
}

/** Answers on the bare connection, and closes it. */
export function refuseOn(socket: Duplex, code: FailureCode, detail: string): void {
  const [status, title] = FAILURES[code]
  const body = JSON.stringify(problem(code, detail))
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\n` +
      'Content-Type: application/problem+json\r\n' +
      'Cache-Control: no-store\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n` +
      'Connection: close\r\n\r\n' +
      body,
  )
}
