import { describe, expect, onTestFinished, test } from 'vitest'
import { createTokenClient, type TokenReply } from '../../src/client/client.js'
import { stopClock, until } from './clock.ts'
import { json, problem, startBroker, tokenReply } from './stand-in-broker.ts'
import { createClient, failureOf } from './support.ts'

describe('asking', () => {
  test('the request is the one the contract describes', async () => {
    const broker = await startBroker()
    const client = createClient({ url: `${broker.url}/`, customerId: 'a@b:c', type: 'widget' })

    const token = await client.getToken()

    expect(token).toBe('token-1')
    expect(broker.requests).toMatchObject([
      {
        method: 'GET',
        path: '/customers/a%40b%3Ac/token',
        query: { type: 'widget' },
        headers: { authorization: 'Bearer key' },
      },
    ])
    expect(broker.requests[0]?.headers).not.toHaveProperty('x-requested-with')
  })

  test('without a credential, cookies go with the header against forged requests', async () => {
    const broker = await startBroker()
    const sent: RequestInit[] = []
    const client = createTokenClient({
      url: broker.url,
      customerId: 'customer-1',
      fetch: (input, init) => {
        sent.push(init ?? {})
        return fetch(input, init)
      },
    })
    onTestFinished(() => client.close())

    await client.getToken()

    expect(sent).toMatchObject([{ credentials: 'include', redirect: 'error', cache: 'no-store' }])
    expect(broker.requests[0]?.headers['x-requested-with']).toBe('token-client')
    expect(broker.requests[0]?.headers.authorization).toBeUndefined()
  })

  test('an empty credential is refused by the broker, not replaced by cookies', async () => {
    const broker = await startBroker()
    const client = createClient({ url: broker.url, credential: '' })

    await client.getToken()

    expect(broker.requests[0]?.headers['x-requested-with']).toBeUndefined()
  })

  test('the widget origin is passed on where it is given', async () => {
    const broker = await startBroker()
    const client = createClient({ url: broker.url, allowedOrigin: 'https://app.example' })

    await client.getToken()

    expect(broker.requests[0]?.query).toEqual({
      type: 'scoped',
      allowed_origin: 'https://app.example',
    })
  })

  test('however many ask at once, one request is made', async () => {
    const broker = await startBroker()
    const client = createClient({ url: broker.url })

    const tokens = await Promise.all(Array.from({ length: 50 }, () => client.getToken()))

    expect(new Set(tokens)).toEqual(new Set(['token-1']))
    expect(broker.requests).toHaveLength(1)
  })

  test('a redirect is not followed with the credential in hand', async () => {
    const elsewhere = await startBroker()
    const broker = await startBroker()
    broker.always((_request, response) => {
      response.writeHead(302, { location: elsewhere.url }).end()
    })
    const client = createClient({ url: broker.url, timeoutMs: 300 })

    const error = await failureOf(client.getToken())

    expect(error.code).toBe('network')
    expect(elsewhere.requests).toEqual([])
  })

  test.each([
    ['no JSON', (_: unknown, response: { end(text: string): void }) => response.end('<html>')],
    ['null', json(200, null)],
    ['no token', json(200, { expires_in: 60 })],
    ['an empty token', json(200, { token: '', expires_in: 60 })],
    ['a token that is no string', json(200, { token: 7, expires_in: 60 })],
    ['no life', json(200, { token: 'x' })],
    ['a dead token', json(200, { token: 'x', expires_in: 0 })],
    ['a token about to end', json(200, tokenReply('x', { lifeS: 1200, restS: 9 }))],
  ])('a reply with %s is never handed out', async (_what, answer) => {
    const broker = await startBroker()
    broker.always(answer)
    const client = createClient({ url: broker.url, timeoutMs: 300 })

    const error = await failureOf(client.getToken())

    expect(error.code).toBe('invalid_reply')
  })

  test('a reply without its moments is good for what expires_in says', async () => {
    const broker = await startBroker()
    broker.next(json(200, { token: 'bare', expires_in: 60 }))
    const client = createClient({ url: broker.url })

    expect(await client.getToken()).toBe('bare')
  })
})

describe('renewing', () => {
  test('a token is kept while it is fresh', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()

    await clock.pass(950)

    expect(await client.getToken()).toBe('token-1')
    expect(broker.requests).toHaveLength(1)
  })

  test('one due for renewal is still served, while a longer one is fetched behind it', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()
    await clock.pass(1100)

    const during = await client.getToken()
    await until(() => client.current()?.token === 'token-2')

    expect(during).toBe('token-1')
    expect(await client.getToken()).toBe('token-2')
    expect(broker.requests[1]?.query).toEqual({ type: 'scoped', min_ttl: '101' })
  })

  test('no token is handed out with less than a safe rest', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()

    await clock.pass(1191)

    expect(client.current()).toBeUndefined()
    expect(await client.getToken()).toBe('token-2')
  })

  test('nobody listens: nothing is renewed', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url })
    await client.getToken()

    await clock.pass(600)

    expect(broker.requests).toHaveLength(1)
  })

  test('a listener hears every token, each before the one before it ends', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url })
    const heard: [string, number][] = []
    const begin = Date.now()
    client.onToken((reply) => heard.push([reply.token, (Date.now() - begin) / 1000]))
    await until(() => heard.length === 1)

    for (let second = 0; second < 150 && heard.length < 4; second += 2) await clock.pass(2)

    expect(heard.map(([token]) => token)).toEqual(['token-1', 'token-2', 'token-3', 'token-4'])
    const gaps = heard.slice(1).map(([, at], index) => at - (heard[index]?.[1] ?? 0))
    // Two fifths of the life before the end, and up to a quarter of that later by chance.
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(30)
    for (const gap of gaps) expect(gap).toBeLessThanOrEqual(45)
  })

  test('pages opened together do not come back together', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const clients = Array.from({ length: 20 }, () => createClient({ url: broker.url }))
    for (const client of clients) client.onToken(() => {})
    await until(() => broker.requests.length === 20)

    await clock.pass(960)
    const atOnce = broker.requests.length - 20
    await clock.pass(65)

    expect(atOnce).toBeLessThan(5)
    expect(broker.requests).toHaveLength(40)
  })

  test('a listener hears at once of the token in hand, and nothing after it left', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url })
    await client.getToken()
    const heard: TokenReply[] = []

    const leave = client.onToken((reply) => heard.push(reply))
    await until(() => heard.length === 1)
    leave()
    await clock.pass(300)

    expect(heard).toMatchObject([{ token: 'token-1', expires_in: 60 }])
    expect(broker.requests).toHaveLength(1)
  })

  test('a broker that has nothing newer is not asked again and again', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    const end = Date.now() + 240_000
    broker.always((request, response) =>
      json(
        200,
        tokenReply('the same', { lifeS: 1200, restS: Math.floor((end - Date.now()) / 1000) }),
      )(request, response),
    )
    const client = createClient({ url: broker.url })
    client.onToken(() => {})
    await until(() => client.current() !== undefined)

    for (let second = 0; second < 220; second += 10) await clock.pass(10)

    expect(broker.requests.length).toBeLessThan(8)
  })
})

describe('clocks', () => {
  test.each([
    ['an hour fast', -3600],
    ['a day slow', 86_400],
  ])('a local clock that is %s does not matter', async (_how, seconds) => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200, clockMs: Date.now() + seconds * 1000 })
    const client = createClient({ url: broker.url })
    await client.getToken()

    await clock.pass(900)
    const kept = await client.getToken()
    await clock.pass(291)

    expect(kept).toBe('token-1')
    expect(await client.getToken()).toBe('token-2')
  })

  test('a clock set back does not lengthen a life', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()
    clock.sleep(-7200)

    await clock.pass(1195)

    expect(await client.getToken()).toBe('token-2')
  })

  test('after a sleep, nobody gets the token that died in it', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()

    clock.sleep(3600)

    expect(client.current()).toBeUndefined()
    expect(await client.getToken()).toBe('token-2')
  })

  test('after a sleep, listeners have a new token within a minute, without any event', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    const heard: string[] = []
    client.onToken((reply) => heard.push(reply.token))
    await until(() => heard.length === 1)

    clock.sleep(3600)
    await clock.pass(60)

    await until(() => heard.length === 2)
    expect(heard).toEqual(['token-1', 'token-2'])
  })

  test('a life longer than a timer can hold is not a life of no length', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 90 * 86_400 })
    const client = createClient({ url: broker.url })
    client.onToken(() => {})
    await until(() => broker.requests.length === 1)

    await clock.pass(3600)

    expect(broker.requests).toHaveLength(1)
  })
})

describe('a broker that is away', () => {
  test('the token in hand is served while it lives', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 1200 })
    const client = createClient({ url: broker.url })
    await client.getToken()
    broker.always(problem(503, 'upstream_unavailable'))
    const served: string[] = []

    await clock.pass(970)
    for (let second = 0; second < 200; second += 20) {
      served.push(await client.getToken())
      await clock.pass(20)
    }

    expect(new Set(served)).toEqual(new Set(['token-1']))
  })

  test('tries become rarer, and the next token comes with the broker', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url })
    const failures: string[] = []
    broker.always(problem(503, 'upstream_unavailable'))
    client.onToken(
      () => {},
      (error) => failures.push(error.code),
    )
    await until(() => failures.length === 1)

    for (let second = 0; second < 300; second += 5) await clock.pass(5)
    const tries = broker.requests.length
    broker.always(undefined)
    for (let second = 0; second < 31; second += 5) await clock.pass(5)

    expect(tries).toBeGreaterThan(10)
    expect(tries).toBeLessThan(26)
    expect(new Set(failures)).toEqual(new Set(['upstream_unavailable']))
    await until(() => client.current() !== undefined)
  })

  test('a short absence is waited out', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    broker.next(
      problem(502, 'upstream_invalid'),
      (_request, response) => void response.destroy(),
      problem(500, 'internal_error'),
    )
    const client = createClient({ url: broker.url })

    const token = client.getToken()
    for (let passed = 0; passed < 6; passed += 1) await clock.pass(1)

    expect(await token).toBe('token-4')
  })

  test('a request that hangs ends at the deadline, as does a credential that never comes', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    broker.always((request) => void request)
    const hanging = createClient({ url: broker.url })
    const waiting = createClient({ url: broker.url, credential: () => new Promise(() => {}) })

    const failures = Promise.all([hanging, waiting].map((client) => failureOf(client.getToken())))
    await until(() => broker.requests.length === 1)
    await clock.pass(15)

    expect((await failures).map((error) => error.code)).toEqual(['timeout', 'timeout'])
  })

  test('a body that never ends does too', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    broker.always((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"token":')
    })
    const client = createClient({ url: broker.url })

    const failure = failureOf(client.getToken())
    await until(() => broker.requests.length === 1)
    await clock.pass(15)

    expect((await failure).code).toBe('timeout')
  })

  test('a broker out of reach is a network error, and says why', async () => {
    const client = createClient({ url: 'http://127.0.0.1:1', timeoutMs: 300 })

    const error = await failureOf(client.getToken())

    expect(error).toMatchObject({ code: 'network', status: 0 })
    expect(error.cause).toBeInstanceOf(TypeError)
  })
})

describe('a limit', () => {
  test('Retry-After is obeyed, by everybody', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    broker.next(problem(429, 'rate_limited', { 'retry-after': '120' }))
    const client = createClient({ url: broker.url })
    client.onToken(() => {})

    const error = await failureOf(client.getToken())
    await clock.pass(100)
    const again = await failureOf(client.getToken())
    const asked = broker.requests.length
    await clock.pass(21)

    expect(error).toMatchObject({ code: 'rate_limited', status: 429, retryAfterMs: 120_000 })
    expect(error).toMatchObject({ requestId: 'req-7', message: 'no: rate_limited' })
    expect(again).toBe(error)
    expect(asked).toBe(1)
    await until(() => client.current()?.token === 'token-2')
  })

  test('a short pause is sat out', async () => {
    const clock = stopClock()
    const broker = await startBroker()
    broker.next(problem(429, 'rate_limited', { 'retry-after': '3' }))
    const client = createClient({ url: broker.url })

    const token = client.getToken()
    await until(() => broker.requests.length === 1)
    await clock.pass(2)
    const early = broker.requests.length
    await clock.pass(1.1)

    expect(await token).toBe('token-2')
    expect(early).toBe(1)
  })
})

describe('a refused credential', () => {
  test.each([401, 403])('after %i it is asked for once more', async (status) => {
    const broker = await startBroker()
    broker.next(problem(status, 'unauthenticated'))
    const asked: boolean[] = []
    const client = createClient({
      url: broker.url,
      credential: async (refused) => {
        asked.push(refused)
        return refused ? 'new' : 'old'
      },
    })

    const token = await client.getToken()

    expect(token).toBe('token-2')
    expect(asked).toEqual([false, true])
    expect(broker.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer old',
      'Bearer new',
    ])
  })

  test.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ])('after the second %i there is an error and no loop', async (status, code) => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    broker.always(problem(status, code))
    const client = createClient({ url: broker.url, credential: () => 'old' })
    const heard: string[] = []
    client.onToken(
      () => {},
      (error) => heard.push(error.code),
    )

    const error = await failureOf(client.getToken())
    await clock.pass(3600)

    expect(error).toMatchObject({ code, status })
    expect(heard).toEqual([code])
    expect(broker.requests).toHaveLength(2)
  })

  test('a fixed credential is not sent twice', async () => {
    const broker = await startBroker()
    broker.always(problem(401, 'unauthenticated'))
    const client = createClient({ url: broker.url, credential: 'old' })

    await failureOf(client.getToken())

    expect(broker.requests).toHaveLength(1)
  })

  test('the page may ask again, when somebody has signed in', async () => {
    const broker = await startBroker()
    broker.next(problem(401, 'unauthenticated'))
    const client = createClient({ url: broker.url, credential: 'old' })
    await failureOf(client.getToken())

    expect(await client.getToken()).toBe('token-2')
  })

  test('a credential that cannot be had is an error that says so', async () => {
    const broker = await startBroker()
    const cause = new Error('signed out')
    const client = createClient({
      url: broker.url,
      timeoutMs: 300,
      credential: () => Promise.reject(cause),
    })

    const error = await failureOf(client.getToken())

    expect(error).toMatchObject({ code: 'credential', cause })
    expect(broker.requests).toEqual([])
  })
})

describe('closing', () => {
  test('whoever waits is told, and nothing goes on', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url })
    const heard: string[] = []
    client.onToken((reply) => heard.push(reply.token))
    await until(() => heard.length === 1)
    broker.always((request) => void request)
    await clock.pass(70)
    const waiting = failureOf(client.getToken())

    client.close()
    const asked = broker.requests.length
    await clock.pass(600)

    expect((await waiting).code).toBe('closed')
    expect((await failureOf(client.getToken())).code).toBe('closed')
    expect(client.current()).toBeUndefined()
    expect(broker.requests).toHaveLength(asked)
  })

  test('a listener that comes afterwards sets nothing off', async () => {
    const broker = await startBroker()
    const client = createClient({ url: broker.url })
    client.close()

    client.onToken(() => {})
    client.close()

    expect(broker.requests).toEqual([])
  })
})
