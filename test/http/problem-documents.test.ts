import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { BrokerError, FAILURES, type FailureCode } from '../../src/errors.ts'
import {
  answerInProblems,
  problem,
  refuseOn,
  refuseUnreadable,
  toBrokerError,
} from '../../src/http/problems.ts'

const codes = Object.entries(FAILURES).map(([code]) => code as FailureCode)

describe('a problem document', () => {
  test.each(codes)('%s has its status and title, and a type that is its own', (code) => {
    const [status, title] = FAILURES[code]

    const document = problem(code, 'what happened', 'request-1')

    expect(document).toMatchObject({
      status,
      title,
      code,
      detail: 'what happened',
      request_id: 'request-1',
    })
    expect(document.type).toBe(
      code === 'rate_limited'
        ? 'https://iana.org/assignments/http-problem-types#quota-exceeded'
        : `urn:token-broker:problem:${code}`,
    )
    expect('violated-policies' in document).toBe(code === 'rate_limited')
  })

  test('of a limit names the limit', () => {
    expect(problem('rate_limited', '')).toMatchObject({ 'violated-policies': ['customer'] })
  })

  test('without a request has no id of one', () => {
    expect('request_id' in problem('not_found', '')).toBe(false)
  })
})

const failing = (fields: Record<string, unknown>) => Object.assign(new Error('inner words'), fields)

describe('what is thrown', () => {
  test('by us goes out as it is', () => {
    const error = new BrokerError('draining', 'stopping')

    expect(toBrokerError(error)).toBe(error)
  })

  test.each<[Record<string, unknown>, FailureCode, RegExp]>([
    [{ code: 'FST_ERR_BAD_URL', statusCode: 400 }, 'invalid_request', /path/],
    [{ code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }, 'too_large', /16384/],
    [{ code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE' }, 'unsupported_media_type', /application\/json/],
    [{ code: 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' }, 'invalid_request', /Content-Length/],
    [{ code: 'FST_ERR_CTP_INVALID_JSON_BODY' }, 'invalid_request', /not valid JSON/],
    [{ code: 'FST_ERR_CTP_EMPTY_JSON_BODY' }, 'invalid_request', /empty/],
    [{ code: 'FST_ERR_CTP_INVALID_TYPE' }, 'unsupported_media_type', /application\/json/],
    [{ code: 'FST_ERR_NOT_FOUND' }, 'not_found', /path/],
    [{ statusCode: 400 }, 'invalid_request', /not valid/],
    [{ statusCode: 403 }, 'not_found', /path/],
    [{ statusCode: 404 }, 'not_found', /path/],
    [{ statusCode: 413 }, 'too_large', /16384/],
    [{ statusCode: 415 }, 'unsupported_media_type', /application\/json/],
    [{ statusCode: 416 }, 'invalid_request', /not valid/],
    [{ statusCode: 499 }, 'invalid_request', /not valid/],
  ])('by a parser or a plugin, %j, is the caller’s: %s', (fields, code, words) => {
    const error = toBrokerError(failing(fields))

    expect([error.code, error.message]).toEqual([code, expect.stringMatching(words)])
    expect(error.message).not.toContain('inner words')
    if ('code' in fields) expect(error.cause).toMatchObject(fields)
  })

  test.each([
    failing({}),
    failing({ statusCode: 399 }),
    failing({ statusCode: 500 }),
    failing({ statusCode: '404' }),
    failing({ code: 'ECONNREFUSED' }),
    'a string',
    undefined,
    { statusCode: 404 },
  ])('by anything else, %s, is ours, and kept for the log', (thrown) => {
    const error = toBrokerError(thrown)

    expect([error.code, error.cause]).toEqual(['internal_error', thrown])
    expect(error.message).toBe('the fault is ours, and it has been logged')
  })

  const invalid = (context: string | undefined, ...issues: [path: string, message?: string][]) =>
    failing({
      code: 'FST_ERR_VALIDATION',
      validationContext: context,
      validation: issues.map(([instancePath, message]) => ({
        [Symbol.for('ZodFastifySchemaValidationError')]: true,
        keyword: 'x',
        instancePath,
        schemaPath: '',
        params: {},
        message,
      })),
    })

  test.each([
    ['body', [['/a/b', 'is no number']], 'body: a.b: is no number'],
    ['querystring', [['/type', 'is wrong']], 'query: type: is wrong'],
    [undefined, [['', 'is wrong']], 'request: is wrong'],
    ['body', [['/a']], 'body: a: is not valid'],
    [
      'body',
      [
        ['/a', 'x'],
        ['/b', 'y'],
      ],
      'body: a: x; b: y',
    ],
    [
      'body',
      Array.from({ length: 6 }, (_, at) => [`/${at}`, 'x']),
      'body: 0: x; 1: x; 2: x; 3: x; 4: x',
    ],
    ['body', [['', 'x'.repeat(494)]], `body: ${'x'.repeat(494)}`],
    ['body', [['', 'x'.repeat(495)]], `body: ${'x'.repeat(494)}…`],
  ] as [string | undefined, [string, string?][], string][])(
    'by the check of a %s names fields and rules: %#',
    (context, issues, words) => {
      const error = toBrokerError(invalid(context, ...issues))

      expect([error.code, error.message]).toEqual(['invalid_request', words])
    },
  )
})

test('what is refused on a bare connection is whole, and the last thing on it', async () => {
  const socket = new PassThrough()
  refuseOn(socket, 'uri_too_long', 'too long – by far')

  const text = (await socket.toArray()).join('')
  const [head = '', body = ''] = text.split('\r\n\r\n')

  expect(head.split('\r\n')).toEqual([
    'HTTP/1.1 414 The URL is too long',
    'Content-Type: application/problem+json',
    'Cache-Control: no-store',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ])
  expect(JSON.parse(body)).toEqual(problem('uri_too_long', 'too long – by far'))
})

const said = async (socket: PassThrough) => (await socket.toArray()).join('')

describe('what the parser cannot read', () => {
  test.each([
    ['HPE_HEADER_OVERFLOW', 'GET / HTTP/1.1\r\nX: xxx', 431, 'headers_too_large'],
    ['HPE_HEADER_OVERFLOW', `GET /${'x'.repeat(20_000)}`, 414, 'uri_too_long'],
    ['HPE_HEADER_OVERFLOW', `GET /${'x'.repeat(9000)} HTTP/1.1\r\n`, 414, 'uri_too_long'],
    ['HPE_HEADER_OVERFLOW', 'x y z', 431, 'headers_too_large'],
    ['HPE_INVALID_METHOD', `GET /${'x'.repeat(20_000)}`, 400, 'invalid_request'],
    ['ERR_HTTP_REQUEST_TIMEOUT', '', 408, 'request_timeout'],
    [undefined, '', 400, 'invalid_request'],
  ] as const)('%s after %.30s is a %d', async (code, packet, status, told) => {
    const socket = new PassThrough()
    refuseUnreadable(failing({ code, rawPacket: Buffer.from(packet) }), socket)

    const text = await said(socket)

    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    const document = JSON.parse(text.split('\r\n\r\n')[1] ?? '')
    expect([document.code, document.detail.length > 0]).toEqual([told, true])
  })

  test('without a packet is told all the same', async () => {
    const socket = new PassThrough()
    refuseUnreadable(failing({ code: 'HPE_HEADER_OVERFLOW' }), socket)

    expect(await said(socket)).toContain('headers_too_large')
  })

  test('on a connection that is gone is told to nobody', () => {
    const reset = new PassThrough()
    const ended = new PassThrough()
    ended.end()

    refuseUnreadable(failing({ code: 'ECONNRESET' }), reset)
    refuseUnreadable(failing({}), ended)

    expect([reset.destroyed, ended.destroyed, reset.readableLength]).toEqual([true, true, 0])
  })
})

describe('a reply', () => {
  type Line = { level: number; msg: string; err?: object; code?: string }

  async function startThrowing(thrown: unknown) {
    const lines: Line[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const app = Fastify({ logger: { stream }, disableRequestLogging: true })
    app.decorateReply('logFields')
    answerInProblems(app)
    app.get('/throws', () => {
      throw thrown
    })
    app.post('/both/:id', () => 'ok')
    app.get('/files/*', (_request, reply) => reply.callNotFound())
    app.get('/both/:id', () => 'ok')
    return {
      lines,
      ask: (url: string, method: 'GET' | 'PUT' = 'GET') => app.inject({ method, url }),
    }
  }
  const replyTo = async (error: unknown) => (await startThrowing(error)).ask('/throws')

  test('is a problem document with the id of the request', async () => {
    const reply = await replyTo(new BrokerError('forbidden', 'not yours'))

    expect([reply.statusCode, reply.headers['content-type']]).toEqual([
      403,
      'application/problem+json; charset=utf-8',
    ])
    expect(reply.json()).toEqual(
      problem('forbidden', 'not yours', String(reply.headers['x-request-id'])),
    )
    expect(reply.headers['retry-after']).toBeUndefined()
    expect(reply.headers['www-authenticate']).toBeUndefined()
  })

  test.each([
    [false, 'Bearer'],
    [true, 'Bearer error="invalid_token"'],
  ])('of 401, a credential sent: %s, says %s', async (credentialSent, challenge) => {
    const reply = await replyTo(new BrokerError('unauthenticated', 'x', { credentialSent }))

    expect(reply.headers['www-authenticate']).toBe(challenge)
  })

  test.each([
    ['rate_limited', undefined, '1'],
    ['rate_limited', 0, '1'],
    ['rate_limited', 1, '1'],
    ['rate_limited', 1001, '2'],
    ['draining', 7000, '7'],
    ['upstream_timeout', 7000, undefined],
    ['internal_error', 7000, undefined],
  ] as const)(
    'of %s after %s ms says to come back in %s s',
    async (code, retryAfterMs, seconds) => {
      const reply = await replyTo(
        new BrokerError(code, 'x', retryAfterMs === undefined ? {} : { retryAfterMs }),
      )

      expect(reply.headers['retry-after']).toBe(seconds)
    },
  )

  test.each([
    ['a refusal', new BrokerError('forbidden', 'x'), []],
    ['an outage of another', new BrokerError('upstream_timeout', 'too late'), [[40, 'too late']]],
    ['a fault of ours', new Error('a bug'), [[50, 'internal error']]],
  ])('%s is logged as what it is', async (_what, error, logged) => {
    const { ask, lines } = await startThrowing(error)
    await ask('/throws')

    expect(lines.map(({ level, msg }) => [level, msg])).toEqual(logged)
  })

  test('a fault and an outage are logged with their cause, and an outage with its code', async () => {
    const fault = await startThrowing(new Error('a bug'))
    const outage = await startThrowing(
      new BrokerError('upstream_timeout', 'x', { cause: new Error('a hang') }),
    )
    const replies = [await fault.ask('/throws'), await outage.ask('/throws')]

    expect(fault.lines[0]?.err).toMatchObject({ message: 'a bug' })
    expect(outage.lines[0]).toMatchObject({ code: 'upstream_timeout', err: { message: 'a hang' } })
    expect(replies.map(({ body }) => /a bug|a hang/.test(body))).toEqual([false, false])
  })

  test('of a route that finds nothing is a problem document', async () => {
    const { ask } = await startThrowing(null)

    const reply = await ask('/files/none')

    expect(reply.headers['content-type']).toContain('application/problem+json')
    expect([reply.statusCode, reply.json().code]).toEqual([404, 'not_found'])
  })

  test.each([
    ['GET', '/nowhere', 404, 'not_found', undefined, 'there is no such path'],
    ['GET', '/nowhere/both/1', 404, 'not_found', undefined, 'there is no such path'],
    ['PUT', '/both/1?x=1', 405, 'method_not_allowed', 'GET, POST', 'this path takes GET, POST'],
    ['PUT', '/throws', 405, 'method_not_allowed', 'GET', 'this path takes GET'],
  ] as const)('to %s %s is %d', async (method, url, status, code, allow, detail) => {
    const { ask } = await startThrowing(null)

    const reply = await ask(url, method)

    expect([reply.statusCode, reply.headers.allow]).toEqual([status, allow])
    expect(reply.json()).toMatchObject({ code, detail })
  })
})
