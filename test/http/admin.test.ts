import { randomBytes } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { runAdmin } from '../../src/commands/admin-run.ts'
import { userToken } from '../support/jwt.ts'
import {
  JWT_SECRET,
  newCustomer,
  type Service,
  type ServiceOptions,
  startService,
} from '../support/service.ts'

const ADMIN_TOKEN = 'test-admin-token-0123456789abcdef'
const JWT = { JWT_SECRET, JWT_AUDIENCE: 'token-broker' }

const startAdministered = (options: ServiceOptions = {}) =>
  startService({ ...options, env: { OPS_PORT: '0', ADMIN_TOKEN, ...options.env } })

const admin = ({ app }: Service, path: string, body?: unknown, token = ADMIN_TOKEN) =>
  app.ops.inject({
    method: body === undefined ? 'GET' : 'POST',
    url: `/admin/${path}`,
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { payload: body as object }),
  })

const sharedRedis = () => ({
  REDIS_URL: inject('redisUrl'),
  REDIS_KEY_PREFIX: `test-${randomBytes(6).toString('hex')}:`,
})

describe('the admin interface', () => {
  test('is on the port for operations alone, and only for who has its token', async () => {
    const service = await startAdministered()
    const paths = ['evict', 'stop', 'resume', 'holders', 'explain', 'stops', 'config']

    for (const path of paths) {
      const body = ['stops', 'config'].includes(path) ? undefined : {}
      expect((await admin(service, path, body, 'wrong')).statusCode).toBe(401)
      expect((await service.app.server.inject(`/admin/${path}`)).statusCode).toBe(404)
    }
    expect((await service.app.ops.inject('/admin/config')).headers['www-authenticate']).toBe(
      'Bearer',
    )
  })

  test('does not exist without a token for it', async () => {
    const service = await startService({ env: { OPS_PORT: '0' } })

    expect((await admin(service, 'config')).statusCode).toBe(404)
  })

  test('shows the settings, and of secrets only whether they are set', async () => {
    const service = await startAdministered()

    const reply = await admin(service, 'config')

    // Only `main.ts` knows the environment; here there is nothing to show.
    expect(reply.json()).toEqual({ settings: [] })
  })
})

describe('the kill switch', () => {
  test('stops a customer and leaves the others, until it is lifted', async () => {
    const service = await startAdministered()
    const [customer, other] = [newCustomer(), newCustomer()]
    await service.ask(customer)

    const stopped = await admin(service, 'stop', { customer_id: customer })
    const refused = await service.ask(customer)
    const others = await service.ask(other)
    const listed = await admin(service, 'stops')
    await admin(service, 'resume', { customer_id: customer })
    const again = await service.ask(customer)

    expect(stopped.statusCode).toBe(204)
    expect([refused.statusCode, refused.json().code]).toEqual([403, 'forbidden'])
    expect(refused.headers.ratelimit).toBeUndefined()
    expect([others.statusCode, again.statusCode]).toEqual([200, 200])
    expect(again.headers['cache-status']).toBe('token-broker; fwd=miss; stored')
    expect(listed.json().stops).toEqual([{ customer_id: customer, since: expect.any(String) }])
  })

  test('for all reaches the other replica, and a replica that starts later', async () => {
    const env = sharedRedis()
    const one = await startAdministered({ env })
    const two = await startAdministered({ env, upstream: one.upstream })
    const customer = newCustomer()
    expect((await two.ask(customer)).statusCode).toBe(200)

    await admin(one, 'stop', { all: true })
    await expect.poll(async () => (await two.ask(customer)).statusCode).toBe(403)
    const three = await startAdministered({
      env: { ...env, PORT: '0', HOST: '127.0.0.1' },
      upstream: one.upstream,
    })
    await three.app.listen()

    expect((await three.ask(customer)).statusCode).toBe(403)
    await admin(three, 'resume', { all: true })
    await expect.poll(async () => (await one.ask(customer)).statusCode).toBe(200)
  })
})

describe('an operator can ask', () => {
  test('who holds tokens of a customer, on whatever replica they were issued', async () => {
    const env = { ...sharedRedis(), ...JWT }
    const one = await startAdministered({ env })
    const two = await startAdministered({ env, upstream: one.upstream })
    const customer = newCustomer()
    const user = { authorization: `Bearer ${await userToken({ customer_id: customer })}` }
    await one.ask(customer)
    await one.ask(customer)
    await two.ask(customer, { headers: user, query: { type: 'widget' } })

    const holders = async () =>
      (await admin(one, 'holders', { customer_id: customer })).json().holders

    await expect.poll(async () => (await holders()).length).toBe(2)
    const found = await holders()
    expect(found.map(({ type }: { type: string }) => type).sort()).toEqual(['scoped', 'widget'])
    expect(found.map(({ caller }: { caller: string }) => caller.split(' ')[0]).sort()).toEqual([
      'service',
      'user',
    ])
  })

  test('what would be decided, without a mint and without spending', async () => {
    const service = await startAdministered()
    const customer = newCustomer()
    await service.ask(customer)

    const own = await admin(service, 'explain', {
      caller: { service: 'backend' },
      customer_id: customer,
    })
    const strange = await admin(service, 'explain', {
      caller: { customer_ids: ['another'] },
      customer_id: customer,
    })
    const fresh = await admin(service, 'explain', {
      caller: { service: 'backend' },
      customer_id: newCustomer(),
    })

    expect(own.json()).toMatchObject({
      outcome: 'issued',
      from: 'this replica',
      limit: { max: 100, used: 1 },
      upstream_request: { workspace_name: customer },
    })
    expect(own.json().held.token_fingerprint).toMatch(/^[0-9a-f]{32}$/)
    expect(strange.json()).toMatchObject({ outcome: 'refused', reason: 'customer_not_of_caller' })
    expect(fresh.json().from).toContain('a mint')
    expect(service.upstream.counts.mints.total).toBe(1)
    expect((await service.ask(customer)).headers.ratelimit).toBe('"customer";r=98;t=900')
  })
})

describe('npm run admin', () => {
  test('does the same from the command line', async () => {
    const service = await startAdministered({ env: { PORT: '0', HOST: '127.0.0.1' } })
    const { opsUrl } = await service.app.listen()
    const customer = newCustomer()
    await service.ask(customer)
    const run = async (...args: string[]) => {
      const lines: string[] = []
      const env = { ADMIN_URL: opsUrl, ADMIN_TOKEN }
      const status = await runAdmin(args, env, (line) => lines.push(line))
      return { status, text: lines.join('\n') }
    }

    expect(await run('evict', '--customer', customer)).toEqual({ status: 0, text: 'done' })
    expect((await service.ask(customer)).headers['cache-status']).toContain('fwd=miss')
    expect((await run('stop', '--customer', customer)).status).toBe(0)
    expect((await run('stops')).text).toContain(customer)
    expect((await run('explain', '--customer', customer, '--service', 'backend')).text).toContain(
      'issuing_stopped',
    )
    expect((await run('holders', '--customer', customer)).text).toContain('service backend')
    expect((await run('evict')).status).toBe(2)
    expect((await run('nonsense')).text).toContain('npm run admin')
  })

  test('says so when the broker refuses, or is not there', async () => {
    const service = await startAdministered({ env: { PORT: '0', HOST: '127.0.0.1' } })
    const { opsUrl } = await service.app.listen()

    const refused = await runAdmin(['stops'], { ADMIN_URL: opsUrl, ADMIN_TOKEN: 'wrong' }, () => {})
    const away = await runAdmin(
      ['stops'],
      { ADMIN_URL: 'http://127.0.0.1:9', ADMIN_TOKEN },
      () => {},
    )

    expect([refused, away]).toEqual([1, 1])
  })
})
