import * as fc from 'fast-check'

/** Who a request says it is from; what that entitles to is the fuzzed service's to know. */
export const CREDENTIALS = [
  'none',
  'service',
  'service-by-x-api-key',
  'alice',
  'bob',
  'expired',
  'unsigned',
  'forged',
  'session-of-alice',
  'session-of-nobody',
  'rubbish',
] as const
export type Credential = (typeof CREDENTIALS)[number]

export type FuzzedRequest = {
  readonly method: string
  readonly target: string
  readonly credential: Credential
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | null
}

const bytes = (max: number) =>
  fc.uint8Array({ maxLength: max }).map((array) =>
    Buffer.from(array)
      .toString('latin1')
      .replace(/[\r\n]/g, ' '),
  )

const NASTY = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  '-0',
  '1e999',
  '9007199254740993',
  "' OR 1=1 --",
  '<script>alert(1)</script>',
  '#{7*7}',
  '{{7*7}}',
  '../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  '%',
  '%zz',
  '\0',
  'é',
  '\u202e',
  '\ud800',
  'x'.repeat(5000),
]
const nasty = fc.constantFrom(...NASTY)
const text = fc.oneof(
  nasty,
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

const customerId = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('alice', 'bob') },
  { weight: 1, arbitrary: fc.constantFrom('default', '.', '..', 'Alice', 'alice ', 'ali/ce') },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9._~:@-]{1,128}$/) },
  { weight: 2, arbitrary: text },
)

/** Each character as it is, or encoded, or encoded badly. */
const encoded = (id: fc.Arbitrary<string>) =>
  fc.tuple(id, fc.constantFrom('all', 'usual', 'none')).map(([value, how]) => {
    if (how === 'none')
      return Buffer.from(value)
        .toString('latin1')
        .replace(/[\r\n ]/g, '_')
    if (how === 'usual') return encodeURIComponent(value.toWellFormed())
    return [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  })

const someQuery = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom('type', 'allowed_origin', 'min_ttl', 'refresh', 'source_template_tags'),
        encoded(text),
      ),
      fc.oneof(
        fc.constantFrom('scoped', 'widget', '0', '60', '86400', 'https://app.example.com'),
        encoded(text),
      ),
    ),
    { maxLength: 4 },
  )
  .map((pairs) =>
    pairs.length === 0 ? '' : `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`,
  )

const query = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('', '?type=scoped', '?type=widget&min_ttl=60') },
  { weight: 1, arbitrary: someQuery },
)

const target = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(encoded(customerId), query)
      .map(([id, asked]) => `/customers/${id}/token${asked}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(encoded(customerId), query)
      .map(([id, asked]) => `/customers/${id}/token/introspect${asked}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '/health',
      '/health/live',
      '/health/ready',
      '/metrics',
      '/openapi.yaml',
      '/openapi.json',
      '/client.js',
      '/docs',
      '/docs/',
      '/docs/json',
      '/docs/static/../../package.json',
      '/docs/static/%2e%2e%2fpackage.json',
      '*',
      'http://elsewhere/health/live',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.array(encoded(text), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  },
)

const method = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('GET', 'POST', 'DELETE') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'HEAD',
      'OPTIONS',
      'PUT',
      'PATCH',
      'TRACE',
      'PURGE',
      'QUERY',
      'M-SEARCH',
      'get',
      'POSTS',
    ),
  },
)

const headerValue = fc
  .oneof(nasty, fc.string({ maxLength: 60 }), bytes(60))
  .map((value) => value.replace(/[\r\n]/g, ' '))
const header = fc.tuple(
  fc.oneof(
    { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z-]{1,20}$/) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        'Origin',
        'X-Requested-With',
        'X-Request-Id',
        'Accept',
        'Accept-Encoding',
        'Range',
        'If-None-Match',
        'Expect',
        'Upgrade',
        'Connection',
        'Forwarded',
        'X-Forwarded-For',
        'X-Forwarded-Host',
        'X-Original-URL',
        'X-HTTP-Method-Override',
        'traceparent',
        'User-Agent',
        'Cookie',
        'Content-Encoding',
        'Access-Control-Request-Method',
        'Access-Control-Request-Headers',
        '__proto__',
        'constructor',
      ),
    },
  ),
  headerValue,
)

const deep = fc
  .tuple(fc.integer({ min: 1, max: 7000 }), fc.constantFrom('[', '{"a":'))
  .map(([depth, open]) => open.repeat(depth))

const json = fc.oneof(
  fc
    .record(
      {
        type: fc.oneof(fc.constantFrom('scoped', 'widget'), fc.jsonValue()),
        allowed_origin: fc.oneof(fc.constant('https://app.example.com'), fc.jsonValue()),
        min_ttl: fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
        refresh: fc.oneof(fc.boolean(), fc.jsonValue()),
        source_template_tags: fc.oneof(fc.array(text, { maxLength: 3 }), fc.jsonValue()),
        source_template_tags_mode: fc.oneof(fc.constantFrom('any', 'all'), fc.jsonValue()),
        token: fc.oneof(text, fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc
    .tuple(nasty, fc.jsonValue())
    .map(([key, value]) => `{${JSON.stringify(key)}:${JSON.stringify(value)}}`),
)

const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('{}', '{"type":"scoped"}', '{"type":"widget","refresh":true}'),
  },
  { weight: 3, arbitrary: json },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: bytes(200) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 16_000, max: 17_000 }).map((size) => `"${'x'.repeat(size)}"`),
  },
)

export const fuzzedRequest: fc.Arbitrary<FuzzedRequest> = fc
  .record({
    method,
    target,
    credential: fc.oneof(
      fc.constantFrom(...CREDENTIALS),
      fc.constantFrom<Credential>('service', 'alice', 'bob'),
    ),
    headers: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(header, { maxLength: 6 }) },
    ),
    mediaType: fc.oneof(
      { weight: 4, arbitrary: fc.constant('application/json') },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          'application/json; charset=utf-16',
          'application/jsonp',
          'text/plain',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=a',
          'application/json, text/html',
          '',
          ';',
          'x'.repeat(300),
        ),
      },
    ),
    body,
  })
  .map(({ mediaType, ...request }) => ({
    ...request,
    headers:
      request.body === null
        ? request.headers
        : [...request.headers, ['Content-Type', mediaType] as const],
  }))

/** Shapes in which proxies and servers have come to differ. */
const START_LINES = [
  'GET /customers/alice/token HTTP/1.1\r\n',
  'POST /customers/alice/token HTTP/1.1\r\n',
  'POST /customers/bob/token/introspect HTTP/1.1\r\n',
  'DELETE /customers/alice/token HTTP/1.1\r\n',
  'GET /health/live HTTP/1.0\r\n',
  'GET /health/live HTTP/1.1\r\n',
  'GET http://elsewhere/customers/alice/token HTTP/1.1\r\n',
  'GET /health/live\r\n',
  'GET /health/live HTTP/1.1\n',
]
const FIELDS = [
  'Host: b\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 17\r\n',
  'Content-Length: 6, 6\r\n',
  'Content-Length: 18446744073709551616\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked, chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding: \x0bchunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'transfer-encoding:chunked\n',
  'Expect: 100-continue\r\n',
  'Expect: wonders\r\n',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n',
  'Connection: keep-alive, Authorization\r\n',
  'Content-Type: application/json\r\n',
  'X-Forwarded-For: 127.0.0.1\r\n',
  'X: a\r\n b\r\n',
  'X\0: a\r\n',
  ': a\r\n',
  'X: \xff\xfe\x80\r\n',
  'x\r\n',
]
const ENDS = [...Array<string>(20).fill('\r\n'), '\n', '\r', '\0\r\n']
const BODIES = [
  'hello',
  '{"type":"scoped"}',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '11\r\n{"type":"scoped"}\r\n0\r\n\r\n',
  '5;ext="\r\n"\r\nhello\r\n',
  '0\r\nAuthorization: Bearer x\r\n\r\n',
  'ffffffffffffffff\r\n',
  '-5\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
]

const message = fc
  .record({
    start: fc.constantFrom(...START_LINES),
    credential: fc.constantFrom('', '{{credential}}'),
    fields: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.constantFrom(...FIELDS), { maxLength: 3 }) },
    ),
    end: fc.constantFrom(...ENDS),
    body: fc.oneof(
      { weight: 2, arbitrary: fc.constant('') },
      { weight: 1, arbitrary: fc.constantFrom(...BODIES) },
    ),
  })
  .map(
    ({ start, credential, fields, end, body }) =>
      `${start}Host: a\r\n${credential}${fields.join('')}${end}${body}`,
  )

/** Several messages on one connection, well-formed but for a few of their parts, or for a few of their bytes. */
export const fuzzedBytes: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(message, { minLength: 1, maxLength: 4 }),
    fc.option(fc.tuple(fc.nat(600), bytes(4)), { freq: 4 }),
  )
  .map(([messages, damage]) => {
    const all = messages.join('')
    if (damage === null) return all
    const at = damage[0] % (all.length + 1)
    return all.slice(0, at) + damage[1] + all.slice(at)
  })
