import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { ERROR_BODIES } from '../../src/sandbox/bodies.ts'
import type { Fault } from '../../src/sandbox/faults.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { ask, bearer, claimsOf, mint, PATHS, sandboxWith, scopedFor } from './talk.ts'

const exchange = (sandbox: Sandbox) =>
  ask(sandbox, '/v1/applications/token', {
    json: { client_id: sandbox.clientId, client_secret: sandbox.clientSecret },
  })

const info = (sandbox: Sandbox) => ask(sandbox, `${PATHS.guide}/scoped-token/info`)

/** The head as soon as it is there, and the body as it comes. */
const open = (sandbox: Sandbox, signal: AbortSignal = AbortSignal.timeout(5000)) =>
  fetch(`${sandbox.url}/api/v1/embedded/scoped-token`, {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json', ...bearer(sandbox.orgToken) },
    body: JSON.stringify({ external_id: 'acme' }),
  })

test.each(
  [400, 401, 403, 404, 405, 410, 422, 429, 500, 502, 503, 504].flatMap((status) =>
    ERROR_BODIES.map((body) => [status, body] as const),
  ),
)('%i with the body %s, once, on whichever kind', async (status, body) => {
  const sandbox = await sandboxWith()
  for (const on of ['exchange', 'mint', 'info'] as const) {
    sandbox.fail({ on, what: 'status', status, body, message: 'no such luck' })
  }

  const failed = [await exchange(sandbox), await scopedFor(sandbox, 'acme'), await info(sandbox)]
  const well = [await exchange(sandbox), await scopedFor(sandbox, 'acme')]

  expect(failed.map((reply) => reply.status)).toEqual([status, status, status])
  expect(well.map((reply) => reply.status)).toEqual([200, 200])
  expect(sandbox.asked.slice(0, 3).map((asked) => asked.fault)).toEqual(Array(3).fill('status'))
})

test('the error bodies have their shapes', async () => {
  const sandbox = await sandboxWith()
  const texts: Record<string, string> = {}

  for (const body of ERROR_BODIES) {
    sandbox.fail({ on: 'any', what: 'status', status: 403, body, message: 'no' })
    texts[body] = (await info(sandbox)).text
  }

  expect(texts).toEqual({
    'message-errors':
      '{"message":"no","errors":[{"field":"body","message":"no","error_code":"E403"}]}',
    'detail-text': '{"detail":"no"}',
    'detail-list': '{"detail":[{"loc":["body"],"msg":"no","type":"value_error"}]}',
    problem: expect.stringMatching(
      /^\{"status":403,"type":"[^"]+","title":"no","detail":"no","data":\{\}\}$/,
    ),
    'error-id': expect.stringMatching(/^\{"errorId":"[0-9a-f-]{36}"\}$/),
    'embedded-errors': '{"message":"no","_embedded":{"errors":[{"message":"no"}]}}',
    html: expect.stringMatching(/^<!doctype html>/),
    empty: '',
    'message-code': '{"message":"no","code":403}',
    oauth2: '{"error":"invalid_request","error_description":"no"}',
  })
})

test.each([
  [301, {}],
  [301, { location: 'https://elsewhere.example.com/' }],
  [302, { location: '/api/v1/account/applications/scoped-token' }],
  [308, { location: '/x' }],
  [429, {}],
  [429, { 'retry-after': '7' }],
  [429, { 'retry-after': 'Fri, 15 Jan 2027 08:00:00 GMT' }],
  [429, { 'x-ratelimit-reset': '1800000000' }],
  [503, { 'retry-after': '1' }],
] as const)('%i with the headers %j and no others of the kind', async (status, headers) => {
  const sandbox = await sandboxWith()
  sandbox.fail({ on: 'mint', what: 'status', status, headers: { ...headers } })

  const reply = await scopedFor(sandbox, 'acme')

  expect(reply.status).toBe(status)
  for (const name of ['location', 'retry-after', 'x-ratelimit-reset']) {
    expect(reply.headers.get(name) ?? undefined).toBe(
      Object.entries(headers).find(([n]) => n === name)?.[1],
    )
  }
})

test('a revoked org token is refused once and for all; the next one is good', async () => {
  const sandbox = await sandboxWith()
  const path = `${PATHS.guide}/scoped-token`
  const send = (token: unknown) => mint(sandbox, path, { external_id: 'acme' }, bearer(token))
  const first = (await exchange(sandbox)).json.access_token
  sandbox.fail({ on: 'mint', what: 'revoke' })

  const statuses = [
    await send(first),
    await send(first),
    await send((await exchange(sandbox)).json.access_token),
  ].map(({ status }) => status)

  expect(statuses).toEqual([401, 401, 200])
})

test('a fault befalls as many of the requests that fit as it is told to, and clearing ends it', async () => {
  const sandbox = await sandboxWith()
  const statuses = async () => [
    (await scopedFor(sandbox, 'acme')).status,
    (await scopedFor(sandbox, 'acme')).status,
    (await scopedFor(sandbox, 'other')).status,
  ]
  await statuses()

  sandbox.fail({ on: 'mint', customer: 'acme', times: Infinity, what: 'status', status: 503 })
  const always = await statuses()
  sandbox.clearFaults()
  sandbox.fail({ on: 'mint', times: 2, what: 'status', status: 500 })
  sandbox.fail({ on: 'mint', tokenType: 'widget', what: 'status', status: 418 })
  const twice = await statuses()
  sandbox.clearFaults()
  sandbox.fail({ on: 'any', times: 'always', probability: 0, what: 'hang' })
  const never = await statuses()

  expect(always).toEqual([503, 503, 200])
  expect(twice).toEqual([500, 500, 200])
  expect(never).toEqual([200, 200, 200])
})

test('a fault with a chance befalls some and spares some', async () => {
  const sandbox = await sandboxWith()
  sandbox.fail({ on: 'info', times: 'always', probability: 0.5, what: 'status', status: 418 })

  const statuses = await Promise.all(
    Array.from({ length: 60 }, async () => (await info(sandbox)).status),
  )

  expect(new Set(statuses)).toEqual(new Set([401, 418]))
})

test.each<[string, Fault, (reply: Awaited<ReturnType<typeof ask>>) => void]>([
  [
    'JSON that breaks off',
    { on: 'mint', what: 'malformed-json' },
    ({ status, text }) => {
      expect(status).toBe(200)
      expect(() => JSON.parse(text)).toThrow()
    },
  ],
  [
    'another media type',
    { on: 'mint', what: 'content-type', contentType: 'text/plain' },
    ({ headers, json }) => {
      expect(headers.get('content-type')).toBe('text/plain')
      expect(json).toHaveProperty('token')
    },
  ],
  [
    'a huge body',
    { on: 'mint', what: 'huge', bytes: 3_000_000 },
    ({ text, json }) => {
      expect(text.length).toBeGreaterThan(3_000_000)
      expect(json).toHaveProperty('token')
    },
  ],
  [
    'an empty body',
    { on: 'mint', what: 'empty' },
    ({ status, text }) => expect([status, text]).toEqual([200, '']),
  ],
  [
    'a page in place of JSON',
    { on: 'mint', what: 'html' },
    ({ status, text }) => {
      expect(status).toBe(200)
      expect(text).toMatch(/^<!doctype html>/)
    },
  ],
  [
    'no token',
    { on: 'mint', what: 'no-token' },
    ({ json }) => expect(Object.keys(json)).toEqual(['expires_at', 'workspace_id']),
  ],
  [
    'a reply of one\u2019s own',
    { on: 'mint', what: 'reply', json: { token: 7 } },
    ({ status, json }) => expect([status, json]).toEqual([200, { token: 7 }]),
  ],
  [
    'a Date that is off',
    { on: 'mint', what: 'date', byMs: -3_600_000 },
    ({ headers, json }) => {
      const off = Date.now() - Date.parse(headers.get('date') ?? '')
      expect(off).toBeGreaterThan(3_590_000)
      expect(json).toHaveProperty('token')
    },
  ],
  ['a delay', { on: 'mint', what: 'delay', ms: 30 }, ({ status }) => expect(status).toBe(200)],
])('%s', async (_, fault, check) => {
  const sandbox = await sandboxWith()
  sandbox.fail(fault)

  const spoilt = await scopedFor(sandbox, 'acme')
  const sound = await scopedFor(sandbox, 'acme')

  check(spoilt)
  expect(sandbox.verify(String(sound.json.token))).toMatchObject({ customer: 'acme' })
})

test.each([-60_000, 0, 2000])('a token can arrive with %i ms to live', async (ms) => {
  const now = 1_800_000_000_000
  const sandbox = await sandboxWith({ now: () => now })
  sandbox.fail({ on: 'any', times: 2, what: 'life', ms })

  const org = await exchange(sandbox)
  const scoped = await scopedFor(sandbox, 'acme')

  expect(claimsOf(org.json.access_token).exp).toBe((now + ms) / 1000)
  expect(claimsOf(scoped.json.token).exp).toBe((now + ms) / 1000)
  expect(sandbox.verify(String(scoped.json.token)) !== null).toBe(ms > 0)
})

test('a trickling body comes whole, in pieces', async () => {
  const sandbox = await sandboxWith()
  sandbox.fail({ on: 'mint', what: 'trickle', bytes: 100, everyMs: 2 })

  const pieces: Uint8Array[] = []
  const { body } = await open(sandbox)
  for await (const piece of body ?? []) pieces.push(piece)

  expect(pieces.length).toBeGreaterThan(2)
  expect(JSON.parse(Buffer.concat(pieces).toString())).toHaveProperty('token')
})

test('an endless body goes on until the reader leaves', async () => {
  const sandbox = await sandboxWith()
  sandbox.fail({ on: 'mint', what: 'endless', bytes: 10_000, everyMs: 1 })

  let read = 0
  const { body, status } = await open(sandbox)
  for await (const piece of body ?? []) {
    read += piece.length
    if (read > 100_000) break
  }

  expect(status).toBe(200)
  expect(read).toBeGreaterThan(100_000)
})

test('a stalled body and an unanswered request last until the reader gives up', async () => {
  const sandbox = await sandboxWith()
  const patience = () => AbortSignal.timeout(100)

  sandbox.fail({ on: 'mint', what: 'stall' })
  const stalled = await open(sandbox, patience())
  const body = stalled.text()
  await expect(body).rejects.toThrow(/timeout/i)
  sandbox.fail({ on: 'mint', what: 'hang' })
  const hung = open(sandbox, patience())

  await expect(hung).rejects.toThrow(/timeout/i)
  expect(sandbox.asked.map(({ status, fault }) => [status, fault])).toEqual([
    [200, 'stall'],
    [null, 'hang'],
  ])
})

test('a connection can break before the head, after it, and in the body', async () => {
  const sandbox = await sandboxWith()

  sandbox.fail({ on: 'mint', what: 'reset' })
  await expect(open(sandbox)).rejects.toThrow()
  const before = sandbox.minted.length
  for (const when of ['after-headers', 'mid-body'] as const) {
    sandbox.fail({ on: 'mint', what: 'reset', when })
    const { status, body } = await open(sandbox)
    expect(status).toBe(200)
    await expect(new Response(body).text()).rejects.toThrow()
  }

  expect([before, sandbox.minted.length]).toEqual([0, 2])
})

test('a request that breaks off half way harms nothing', async () => {
  const sandbox = await sandboxWith()
  const { port } = new URL(sandbox.url)
  const socket = connect(Number(port), '127.0.0.1')
  await new Promise((resolve) =>
    socket.write(
      'POST /v1/applications/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{',
      resolve,
    ),
  )
  socket.destroy()

  expect((await scopedFor(sandbox, 'acme')).status).toBe(200)
})
