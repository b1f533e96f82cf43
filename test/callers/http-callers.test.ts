import { describe, expect, test } from 'vitest'
import { newCustomer, SERVICE_KEY } from '../support/service.ts'
import { page, startSaas } from './saas.ts'

type Saas = Awaited<ReturnType<typeof startSaas>>
type Headers = Record<string, string>
type Way = readonly [name: string, headers: (saas: Saas, own: string) => Promise<Headers> | Headers]

const now = () => Math.floor(Date.now() / 1000)
const pastBearer = 'x'.repeat(8192)

const services: Way[] = [
  ['a key as a bearer token', ({ asService }) => asService],
  ['a key in X-API-Key', () => ({ 'x-api-key': SERVICE_KEY })],
]
const owners: Way[] = [
  ['a JWT', ({ asUser }, own) => asUser(own)],
  ['a JWT for several customers', ({ asUser }, own) => asUser(['someone', own])],
  [
    'a JWT for several audiences, ours among them',
    ({ asUser }, own) => asUser(own, { aud: ['a', 'broker'] }),
  ],
  ['a session', ({ asSession }, own) => asSession(own)],
  ['a session of several customers', ({ asSession }, own) => asSession('someone', own)],
]
const ofNobody: Way[] = [
  ['a JWT without the claim', ({ asUser }) => asUser(undefined)],
  ['a JWT with an empty claim', ({ asUser }) => asUser([])],
  ['a JWT with a number for a customer', ({ asUser }) => asUser(42)],
  ['a JWT with the id in capitals', ({ asUser }, own) => asUser(own.toUpperCase())],
  ['a JWT with the beginning of the id', ({ asUser }, own) => asUser(own.slice(0, -1))],
  ['a session without customers', ({ asSession }) => asSession()],
]
const strangers: Way[] = [
  ['nothing', () => ({})],
  ['an empty header', () => ({ authorization: '' })],
  ['an empty bearer token', () => ({ authorization: 'Bearer ' })],
  ['another scheme', () => ({ authorization: `Basic ${btoa(`backend:${SERVICE_KEY}`)}` })],
  ['a wrong key', () => ({ 'x-api-key': `${SERVICE_KEY}x` })],
  ['8 KiB of bearer token', () => ({ authorization: `Bearer ${pastBearer}` })],
  ['8 KiB of X-API-Key', () => ({ 'x-api-key': pastBearer })],
  ['a JWT that has expired', ({ asUser }, own) => asUser(own, { exp: now() - 60 })],
  ['a JWT that is not yet valid', ({ asUser }, own) => asUser(own, { nbf: now() + 60 })],
  ['a JWT of another issuer', ({ asUser }, own) => asUser(own, { iss: 'https://evil.example' })],
  ['a JWT for everybody', ({ asUser }, own) => asUser(own, { aud: '*' })],
  ['a JWT for others', ({ asUser }, own) => asUser(own, { aud: ['a', 'b'] })],
  [
    'a JWT with alg none',
    async ({ asUser }, own) => {
      const { authorization } = await asUser(own)
      const [, claims] = authorization.split('.')
      return { authorization: `Bearer ${btoa('{"alg":"none"}').replaceAll('=', '')}.${claims}.` }
    },
  ],
  [
    'a JWT that was tampered with',
    async ({ asUser }, own) => {
      const [head, , signature] = (await asUser('someone')).authorization.split('.')
      const [, claims] = (await asUser(own)).authorization.split('.')
      return { authorization: `${head}.${claims}.${signature}` }
    },
  ],
  ['an unknown session', () => ({ cookie: 'sid=..', 'x-requested-with': 'fetch' })],
]
const crossSite: (readonly [...Way, code: string])[] = [
  [
    'a session without X-Requested-With',
    ({ asSession }, own) => ({ cookie: asSession(own).cookie, origin: page }),
    'csrf',
  ],
  [
    'a session on another page',
    ({ asSession }, own) => ({ ...asSession(own), origin: 'https://evil.example' }),
    'origin_not_allowed',
  ],
]

const tags = { source_template_tags: ['gold'] }
type Act = (saas: Saas, customer: string, headers: Headers) => ReturnType<Saas['ask']>
const acts = {
  get: ({ ask }, customer, headers) => ask(customer, { headers }),
  post: ({ ask }, customer, headers) => ask(customer, { method: 'POST', body: {}, headers }),
  tags: ({ ask }, customer, headers) => ask(customer, { method: 'POST', body: tags, headers }),
  noTags: ({ ask }, customer, headers) =>
    ask(customer, { method: 'POST', body: { source_template_tags: [] }, headers }),
  evict: ({ ask }, customer, headers) => ask(customer, { method: 'DELETE', headers }),
  introspect: ({ ask }, customer, headers) =>
    ask(customer, { method: 'POST', path: '/introspect', body: { token: 'x' }, headers }),
} as const satisfies Record<string, Act>

/** Every act as this caller, for one customer: the status, and the code where there is one. */
async function outcomes(saas: Saas, customer: string, headers: Headers) {
  const found: Record<string, string> = {}
  for (const [name, act] of Object.entries(acts)) {
    const reply = await act(saas, customer, headers)
    const { code, token } = reply.body === '' ? {} : reply.json()
    if (reply.statusCode >= 400) expect(token).toBeUndefined()
    found[name] = `${reply.statusCode} ${code ?? ''}`.trim()
  }
  return found
}

const all = (outcome: string) =>
  Object.fromEntries(Object.keys(acts).map((name) => [name, outcome]))

describe('every way in, and all that it may do', () => {
  test.each(services)('%s: everything, for everybody', async (_name, headersFor) => {
    const saas = await startSaas()
    const own = newCustomer()

    const found = await outcomes(saas, own, await headersFor(saas, own))

    expect(found).toEqual({ ...all('200'), evict: '204' })
  })

  test.each(owners)(
    '%s: tokens for the own customer, nothing else and nobody else',
    async (_name, headersFor) => {
      const saas = await startSaas()
      const [own, other] = [newCustomer(), newCustomer()]
      const headers = await headersFor(saas, own)

      expect(await outcomes(saas, own, headers)).toEqual({
        ...all('403 forbidden'),
        get: '200',
        post: '200',
      })
      expect(await outcomes(saas, other, headers)).toEqual(all('403 forbidden'))
      expect(await saas.remaining(other)).toBe(99)
      expect(saas.upstream.minted.map(({ customer }) => customer)).toEqual([own, other])
    },
  )

  test.each([
    ...ofNobody.map((way) => [...way, '403 forbidden'] as const),
    ...strangers.map((way) => [...way, '401 unauthenticated'] as const),
    ...crossSite.map(([name, headersFor, code]) => [name, headersFor, `403 ${code}`] as const),
  ])('%s: nothing', async (_name, headersFor, refusal) => {
    const saas = await startSaas()
    const own = newCustomer()

    const found = await outcomes(saas, own, await headersFor(saas, own))

    expect(found).toEqual(all(refusal))
    expect(saas.upstream.counts.mints.total).toBe(0)
    expect(await saas.remaining(own)).toBe(99)
  })

  test('Authorization together with X-API-Key: 400, however good both are', async () => {
    const saas = await startSaas()

    const found = await outcomes(saas, newCustomer(), {
      ...saas.asService,
      'x-api-key': SERVICE_KEY,
    })

    expect(found).toEqual(all('400 invalid_request'))
  })
})

test('a token that is cached is no easier to get', async () => {
  const saas = await startSaas()
  const customer = newCustomer()
  await saas.ask(customer)

  const reply = await saas.ask(customer, { headers: await saas.asUser(newCustomer()) })

  expect(reply.statusCode).toBe(403)
  expect(reply.headers['cache-status']).toBeUndefined()
  expect(reply.headers.ratelimit).toBeUndefined()
})

test('401 names the scheme, and blames a credential only if one was sent', async () => {
  const { ask, bearer } = await startSaas()

  const without = await ask(newCustomer(), { headers: {} })
  const wrong = await ask(newCustomer(), { headers: bearer('wrong') })

  expect(without.headers['www-authenticate']).toMatch(/^Bearer(?!.*error)/)
  expect(wrong.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/)
})

describe('every route that names a customer', () => {
  test('asks who calls, and whether the caller may act for the customer', async () => {
    const saas = await startSaas()
    const routes = routesOf(saas.app.server.printRoutes({ commonPrefix: false })).filter(
      ({ path }) => path.includes(':'),
    )
    const other = await saas.asUser(newCustomer())

    expect(routes).toContainEqual({ method: 'POST', path: '/customers/:id/token/introspect' })
    for (const { method, path } of routes) {
      const customer = newCustomer()
      const url = path.replace(/:\w+/, customer)
      const payload = { token: 'x' }
      const body = method === 'POST' && path.endsWith('introspect') ? { payload } : {}
      for (const [headers, status] of [
        [{}, 401],
        [other, 403],
      ] as const) {
        const reply = await saas.app.server.inject({ method, url, headers, ...body })
        expect([method, path, reply.statusCode]).toEqual([method, path, status])
      }
      expect(await saas.remaining(customer)).toBe(99)
    }
  })
})

const METHODS = ['GET', 'POST', 'DELETE', 'HEAD', 'PUT', 'PATCH', 'OPTIONS'] as const

/** The routes in the tree that the server prints of itself. */
function routesOf(tree: string) {
  const found: { method: (typeof METHODS)[number]; path: string }[] = []
  const above: string[] = []
  for (const line of tree.split('\n')) {
    const match = /^((?:[│ ] {3})*)[├└]── (\S+)(?: \(([^)]*)\))?/.exec(line)
    if (!match) continue
    const depth = (match[1]?.length ?? 0) / 4
    above.length = depth
    const path = above.join('') + (match[2] ?? '')
    above.push(match[2] ?? '')
    for (const method of METHODS)
      if (match[3]?.split(', ').includes(method)) found.push({ method, path })
  }
  return found
}
