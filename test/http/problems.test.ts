import { describe, expect, test } from 'vitest'
import { exchange } from '../support/exchange.ts'
import { newCustomer, SERVICE_KEY, startService } from '../support/service.ts'

const asService = { authorization: `Bearer ${SERVICE_KEY}` }
const CUSTOMER = '/customers/acme/token'

describe('what a caller gets wrong is told in a problem document', () => {
  test.each([
    ['an unknown path', 'GET', '/nothing', {}, undefined, 404, 'not_found'],
    ['a method the path does not know', 'PUT', CUSTOMER, {}, undefined, 405, 'method_not_allowed'],
    ['HEAD on the token route', 'HEAD', CUSTOMER, asService, undefined, 405, 'method_not_allowed'],
    [
      'an unknown parameter',
      'GET',
      `${CUSTOMER}?kind=scoped`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    [
      'a parameter twice',
      'GET',
      `${CUSTOMER}?type=scoped&type=widget`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    [
      'an unknown type',
      'GET',
      `${CUSTOMER}?type=admin`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    [
      'a min_ttl beyond a day',
      'GET',
      `${CUSTOMER}?min_ttl=86401`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    [
      'a negative min_ttl',
      'GET',
      `${CUSTOMER}?min_ttl=-1`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    [
      'refresh on GET',
      'GET',
      `${CUSTOMER}?refresh=true`,
      asService,
      undefined,
      400,
      'invalid_request',
    ],
    ['an unknown field', 'POST', CUSTOMER, asService, '{"kind":"scoped"}', 400, 'invalid_request'],
    ['malformed JSON', 'POST', CUSTOMER, asService, '{"type":', 400, 'invalid_request'],
    [
      'a poisoned prototype',
      'POST',
      CUSTOMER,
      asService,
      '{"__proto__":{}}',
      400,
      'invalid_request',
    ],
    ['a body that is no object', 'POST', CUSTOMER, asService, '[]', 400, 'invalid_request'],
    ['min_ttl as text', 'POST', CUSTOMER, asService, '{"min_ttl":"60"}', 400, 'invalid_request'],
    [
      'a body of 17 KiB',
      'POST',
      CUSTOMER,
      asService,
      JSON.stringify({ type: 'x'.repeat(17_000) }),
      413,
      'too_large',
    ],
    [
      'a body that is not JSON',
      'POST',
      CUSTOMER,
      { ...asService, 'content-type': 'text/plain' },
      'x',
      415,
      'unsupported_media_type',
    ],
    [
      'a URL of 9 KB',
      'GET',
      `${CUSTOMER}?x=${'x'.repeat(9000)}`,
      asService,
      undefined,
      414,
      'uri_too_long',
    ],
    [
      'an id that is badly encoded',
      'GET',
      '/customers/%zz/token',
      asService,
      undefined,
      400,
      'invalid_request',
    ],
  ] as const)('%s', async (_what, method, url, headers, payload, status, code) => {
    const { app, upstream } = await startService()

    const reply = await app.server.inject({
      method,
      url,
      headers: { ...(payload !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(payload !== undefined && { payload }),
    })

    expect(reply.statusCode).toBe(status)
    expect(reply.headers['content-type']).toContain('application/problem+json')
    if (method !== 'HEAD')
      expect(reply.json()).toMatchObject({
        status,
        code,
        type: `urn:token-broker:problem:${code}`,
        request_id: reply.headers['x-request-id'],
      })
    expect(upstream.counts.mints.total).toBe(0)
  })

  test.each([
    'default',
    '',
    ' acme',
    'acme ',
    'a/b',
    'a%b',
    'ä',
    'a\u0000b',
    'x'.repeat(129),
    'a?b',
    'a#b',
    '<script>',
    "a'b",
  ])('the id %j reaches neither limiter nor upstream', async (id) => {
    const { app, upstream } = await startService()

    const reply = await app.server.inject({
      url: `/customers/${encodeURIComponent(id)}/token`,
      headers: asService,
    })

    expect([reply.statusCode, reply.json().code]).toEqual([400, 'invalid_customer_id'])
    expect(reply.headers.ratelimit).toBeUndefined()
    expect(upstream.asked.filter(({ kind }) => kind === 'mint')).toEqual([])
  })

  test.each(['Acme', 'acme', 'a', 'x'.repeat(128), 'a.b_c~d:e@f-9', '...', 'Default'])(
    'the id %j is taken as it is',
    async (id) => {
      const { ask, upstream } = await startService()

      const reply = await ask(id)

      expect(reply.json().customer_id).toBe(id)
      expect(upstream.minted.map(({ customer }) => customer)).toEqual([id])
    },
  )
})

describe('what the parser refuses is a problem document too', () => {
  test.each([
    [
      'the id .',
      `GET /customers/./token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      400,
      'invalid_customer_id',
    ],
    [
      'the id ..',
      `GET /customers/%2E%2e/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      400,
      'invalid_customer_id',
    ],
    ['no HTTP at all', 'garbage\r\n\r\n', 400, 'invalid_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
      400,
      'invalid_request',
    ],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'invalid_request',
    ],
    [
      'headers of 20 KB',
      `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
  ])('%s', async (_what, text, status, code) => {
    const { app } = await startService({ env: { PORT: '0', HOST: '127.0.0.1' } })
    const { url } = await app.listen()

    const received = await exchange(Number(new URL(url).port), text)

    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status, code })
    expect(received).toContain('application/problem+json')
  })
})

describe('who does not say who he is', () => {
  test.each([
    ['nothing', {}, 'Bearer'],
    [
      'a wrong key',
      { authorization: 'Bearer wrong-key-0123456789abcdef' },
      'Bearer error="invalid_token"',
    ],
    [
      'a wrong X-API-Key',
      { 'x-api-key': 'wrong-key-0123456789abcdef' },
      'Bearer error="invalid_token"',
    ],
    ['another scheme', { authorization: 'Basic dXNlcjpwYXNz' }, 'Bearer'],
  ])('%s: 401 with a challenge', async (_what, headers, challenge) => {
    const { ask, upstream } = await startService()

    const reply = await ask(newCustomer(), { headers })

    expect([reply.statusCode, reply.json().code]).toEqual([401, 'unauthenticated'])
    expect(reply.headers['www-authenticate']).toBe(challenge)
    expect(reply.headers['cache-control']).toBe('no-store')
    expect(upstream.counts.mints.total).toBe(0)
  })
})

describe('how the upstream failed is told, in our words', () => {
  test.each([
    ['refuses the request', { status: 403 }, 502, 'upstream_rejected'],
    ['breaks', { status: 500 }, 503, 'upstream_unavailable'],
    ['is away', { status: 503 }, 503, 'upstream_unavailable'],
    [
      'asks for a pause',
      { status: 429, headers: { 'retry-after': '7' } },
      503,
      'upstream_rate_limited',
    ],
  ])('it %s', async (_what, fault, status, code) => {
    const { ask, upstream } = await startService({ env: { UPSTREAM_TIMEOUT: '2s' } })
    upstream.fail({ on: 'mint', times: 'always', what: 'status', ...fault })

    const reply = await ask(newCustomer())

    expect([reply.statusCode, reply.json().code]).toEqual([status, code])
    if (status === 503) expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    if (code === 'upstream_rate_limited') expect(reply.headers['retry-after']).toBe('7')
  })
})
