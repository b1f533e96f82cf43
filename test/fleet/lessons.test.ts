import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { createTokenClient } from '../../src/client/client.js'
import { newPrefix } from '../support/brokers.ts'
import { userToken } from '../support/jwt.ts'
import { startPrivateRedis, until } from '../support/private-redis.ts'
import { JWT_SECRET, newCustomer, type ServiceOptions, startService } from '../support/service.ts'

// Real processes, on machines that may have much else to do.
vi.setConfig({ testTimeout: 60_000 })

const MINUTE = 60_000
const JWT = { JWT_SECRET, JWT_AUDIENCE: 'token-broker' }
const wrong = { authorization: 'Bearer wrong-key-0123456789abcdef' }

async function startTwo(options: ServiceOptions = {}) {
  const env = { REDIS_URL: inject('redisUrl'), REDIS_KEY_PREFIX: newPrefix(), ...options.env }
  const a = await startService({ ...options, env })
  const b = await startService({ ...options, env, upstream: a.upstream })
  await until(async () => (await seesRedis(a)) && (await seesRedis(b)), 'Redis')
  return { a, b, upstream: a.upstream, prefix: env.REDIS_KEY_PREFIX }
}

type Service = Awaited<ReturnType<typeof startService>>
const seesRedis = async ({ app }: Service) =>
  (await app.ops.inject('/health')).json().checks.redis.status === 'ok'

/** What other token brokers paid for, each in the smallest case that shows it. */
describe('lessons', () => {
  test('1: a lease outlives the call it protects, and only its owner writes', async () => {
    const { a, b, upstream, prefix } = await startTwo({ sandbox: { workspaceCreationMs: 0 } })
    const customer = newCustomer()
    const hold = upstream.hold('mint')
    const late = a.ask(customer)
    await hold.reached(1)
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    const [key = ''] = await redis.keys(`${prefix}v1:{*`)
    const [field = ''] = (await redis.hkeys(key)).filter((each) => each.startsWith('l:'))
    const first = await redis.hget(key, field)
    await until(async () => (await redis.hget(key, field)) !== first, 'a renewal')

    upstream.configure({ breakOnOverlappingFirstMints: false })
    await redis.hdel(key, field)
    const usurper = b.ask(customer)
    await hold.reached(2)
    hold.releaseOne()
    await late
    hold.release()

    const current = (await usurper).json().token
    await until(
      async () => (await b.ask(customer)).json().token === current,
      'the token of the owner',
    )
  })

  test('2: waiters watch for the token, and do not wait for ever', async () => {
    const { a, b, upstream } = await startTwo({
      env: { UPSTREAM_TIMEOUT: '1s' },
      sandbox: { breakOnOverlappingFirstMints: false },
    })
    const customer = newCustomer()
    const hold = upstream.hold('mint')
    const both = [a.ask(customer), b.ask(customer)]
    await hold.reached(1)

    const replies = await Promise.all(both)
    hold.release()

    expect(replies.map(({ statusCode }) => statusCode)).toEqual([504, 504])
    expect((await b.ask(customer)).statusCode).toBe(200)
  })

  test.each([3, 15, 20].map((minutes) => [minutes]))(
    '3: a token that lives %i minutes is not minted on every call',
    async (minutes) => {
      const { ask, upstream } = await startService({ sandbox: { scopedLifeMs: minutes * MINUTE } })
      const customer = newCustomer()

      for (let call = 0; call < 5; call++) await ask(customer)

      expect(upstream.counts.mints.total).toBe(1)
    },
  )

  test('4: a Redis that is lost is not passed on to callers', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const service = await startService({ env: { REDIS_URL: redis.url } })
    await until(() => seesRedis(service), 'Redis')
    const [known, unknown] = [newCustomer(), newCustomer()]
    await service.ask(known)

    await redis.kill()
    const replies = await Promise.all(
      [known, unknown, known, unknown].map((each) => service.ask(each)),
    )

    expect(replies.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200])
    await until(async () => !(await seesRedis(service)), 'the loss')
    expect((await service.app.ops.inject('/health')).json().status).toBe('degraded')
  })

  test('5: what decides the token decides the key', async () => {
    const { a, b, upstream } = await startTwo({
      env: { WIDGET_ALLOWED_ORIGINS: 'https://a.test,https://b.test' },
    })
    const customer = newCustomer()
    const asks = [
      {},
      { type: 'widget', allowed_origin: 'https://a.test' },
      { type: 'widget', allowed_origin: 'https://b.test' },
      { source_template_tags: ['x'] },
      { source_template_tags: ['x'], source_template_tags_mode: 'all' },
      { connection_template_tags: ['x'] },
    ]
    const tokens = async (service: Service) => {
      const all = []
      for (const body of asks)
        all.push((await service.ask(customer, { method: 'POST', body })).json())
      return all.map(({ token, code }) => token ?? code)
    }

    const [first, second] = [await tokens(a), await tokens(b)]

    expect(second).toEqual(first)
    const issued = first.filter((each) => upstream.verify(each))
    expect(new Set(issued).size).toBe(issued.length)
    expect(issued.length).toBeGreaterThan(2)
  })

  test('6: a kept token with wider rights is no substitute', async () => {
    const { ask } = await startService({ env: { AIRBYTE_DIALECT: 'embedded' } })
    const customer = newCustomer()
    const wide = (await ask(customer)).json().token

    const narrow = await ask(customer, { method: 'POST', body: { source_template_tags: ['one'] } })

    expect(narrow.json().token).not.toBe(wide)
  })

  test('7: a kept token is for those who may have it', async () => {
    const { ask } = await startService({ env: JWT })
    const customer = newCustomer()
    await ask(customer)
    const stranger = { authorization: `Bearer ${await userToken({ customer_id: newCustomer() })}` }

    const replies = await Promise.all([
      ask(customer, { headers: stranger }),
      ask(customer, { headers: wrong }),
      ask(customer, { headers: {} }),
    ])

    expect(replies.map(({ statusCode }) => statusCode)).toEqual([403, 401, 401])
  })

  test('8: nothing is renewed for nobody', async () => {
    let now = Date.now()
    const { ask, upstream } = await startService({ now: () => now, sandbox: { now: () => now } })
    const [left, comesBack] = [newCustomer(), newCustomer()]
    await Promise.all([ask(left), ask(comesBack)])

    now += 17 * MINUTE
    await ask(comesBack)
    await until(() => upstream.counts.mints.byCustomer[comesBack] === 2, 'a renewal')

    expect(upstream.counts.mints.byCustomer[left]).toBe(1)
  })

  test('9: a stranger behind the same address starves nobody, and is slowed down', async () => {
    const { ask } = await startService({ env: { RATE_LIMIT_AUTH_FAILURES: '5' } })
    const customer = newCustomer()

    const strangers = []
    for (let call = 0; call < 8; call++)
      strangers.push((await ask(customer, { headers: wrong })).statusCode)

    expect(strangers).toEqual([401, 401, 401, 401, 401, 429, 429, 429])
    expect((await ask(customer)).headers.ratelimit).toContain('r=99;')
  })

  test('10: whether the process lives depends on nobody else', async () => {
    const { app } = await startService({
      env: { REDIS_URL: 'redis://127.0.0.1:1', AIRBYTE_API_URL: 'http://127.0.0.1:1' },
    })

    expect((await app.ops.inject('/health/live')).statusCode).toBe(200)
  })

  test('11: a secret is in no key, line, label or error', async () => {
    const { a, b, upstream, prefix } = await startTwo()
    const customer = newCustomer()
    await a.ask(customer)
    upstream.fail({ on: 'mint', what: 'status', status: 403 })
    const error = await b.ask(newCustomer())
    const redis = new Redis(inject('redisUrl'))
    onTestFinished(() => redis.disconnect())
    const keys = (await redis.keys(`${prefix}*`)).join()

    const said = [
      keys,
      error.body,
      JSON.stringify([...a.logged(), ...b.logged()]),
      (await a.app.ops.inject('/metrics')).body,
    ].join()

    expect(upstream.secrets.filter((secret) => said.includes(secret))).toEqual([])
    expect(keys).not.toContain(customer)
    expect(keys).not.toContain(createHash('sha256').update(customer).digest('hex'))
  })

  test("12: a refused caller is told when to come, on Redis's clock and rounded up", async () => {
    let skew = 0
    const { a, b } = await startTwo({
      env: { RATE_LIMIT_MAX: '2', RATE_LIMIT_WINDOW: '10s' },
      now: () => Date.now() + skew,
    })
    const customer = newCustomer()
    await a.ask(customer)
    skew = 3_600_000
    await b.ask(customer)

    const refused = await a.ask(customer)

    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(10)
  })

  test('13: the page is not left hanging by a network that was away, or a callback that never ends', async () => {
    const { app } = await startService({ env: { ...JWT, SHUTDOWN_DELAY: '0ms' } })
    const url = await app.server.listen({ host: '127.0.0.1', port: 0 })
    const customerId = newCustomer()
    const jwt = await userToken({ customer_id: customerId })
    let away = true
    const client = createTokenClient({
      url,
      customerId,
      credential: jwt,
      fetch: (...asked) => (away ? Promise.reject(new TypeError('away')) : fetch(...asked)),
    })
    const stuck = createTokenClient({
      url,
      customerId,
      credential: () => new Promise(() => {}),
      timeoutMs: 200,
    })
    onTestFinished(() => {
      client.close()
      stuck.close()
    })

    const waiting = client.getToken()
    setTimeout(() => {
      away = false
    }, 50)

    expect(await waiting).toMatch(/^ey/)
    await expect(stuck.getToken()).rejects.toMatchObject({ name: 'TokenError' })
  })
})
