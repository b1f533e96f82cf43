import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BOUNDS, type Bounds } from '../../src/http/bounds.ts'
import { until } from '../support/private-redis.ts'
import { newCustomer, SERVICE_KEY, startService } from '../support/service.ts'
import { metric } from './matrix.ts'
import { openLine, repliesIn } from './sockets.ts'

const KEY = `Authorization: Bearer ${SERVICE_KEY}\r\n`
const HURRIED = { headersTimeoutMs: 200, requestTimeoutMs: 400, checkEveryMs: 50 } as const

async function listening(bounds: Partial<Bounds> = {}, env: Record<string, string> = {}) {
  const service = await startService({
    env: { PORT: '0', HOST: '127.0.0.1', ...env },
    deps: { bounds },
  })
  const { url } = await service.app.listen()
  return { ...service, url }
}

const connections = ({ app }: Awaited<ReturnType<typeof listening>>) =>
  new Promise<number>((resolve) => {
    app.server.server.getConnections((_error, count) => resolve(count))
  })

const faults = (lines: readonly { level?: string; msg?: string }[]) =>
  lines.filter(
    ({ level, msg }) => level === 'error' || level === 'fatal' || msg === 'internal error',
  )

test('as shipped, the bounds are those of the contract', () => {
  expect(BOUNDS).toMatchObject({
    bodyBytes: 16_384,
    headersTimeoutMs: 10_000,
    requestTimeoutMs: 15_000,
  })
  expect(BOUNDS.headersTimeoutMs + BOUNDS.checkEveryMs).toBeLessThanOrEqual(11_000)
  // The longest UPSTREAM_TIMEOUT, and then some: a reply that is waited for is no silence.
  expect(BOUNDS.silenceMs).toBeGreaterThan(120_000 + BOUNDS.requestTimeoutMs)
})

describe('a slow client is given up', () => {
  test.each([
    ['that says nothing', '', ''],
    ['whose headers do not end', 'GET /customers/a/token HTTP/1.1\r\nHost: a\r\n', 'X-Slow: a\r\n'],
    ['whose request line does not end', 'GET /customers/', 'a'],
    [
      'whose body does not end',
      `POST /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
      ' ',
    ],
    [
      'whose chunks do not end',
      `POST /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
      '1\r\n \r\n',
    ],
  ])('%s', async (_what, begins, trickles) => {
    const service = await listening(HURRIED)
    const line = await openLine(service.url)
    line.send(begins)
    const trickle = setInterval(() => line.send(trickles), 20)

    const received = await line.closed
    clearInterval(trickle)

    const [reply] = repliesIn(received)
    expect(reply?.status).toBe(408)
    expect(reply?.head).toContain('application/problem+json')
    expect(JSON.parse(reply?.body ?? '')).toMatchObject({ status: 408, code: 'request_timeout' })
    await until(async () => (await connections(service)) === 0, 'no connection left')
    expect(service.upstream.counts.mints.total).toBe(0)
    expect(faults(service.logged())).toEqual([])
  })
})
test('a client that does not read its replies is given up', async () => {
  const service = await listening({ silenceMs: 300 })
  const line = await openLine(service.url)
  line.pause()

  for (let asked = 0; asked < 500; asked++)
    line.send('GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n')

  await until(async () => (await connections(service)) === 0, 'no connection left')
  expect(faults(service.logged())).toEqual([])
})

test('a body that is refused is not listened to for longer than any other', async () => {
  const service = await listening(HURRIED)
  const line = await openLine(service.url)
  line.send(
    `POST /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n`,
  )
  const trickle = setInterval(() => line.send(' '.repeat(100)), 20)

  const [reply] = repliesIn(await line.closed)
  clearInterval(trickle)

  expect(reply?.status).toBe(413)
})

test('a body without a length is refused as soon as it is too long', async () => {
  const service = await listening()
  const line = await openLine(service.url)
  line.send(
    `POST /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  for (let chunk = 0; chunk < 17; chunk++) line.send(`400\r\n${' '.repeat(1024)}\r\n`)

  const [reply] = repliesIn(await line.closed)

  expect([reply?.status, JSON.parse(reply?.body ?? '').code]).toEqual([413, 'too_large'])
})

test.each([
  ['100 headers are taken', 98, 200, undefined],
  ['101 headers are refused', 99, 431, 'headers_too_large'],
  ['3000 headers are refused', 2998, 431, 'headers_too_large'],
])('%s', async (_what, more, status, code) => {
  const service = await listening()
  const line = await openLine(service.url)
  line.send(
    `GET /customers/a/token HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(more - 1)}${KEY}Connection: close\r\n\r\n`,
  )

  const [reply] = repliesIn(await line.closed)

  expect([reply?.status, JSON.parse(reply?.body ?? '').code]).toEqual([status, code])
})

test.each([9_000, 20_000, 60_000])(
  'a URL of %d characters is told to be too long',
  async (length) => {
    const service = await listening()
    const line = await openLine(service.url)
    line.send(
      `GET /customers/a/token?type=${'x'.repeat(length)} HTTP/1.1\r\nHost: a\r\n${KEY}Connection: close\r\n\r\n`,
    )

    const [reply] = repliesIn(await line.closed)

    expect([reply?.status, JSON.parse(reply?.body ?? '').code]).toEqual([414, 'uri_too_long'])
  },
)

describe('connections', () => {
  const asked = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n'

  test('past the bound are closed at once, and those that are there go on', async () => {
    const service = await listening({ connections: 2 })
    const first = await openLine(service.url)
    const second = await openLine(service.url)
    await until(async () => (await connections(service)) === 2, 'two connections')

    const third = await openLine(service.url)
    const fourth = await openLine(service.url)
    expect([await third.closed, await fourth.closed]).toEqual(['', ''])
    first.send(asked)
    await until(() => first.received.includes('200 OK'), 'a reply')
    second.destroy()
    await until(async () => (await connections(service)) === 1, 'one connection')
    const fifth = await openLine(service.url)
    fifth.send(asked)
    await until(() => fifth.received.includes('200 OK'), 'a reply')

    const told = service.logged().filter(({ msg }) => msg?.startsWith('too many connections'))
    expect(told).toHaveLength(1)
  })

  test('that are idle are closed', async () => {
    const service = await listening({ keepAliveMs: 200 })
    const line = await openLine(service.url)
    line.send(asked)

    expect(repliesIn(await line.closed).map(({ status }) => status)).toEqual([200])
  })

  test('that are closed on one side are closed on the other, whatever was asked on them', async () => {
    const service = await listening()
    const hold = service.upstream.hold('mint')
    const line = await openLine(service.url)
    line.send(`GET /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}\r\n`)
    await hold.reached(1)
    line.end('')

    expect(await line.closed).toBe('')
    expect(await connections(service)).toBe(0)
    hold.release()
  })

  test('that break while a token is minted cost nothing: the token is kept for whoever asks next', async () => {
    const service = await listening()
    const hold = service.upstream.hold('mint')
    const line = await openLine(service.url)
    line.send(`GET /customers/a/token HTTP/1.1\r\nHost: a\r\n${KEY}\r\n`)
    await hold.reached(1)
    line.destroy()
    await line.closed
    const next = service.ask('a')
    hold.release()

    expect((await next).headers['cache-status']).toBe('token-broker; fwd=miss; collapsed')
    expect(service.upstream.counts.mints.total).toBe(1)
    expect(faults(service.logged())).toEqual([])
  })

  test('that break while a credential is checked have failed all the same', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const backend = createServer((_request, response) => {
      reach()
      void released.then(() => response.writeHead(401).end())
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => backend.once('listening', resolve))
    onTestFinished(() => {
      backend.closeAllConnections()
      backend.close()
    })
    const { port } = backend.address() as AddressInfo
    const service = await listening(
      {},
      { SESSION_CHECK_URL: `http://127.0.0.1:${port}/`, RATE_LIMIT_AUTH_FAILURES: '1' },
    )
    const line = await openLine(service.url)
    line.send(
      'GET /customers/a/token HTTP/1.1\r\nHost: a\r\nCookie: sid=wrong\r\nX-Requested-With: x\r\n\r\n',
    )
    await reached
    line.destroy()
    await until(async () => (await connections(service)) === 0, 'no connection left')
    release()

    const denied = 'token_requests_total{type="scoped",outcome="denied"}'
    await until(async () => (await metric(service, denied)) === 1, 'a refusal')

    const another = { authorization: 'Bearer another-wrong-credential' }
    const reply = await fetch(`${service.url}/customers/a/token`, { headers: another })

    expect(reply.status).toBe(429)
    const lines = await service.stop()
    expect(lines.map(({ reason }) => reason)).toContain('unauthenticated')
  })

  test('with a hundred requests sent at once get each reply in its place', async () => {
    const service = await listening()
    const customers = Array.from({ length: 100 }, newCustomer)
    const line = await openLine(service.url)
    for (const customer of customers)
      line.send(`GET /customers/${customer}/token HTTP/1.1\r\nHost: a\r\n${KEY}\r\n`)
    await until(() => repliesIn(line.received).length === 100, 'every reply')

    const replies = repliesIn(line.received).map(({ body }) => JSON.parse(body))

    expect(replies.map(({ customer_id }) => customer_id)).toEqual(customers)
    for (const { customer_id, token } of replies)
      expect(service.upstream.verify(token)?.customer).toBe(customer_id)
  })
})
