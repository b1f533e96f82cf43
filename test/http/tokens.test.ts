import { describe, expect, test } from 'vitest'
import { newCustomer, startService } from '../support/service.ts'

const LIMIT = 'ratelimit'

describe('a token for a customer', () => {
  test('is minted by the first call and kept for the second', async () => {
    const { ask, upstream } = await startService()
    const customer = newCustomer()

    const first = await ask(customer)
    const second = await ask(customer)

    expect(first.statusCode).toBe(200)
    expect(first.headers['cache-status']).toBe('token-broker; fwd=miss; stored')
    expect(second.headers['cache-status']).toBe('token-broker; hit')
    expect(second.json().token).toBe(first.json().token)
    expect(upstream.counts.mints.total).toBe(1)
    expect(upstream.verify(first.json().token)?.customer).toBe(customer)
  })

  test('comes with all that the contract says of it', async () => {
    const { ask, upstream } = await startService()
    const customer = newCustomer()

    const reply = await ask(customer)

    const body = reply.json()
    expect(Object.keys(body)).toEqual([
      'token',
      'type',
      'customer_id',
      'workspace_id',
      'expires_at',
      'expires_in',
      'refresh_after',
    ])
    const life = Date.parse(body.expires_at) - Date.now()
    expect(life).toBeGreaterThan(19 * 60_000)
    expect(body.expires_in).toBeLessThanOrEqual(1200)
    expect(body.expires_in).toBeGreaterThan(1190)
    expect(Date.parse(body.expires_at) - Date.parse(body.refresh_after)).toBe(240_000)
    expect(body.workspace_id).toBe(upstream.verify(body.token)?.workspaceId)
    expect(body).toMatchObject({ type: 'scoped', customer_id: customer })
    expect(reply.headers).toMatchObject({
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'ratelimit-policy': '"customer";q=100;w=900',
      [LIMIT]: '"customer";r=99;t=900',
    })
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
  })

  test.each(['embedded', 'embedded-workspace', 'applications'] as const)(
    'is had from the dialect %s, which auto finds',
    async (dialect) => {
      const { ask, logged } = await startService({
        sandbox: { dialects: [dialect] },
        env: { WIDGET_ALLOWED_ORIGINS: 'https://app.example.com' },
      })
      const customer = newCustomer()

      const scoped = await ask(customer)
      const widget = await ask(customer, { query: { type: 'widget' } })

      expect([scoped.statusCode, widget.statusCode]).toEqual([200, 200])
      expect(widget.json()).toMatchObject({
        type: 'widget',
        workspace_id: scoped.json().workspace_id,
      })
      expect(
        logged().filter((line) => line.dialect === dialect && line.msg?.includes('speaks')),
      ).toHaveLength(1)
    },
  )

  test('200 first calls at once cost one mint', async () => {
    const { ask, upstream } = await startService()
    const customer = newCustomer()
    const hold = upstream.hold('mint')

    const asking = Array.from({ length: 200 }, () => ask(customer))
    await hold.reached(1)
    hold.release()
    const replies = await Promise.all(asking)

    const granted = replies.filter((reply) => reply.statusCode === 200)
    expect(granted).toHaveLength(100)
    expect(new Set(granted.map((reply) => reply.json().token)).size).toBe(1)
    expect(replies.filter((reply) => reply.statusCode === 429)).toHaveLength(100)
    expect(upstream.counts.mints.total).toBe(1)
    const statuses = granted.map((reply) => reply.headers['cache-status'])
    expect(statuses.filter((status) => status === 'token-broker; fwd=miss; stored')).toHaveLength(1)
    expect(
      statuses.filter((status) => status === 'token-broker; fwd=miss; collapsed'),
    ).toHaveLength(99)
  })
})

describe('a caller may ask for more', () => {
  test('GET and POST answer alike', async () => {
    const { ask } = await startService()
    const customer = newCustomer()

    const got = await ask(customer)
    const posted = await ask(customer, { method: 'POST' })
    const withBody = await ask(customer, { method: 'POST', body: { type: 'scoped' } })

    expect(posted.json().token).toBe(got.json().token)
    expect(withBody.json().token).toBe(got.json().token)
  })

  test('a refresh within ten seconds returns the same token, and a new one after', async () => {
    let now = Date.now()
    const { ask, upstream } = await startService({ now: () => now, sandbox: { now: () => now } })
    const customer = newCustomer()
    const refresh = () => ask(customer, { method: 'POST', body: { refresh: true } })

    const first = await ask(customer)
    const tooSoon = await refresh()
    now += 10_001
    const renewed = await refresh()

    expect(tooSoon.json().token).toBe(first.json().token)
    expect(renewed.json().token).not.toBe(first.json().token)
    expect(renewed.headers['cache-status']).toBe('token-broker; fwd=request; stored')
    expect(upstream.counts.mints.total).toBe(2)
  })

  test('a min_ttl that the cached token does not reach makes a new one; one that none can reach returns the fresh one', async () => {
    let now = Date.now()
    const { ask } = await startService({ now: () => now, sandbox: { now: () => now } })
    const customer = newCustomer()
    const first = await ask(customer)

    now += 60_000
    const enough = await ask(customer, { query: { min_ttl: '1000' } })
    const tooLittle = await ask(customer, { query: { min_ttl: '1190' } })
    now += 1000
    const beyond = await ask(customer, { query: { min_ttl: '86400' } })

    expect(enough.json().token).toBe(first.json().token)
    expect(tooLittle.json().token).not.toBe(first.json().token)
    expect(beyond.json().token).toBe(tooLittle.json().token)
  })

  test('DELETE forgets the customer, and answers 204 when there was nothing to forget', async () => {
    const { ask } = await startService()
    const customer = newCustomer()

    const nothing = await ask(customer, { method: 'DELETE' })
    const first = await ask(customer)
    const forgotten = await ask(customer, { method: 'DELETE' })
    const second = await ask(customer)

    expect([nothing.statusCode, forgotten.statusCode]).toEqual([204, 204])
    expect(second.json().token).not.toBe(first.json().token)
  })
})

describe('a widget token', () => {
  const env = { WIDGET_ALLOWED_ORIGINS: 'https://app.example.com,https://beta.example.com' }

  test.each([
    ['named', { allowed_origin: 'https://beta.example.com' }, {}, 'https://beta.example.com'],
    ["the page's own", {}, { origin: 'https://app.example.com' }, 'https://app.example.com'],
  ])('carries the origin: %s', async (_what, body, extra, origin) => {
    const { ask, upstream } = await startService({ env, sandbox: { dialects: ['applications'] } })
    const customer = newCustomer()

    const reply = await ask(customer, {
      method: 'POST',
      body: { type: 'widget', ...body },
      headers: { authorization: 'Bearer test-service-key-0123456789abcdef', ...extra },
    })

    expect(reply.statusCode).toBe(200)
    expect(upstream.minted.at(-1)?.allowedOrigin).toBe(origin)
  })

  test('takes the only entry of the list where nothing names an origin', async () => {
    const { ask, upstream } = await startService({
      env: { WIDGET_ALLOWED_ORIGINS: 'https://only.example.com' },
      sandbox: { dialects: ['applications'] },
    })

    await ask(newCustomer(), { query: { type: 'widget' } })

    expect(upstream.minted.at(-1)?.allowedOrigin).toBe('https://only.example.com')
  })

  test('is refused for an origin that is not listed, and where the dialect needs one and none is known', async () => {
    const { ask } = await startService({ env, sandbox: { dialects: ['applications'] } })
    const customer = newCustomer()

    const stranger = await ask(customer, {
      query: { type: 'widget', allowed_origin: 'https://evil.example' },
    })
    const unknown = await ask(customer, { query: { type: 'widget' } })

    expect([stranger.statusCode, stranger.json().code]).toEqual([403, 'origin_not_allowed'])
    expect([unknown.statusCode, unknown.json().code]).toEqual([422, 'origin_required'])
  })
})

describe('introspection', () => {
  test.each(['embedded', 'applications'] as const)(
    'tells a live token of the customer, by %s',
    async (dialect) => {
      const { ask } = await startService({
        sandbox: { dialects: [dialect] },
        env: { WIDGET_ALLOWED_ORIGINS: 'https://app.example.com' },
      })
      const [customer, other] = [newCustomer(), newCustomer()]
      const { token, workspace_id } = (await ask(customer)).json()
      const widget = (await ask(customer, { query: { type: 'widget' } })).json().token
      await ask(other)
      const introspect = (id: string, value: string) =>
        ask(id, { method: 'POST', path: '/introspect', body: { token: value } })

      const theirs = await introspect(customer, token)
      const theirWidget = await introspect(customer, widget)
      const others = await introspect(other, token)
      const garbage = await introspect(customer, 'not-a-token')

      expect(theirs.json()).toMatchObject({ active: true, workspace_id, type: 'scoped' })
      expect(theirWidget.json()).toMatchObject({ active: true, workspace_id, type: 'widget' })
      expect(others.json()).toEqual({ active: false })
      expect(garbage.json()).toEqual({ active: false })
    },
  )
})
