import { describe, expect, test } from 'vitest'
import { userToken } from '../support/jwt.ts'
import { JWT_SECRET, newCustomer, startService } from '../support/service.ts'

const wrong = { authorization: 'Bearer wrong-key-0123456789abcdef' }
const JWT = { JWT_SECRET, JWT_AUDIENCE: 'token-broker' }

describe("a customer's limit", () => {
  test('call 101 within 15 minutes is refused, other customers are untouched, and the window ends', async () => {
    let now = Date.now()
    const { ask } = await startService({ now: () => now, sandbox: { now: () => now } })
    const [customer, other] = [newCustomer(), newCustomer()]
    for (let call = 1; call <= 100; call++) expect((await ask(customer)).statusCode).toBe(200)

    now += 100_500
    const refused = await ask(customer)
    const others = await ask(other)
    now += 900_000
    const later = await ask(customer)

    expect(refused.statusCode).toBe(429)
    expect(refused.json()).toMatchObject({
      code: 'rate_limited',
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    })
    // 799.5 s are left: rounded up, because who comes too early is refused again.
    expect(refused.headers).toMatchObject({
      'retry-after': '800',
      ratelimit: '"customer";r=0;t=800',
      'ratelimit-policy': '"customer";q=100;w=900',
    })
    expect(others.headers.ratelimit).toBe('"customer";r=99;t=900')
    expect([others.statusCode, later.statusCode]).toEqual([200, 200])
  })

  test('is not touched by callers who may not act for the customer', async () => {
    const { ask } = await startService({ env: { ...JWT, RATE_LIMIT_MAX: '2' } })
    const customer = newCustomer()
    const stranger = { authorization: `Bearer ${await userToken({ customer_id: newCustomer() })}` }

    for (let call = 0; call < 5; call++)
      expect((await ask(customer, { headers: stranger })).statusCode).toBe(403)
    const reply = await ask(customer)

    expect(reply.headers.ratelimit).toBe('"customer";r=1;t=900')
  })

  test('counts a refresh, and lets service callers evict beyond it', async () => {
    const { ask } = await startService({ env: { RATE_LIMIT_MAX: '2' } })
    const customer = newCustomer()

    await ask(customer)
    await ask(customer, { method: 'POST', body: { refresh: true } })
    const third = await ask(customer)
    const evicted = await ask(customer, { method: 'DELETE' })

    expect([third.statusCode, evicted.statusCode]).toEqual([429, 204])
  })
})

describe('failed authentications', () => {
  test('stop unknown credentials of an address, and nobody who is known', async () => {
    const { ask, upstream } = await startService({ env: { ...JWT, RATE_LIMIT_AUTH_FAILURES: '3' } })
    const customer = newCustomer()
    const known = { authorization: `Bearer ${await userToken({ customer_id: customer })}` }
    expect((await ask(customer, { headers: known })).statusCode).toBe(200)

    const failures = []
    for (let call = 0; call < 4; call++) failures.push(await ask(customer, { headers: wrong }))
    const service = await ask(customer)
    const user = await ask(customer, { headers: known })

    expect(failures.map(({ statusCode }) => statusCode)).toEqual([401, 401, 401, 429])
    expect(Number(failures.at(-1)?.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect([service.statusCode, user.statusCode]).toEqual([200, 200])
    expect(upstream.counts.mints.total).toBe(1)
  })

  test('are not those of a caller without a credential, or of one who is known', async () => {
    const { ask } = await startService({ env: { RATE_LIMIT_AUTH_FAILURES: '2' } })
    const customer = newCustomer()

    for (let call = 0; call < 5; call++) {
      expect((await ask(customer, { headers: {} })).statusCode).toBe(401)
      expect((await ask(customer)).statusCode).toBe(200)
    }
    const wrongOnce = await ask(customer, { headers: wrong })

    expect(wrongOnce.statusCode).toBe(401)
  })

  test.each([
    ['another IPv4 address', '192.0.2.1', '192.0.2.2', 401],
    ['another address of the same /64', '2001:db8::1', '2001:db8::2', 429],
    ['another /64', '2001:db8::1', '2001:db8:0:1::1', 401],
  ])('are counted by address, %s', async (_what, first, second, status) => {
    const { app } = await startService({ env: { RATE_LIMIT_AUTH_FAILURES: '1', TRUST_PROXY: '1' } })
    const from = (address: string) =>
      app.server.inject({
        url: '/customers/acme/token',
        headers: { ...wrong, 'x-forwarded-for': address },
      })

    await from(first)

    expect((await from(second)).statusCode).toBe(status)
  })

  test('are not counted by what a stranger claims to be forwarded for', async () => {
    const { app } = await startService({ env: { RATE_LIMIT_AUTH_FAILURES: '1' } })
    const from = (address: string) =>
      app.server.inject({
        url: '/customers/acme/token',
        headers: { ...wrong, 'x-forwarded-for': address },
      })

    await from('192.0.2.1')

    expect((await from('192.0.2.2')).statusCode).toBe(429)
  })
})
