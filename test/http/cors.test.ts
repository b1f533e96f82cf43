import { expect, test } from 'vitest'
import { newCustomer, SERVICE_KEY, startService } from '../support/service.ts'

const PAGE = 'https://app.example.com'
const env = { CORS_ALLOWED_ORIGINS: PAGE }

test('a page of a listed origin may read the reply and its headers, and no other page may', async () => {
  const { ask } = await startService({ env })
  const customer = newCustomer()
  const from = (origin: string) =>
    ask(customer, { headers: { authorization: `Bearer ${SERVICE_KEY}`, origin } })

  const listed = await from(PAGE)
  const others = await Promise.all(
    [
      'https://evil.example',
      'https://app.example.com.evil.example',
      'http://app.example.com',
      'null',
    ].map(from),
  )

  expect(listed.headers).toMatchObject({
    'access-control-allow-origin': PAGE,
    'access-control-allow-credentials': 'true',
    vary: 'Origin, Authorization',
  })
  expect(listed.headers['access-control-expose-headers']).toContain('RateLimit')
  for (const reply of others) {
    expect(reply.headers['access-control-allow-origin']).toBeUndefined()
    expect(reply.headers.vary).toBe('Origin, Authorization')
  }
})

test('errors can be read by the page too', async () => {
  const { ask } = await startService({ env })

  const reply = await ask(newCustomer(), { headers: { origin: PAGE } })

  expect(reply.statusCode).toBe(401)
  expect(reply.headers['access-control-allow-origin']).toBe(PAGE)
})

test('a preflight is answered without a credential, for listed origins alone', async () => {
  const { app } = await startService({ env })
  const preflight = (origin: string) =>
    app.server.inject({
      method: 'OPTIONS',
      url: '/customers/acme/token',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    })

  const listed = await preflight(PAGE)
  const other = await preflight('https://evil.example')

  expect(listed.statusCode).toBe(204)
  expect(listed.headers['access-control-allow-origin']).toBe(PAGE)
  expect(listed.headers['access-control-allow-headers']).toContain('Authorization')
  expect(other.headers['access-control-allow-origin']).toBeUndefined()
})

test('without configured origins no header of CORS is sent', async () => {
  const { ask } = await startService()

  const reply = await ask(newCustomer(), {
    headers: { authorization: `Bearer ${SERVICE_KEY}`, origin: PAGE },
  })

  expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  expect(reply.headers.vary).toBeUndefined()
})
