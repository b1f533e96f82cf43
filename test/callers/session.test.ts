import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Credentials } from '../../src/callers/caller.ts'
import { credentials, startAuthenticator } from './authenticating.ts'
import { type Answer, answers } from './identity-provider.ts'

const patience = { timeout: 10_000 }

const page = 'https://app.example.com'

/** The SaaS backend: knows one session, of one customer. */
async function startBackend() {
  const asked: IncomingMessage[] = []
  let held: Promise<void> | undefined
  let answer: Answer | undefined
  const ordinary = (request: IncomingMessage, response: ServerResponse) =>
    request.headers.cookie?.includes('sid=ada')
      ? answers.json({ customer_ids: ['acme'] })(response)
      : answers.json({}, 401)(response)
  const server = createServer(async (request, response) => {
    asked.push(request)
    await held
    return answer ? answer(response) : ordinary(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    checkUrl: `http://127.0.0.1:${port}/session?v=1`,
    asked,
    answer: (how: Answer | undefined) => {
      answer = how
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return resolve
    },
  }
}

async function start(over: { cookieNames?: string[]; timeoutMs?: number } = {}) {
  const backend = await startBackend()
  const session = {
    checkUrl: backend.checkUrl,
    ttlMs: 30_000,
    cookieNames: null,
    allowedOrigins: [page],
    ...over,
  }
  return { backend, session, ...startAuthenticator({ session }) }
}

const visit = (over: Partial<Credentials> = {}) =>
  credentials({ cookie: 'sid=ada', requestedWith: 'fetch', origin: page, ...over })

test('a session acts for the customers that the backend names', async () => {
  const { backend, outcome } = await start()

  const caller = await outcome(visit())

  expect(caller).toEqual({
    kind: 'session',
    subjectDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    customerIds: new Set(['acme']),
  })
  expect(backend.asked[0]?.headers).toMatchObject({ cookie: 'sid=ada', 'x-customer-id': 'acme' })
  expect(backend.asked[0]?.url).toBe('/session?v=1')
})

test('nothing of the request but the cookie and the customer goes to the backend', async () => {
  const { backend, outcome } = await start({ cookieNames: ['sid', 'sid2'] })

  await outcome(visit({ cookie: 'other=1; sid=ada; SID=x; sid2=b=c; xsid=3; lone' }))

  expect(Object.keys(backend.asked[0]?.headers ?? {}).sort()).toEqual([
    'accept',
    'connection',
    'cookie',
    'host',
    'user-agent',
    'x-customer-id',
  ])
  expect(backend.asked[0]?.headers.cookie).toBe('sid=ada; sid2=b=c')
})

test('without a cookie that counts there is no credential', async () => {
  const { backend, outcome } = await start({ cookieNames: ['sid'] })

  expect(await outcome(visit({ cookie: 'other=1' }))).toBe('unauthenticated')
  expect(await outcome(visit({ cookie: '' }))).toBe('unauthenticated')
  expect(backend.asked).toEqual([])
})

const crossSite: [string, Partial<Credentials>, string][] = [
  ['no X-Requested-With', { requestedWith: undefined }, 'csrf'],
  ['neither header nor origin', { requestedWith: undefined, origin: undefined }, 'csrf'],
  ['a page of another origin', { origin: 'https://evil.example' }, 'origin_not_allowed'],
  ['an origin that begins alike', { origin: `${page}.evil.example` }, 'origin_not_allowed'],
  ['the origin null', { origin: 'null' }, 'origin_not_allowed'],
  ['the origin in capitals', { origin: page.toUpperCase() }, 'origin_not_allowed'],
]

test.each(crossSite)('a session is refused, remembered or not: %s', async (_what, over, code) => {
  const { backend, outcome, recognise } = await start()

  expect(await outcome(visit(over))).toBe(code)
  expect(backend.asked).toEqual([])
  await outcome(visit())
  expect(recognise(visit())).toBeDefined()
  expect(recognise(visit(over))).toBeUndefined()
  expect(await outcome(visit(over))).toBe(code)
})

test('a program without an origin passes with the header, whatever its value', async () => {
  const { outcome } = await start()

  expect(await outcome(visit({ origin: undefined, requestedWith: '' }))).toMatchObject({
    kind: 'session',
  })
})

test('the answer is remembered for its time, per cookie and customer', async () => {
  const { backend, outcome, recognise, clock } = await start()
  await outcome(visit())

  expect(recognise(visit())).toMatchObject({ kind: 'session' })
  expect(recognise(visit({ customerId: 'globex' }))).toBeUndefined()
  expect(recognise(visit({ cookie: 'sid=ada; more=1' }))).toBeUndefined()
  await outcome(visit({ customerId: 'globex' }))
  expect(backend.asked).toHaveLength(2)

  clock.ms += 30_000
  expect(recognise(visit())).toBeUndefined()
  await outcome(visit())
  expect(backend.asked).toHaveLength(3)
})

test.each([
  [401, 'unauthenticated (sent)'],
  [403, 'forbidden'],
])("the backend's %d becomes ours, remembered for less long", async (status, code) => {
  const { backend, outcome, clock } = await start()
  backend.answer(answers.json({}, status))

  expect(await outcome(visit())).toBe(code)
  backend.answer(undefined)
  expect(await outcome(visit())).toBe(code)
  expect(backend.asked).toHaveLength(1)
  clock.ms += 5000
  expect(await outcome(visit())).toMatchObject({ kind: 'session' })
})

const away: [string, Answer][] = [
  ['answers 500', answers.json({}, 500)],
  ['answers 404', answers.json({}, 404)],
  ['redirects to a login page', answers.redirect('/login')],
  ['answers with HTML', answers.json('<html></html>')],
  ['answers without customer_ids', answers.json({ customers: ['acme'] })],
  ['answers with one id in place of a list', answers.json({ customer_ids: 'acme' })],
  ['answers with ids that are no text', answers.json({ customer_ids: [1] })],
  ['answers 204', (response) => void response.writeHead(204).end()],
  ['never stops answering', answers.endless()],
  ['drops the connection', answers.dropped()],
  ['does not answer', answers.never()],
  ['stops in the middle', answers.stalls()],
]

test.each(away)(
  'a backend that %s is 503, never a pass, and not remembered',
  async (_what, answer) => {
    const { backend, outcome } = await start({ timeoutMs: 600 })
    backend.answer(answer)

    expect(await outcome(visit())).toBe('caller_check_unavailable')

    backend.answer(undefined)
    expect(await outcome(visit())).toMatchObject({ kind: 'session' })
  },
)

test('a session of nobody acts for nobody', async () => {
  const { backend, outcome } = await start()
  backend.answer(answers.json({ customer_ids: [] }))

  expect(await outcome(visit())).toMatchObject({ customerIds: new Set() })
})

test('ten requests at once cost one check', async () => {
  const { backend, outcome } = await start()
  const release = backend.hold()

  const callers = Promise.all(Array.from({ length: 10 }, () => outcome(visit())))
  await expect.poll(() => backend.asked.length, patience).toBe(1)
  release()

  expect(new Set((await callers).map((caller) => typeof caller))).toEqual(new Set(['object']))
  expect(backend.asked).toHaveLength(1)
})

test('a customer id that no header can carry is sent percent-encoded', async () => {
  const { backend, outcome } = await start()

  await outcome(visit({ customerId: 'café\r\nx: y' }))

  expect(backend.asked[0]?.headers['x-customer-id']).toBe('caf%C3%A9%0D%0Ax%3A%20y')
})
