import { describe, expect, test } from 'vitest'
import { createConformity } from '../support/conformity.ts'
import { newCustomer, startService } from '../support/service.ts'

const conforms = createConformity()

describe('health', () => {
  test('is ok once there is an org token, and says when that ends', async () => {
    const { app, ask } = await startService()
    await ask(newCustomer())

    const health = await app.ops.inject('/health')
    const ready = await app.ops.inject('/health/ready')
    const live = await app.ops.inject('/health/live')

    for (const [path, reply] of [
      ['/health', health],
      ['/health/ready', ready],
      ['/health/live', live],
    ] as const)
      conforms('GET', path, reply)
    expect(health.json()).toMatchObject({
      status: 'ok',
      checks: { org_token: { status: 'ok' }, redis: { status: 'off' } },
    })
    expect(Date.parse(health.json().checks.org_token.expires_at)).toBeGreaterThan(Date.now())
    expect([ready.statusCode, live.statusCode, live.json().status]).toEqual([200, 200, 'ok'])
  })

  test('wrong credentials: live, not ready, and the settings to look at are named', async () => {
    const { app, ask } = await startService({
      env: { AIRBYTE_CLIENT_SECRET: 'wrong-client-secret' },
    })
    const failed = await ask(newCustomer())

    const health = await app.ops.inject('/health')

    expect([failed.statusCode, failed.json().code]).toEqual([502, 'upstream_rejected'])
    expect([health.statusCode, health.json().status]).toEqual([503, 'unavailable'])
    expect(health.json().checks.org_token.status).toBe('failing')
    expect(health.json().checks.org_token.detail).toContain('AIRBYTE_CLIENT_SECRET')
    expect((await app.ops.inject('/health/ready')).statusCode).toBe(503)
    expect((await app.ops.inject('/health/live')).statusCode).toBe(200)
  })

  test('with a port for operations, they do not answer on the other', async () => {
    const { app } = await startService({ env: { OPS_PORT: '0' } })

    for (const path of ['/health', '/health/live', '/health/ready', '/metrics']) {
      expect((await app.server.inject(path)).statusCode).toBe(404)
      expect((await app.ops.inject(path)).statusCode).not.toBe(404)
    }
    expect((await app.ops.inject('/customers/acme/token')).statusCode).toBe(404)
  })

  test('a replica that stops is not ready and still serves; then it refuses', async () => {
    const { app, ask, stop } = await startService()
    const customer = newCustomer()
    await ask(customer)

    app.announceStop()
    const ready = await app.ops.inject('/health/ready')
    const served = await ask(customer)
    await stop()

    expect(ready.statusCode).toBe(503)
    expect([served.statusCode, served.headers.connection]).toEqual([200, 'close'])
  })
})

describe('metrics', () => {
  test('every name of the contract is there from the start, with closed labels alone', async () => {
    const { app, ask } = await startService()
    const customer = newCustomer()
    await ask(customer)
    await ask(customer)
    await ask('default')

    const { body } = await app.ops.inject('/metrics')

    for (const name of [
      'http_request_duration_seconds',
      'token_requests_total',
      'mints_total',
      'mint_duration_seconds',
      'org_token_expires_at_seconds',
      'org_token_exchanges_total',
      'cache_operations_total',
      'cache_entries',
      'rate_limited_total',
      'redis_up',
      'upstream_in_flight',
      'background_refreshes_total',
      'build_info',
    ])
      expect(body).toContain(`# TYPE token_broker_${name} `)
    expect(body).toContain('token_broker_token_requests_total{type="scoped",outcome="miss"} 1')
    expect(body).toContain('token_broker_token_requests_total{type="scoped",outcome="hit"} 1')
    expect(body).toContain('token_broker_token_requests_total{type="scoped",outcome="denied"} 1')
    expect(body).toContain(
      'token_broker_mints_total{type="scoped",dialect="embedded",outcome="ok"} 1',
    )
    expect(body).toContain('token_broker_rate_limited_total{tier="address"} 0')
    expect(body).toContain('route="/customers/:id/token"')
    expect(body).toContain('nodejs_eventloop_lag_seconds')
    expect(body).not.toContain(customer)
  })
})

describe('the log and the audit', () => {
  test("a request is one line with its id, and its id is the caller's where that is harmless", async () => {
    const { app, logged } = await startService()
    const ask = (id: string) =>
      app.server.inject({ url: '/customers/acme/token', headers: { 'x-request-id': id } })

    const kept = await ask('page-42.a')
    const replaced = await ask('two words\u007f')

    expect(kept.headers['x-request-id']).toBe('page-42.a')
    const next = await ask('')
    expect(next.headers['x-request-id']).not.toBe(replaced.headers['x-request-id'])
    expect(replaced.headers['x-request-id']).toMatch(/^[\w-]{16}$/)
    expect(
      logged().filter((line) => line.request_id === 'page-42.a' && line.msg === 'request'),
    ).toHaveLength(1)
  })

  test('LOG_SAMPLE thins out the lines of cached tokens, and no others', async () => {
    const { ask, logged } = await startService({ env: { LOG_SAMPLE: '0.1' } })
    const customer = newCustomer()

    for (let call = 0; call < 41; call++) await ask(customer)
    await ask(customer, { headers: {} })

    const lines = logged().filter(({ msg }) => msg === 'request')
    expect(lines.filter(({ source }) => source === 'miss')).toHaveLength(1)
    expect(lines.filter(({ source }) => source === 'hit')).toHaveLength(4)
    expect(lines.filter(({ status }) => status === 401)).toHaveLength(1)
  })

  test('each decision about a token is a line of the audit', async () => {
    const { ask, stop } = await startService({ env: { RATE_LIMIT_MAX: '2' } })
    const customer = newCustomer()
    await ask(customer)
    await ask(customer, { query: { type: 'widget' } })
    await ask(customer)
    await ask(customer, { headers: {} })
    await ask(customer, { method: 'DELETE' })

    const lines = await stop()

    expect(
      lines.map(({ event, caller, outcome, reason, kind }) => ({
        event,
        caller,
        outcome,
        reason,
        kind,
      })),
    ).toEqual([
      {
        event: 'token.issued',
        caller: 'service',
        outcome: 'allowed',
        reason: undefined,
        kind: 'scoped',
      },
      {
        event: 'token.issued',
        caller: 'service',
        outcome: 'allowed',
        reason: undefined,
        kind: 'widget',
      },
      {
        event: 'token.limited',
        caller: 'service',
        outcome: 'limited',
        reason: 'rate_limited',
        kind: null,
      },
      {
        event: 'token.refused',
        caller: 'unknown',
        outcome: 'refused',
        reason: 'unauthenticated',
        kind: null,
      },
      {
        event: 'token.evicted',
        caller: 'service',
        outcome: 'allowed',
        reason: undefined,
        kind: null,
      },
    ])
    expect(lines.every((line) => line.customer === customer)).toBe(true)
    expect(lines[0]).toMatchObject({ caller_name: 'backend', source: 'mint' })
    expect(lines[0]?.token_fingerprint).toMatch(/^[0-9a-f]{32}$/)
  })
})
