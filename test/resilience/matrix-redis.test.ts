import { expect, onTestFinished } from 'vitest'
import { newPrefix } from '../support/brokers.ts'
import { type PrivateRedis, startPrivateRedis, until } from '../support/private-redis.ts'
import { newCustomer, startService } from '../support/service.ts'
import { healthOf, linesThatSay, matrix, metric } from './matrix.ts'

const { row, isWhatTheDocumentSays } = matrix('Redis')

async function startWithRedis(env: Record<string, string> = {}) {
  const redis = await startPrivateRedis()
  onTestFinished(async () => {
    await redis.resume()
    await redis.stop()
  })
  const service = await startService({
    env: { REDIS_URL: redis.url, REDIS_KEY_PREFIX: newPrefix(), ...env },
  })
  await until(async () => (await healthOf(service)).checks.redis.status === 'ok', 'Redis in use')
  return { ...service, redis }
}

type Fails = (redis: PrivateRedis) => Promise<void>
const killed: Fails = (redis) => redis.kill()
const paused: Fails = (redis) => redis.pause()

const servedAllTheSame = (fails: Fails) => async () => {
  const { ask, redis } = await startWithRedis({ RATE_LIMIT_MAX: '3' })
  const [known, unknown] = [newCustomer(), newCustomer()]
  const before = await ask(known)
  await fails(redis)
  const from = performance.now()

  const kept = await ask(known)
  const fresh = await ask(unknown)
  const tookMs = performance.now() - from
  const again = [await ask(unknown), await ask(unknown), await ask(unknown)]

  expect([kept.statusCode, fresh.statusCode]).toEqual([200, 200])
  expect(kept.json().token).toBe(before.json().token)
  expect(again.map(({ statusCode }) => statusCode)).toEqual([200, 200, 429])
  expect(tookMs).toBeLessThan(1500)
}

const toldOnce = (fails: Fails) => async () => {
  const service = await startWithRedis()
  await fails(service.redis)
  for (let time = 0; time < 5; time++) await service.ask(newCustomer())

  const { status, checks, ready, live } = await healthOf(service)

  expect([status, checks.redis.status, ready, live]).toEqual(['degraded', 'away', 200, 200])
  expect(await metric(service, 'redis_up')).toBe(0)
  expect(linesThatSay(service, 'Redis is away').map(({ level }) => level)).toEqual(['warn'])
}

row(
  'Redis is not there',
  ['200 as ever. Each replica keeps tokens and counts limits for itself', servedAllTheSame(killed)],
  [
    '`redis_up` 0; `/health` 200 `degraded`, ready and live; one `warn` line for the whole of it',
    toldOnce(killed),
  ],
)

row(
  'Redis is connected and does not answer',
  [
    '200 as ever; the first request waits some 0.1 s, the later ones do not',
    servedAllTheSame(paused),
  ],
  ['The same as when it is not there', toldOnce(paused)],
)

row(
  'Redis is not there, with `RATE_LIMIT_ON_REDIS_ERROR=deny`',
  [
    '503 `limiter_unavailable` with `Retry-After`, kept tokens included: no request goes uncounted',
    async () => {
      const { ask, redis } = await startWithRedis({ RATE_LIMIT_ON_REDIS_ERROR: 'deny' })
      const customer = newCustomer()
      await ask(customer)
      await redis.kill()

      const reply = await ask(customer)

      expect([reply.statusCode, reply.json().code]).toEqual([503, 'limiter_unavailable'])
      expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    },
  ],
  [
    '`redis_up` 0; `token_requests_total{outcome="failed"}` rises',
    async () => {
      const service = await startWithRedis({ RATE_LIMIT_ON_REDIS_ERROR: 'deny' })
      await service.redis.kill()
      await service.ask(newCustomer())

      expect(await metric(service, 'redis_up')).toBe(0)
      const failed = 'token_requests_total{type="scoped",outcome="failed"}'
      expect(await metric(service, failed)).toBe(1)
    },
  ],
)

row(
  'Redis is not there when tokens are to be forgotten (`DELETE`)',
  [
    '503 `cache_unavailable`; the replica that was asked has forgotten them all the same',
    async () => {
      const { ask, redis, upstream } = await startWithRedis()
      const customer = newCustomer()
      const before = await ask(customer)
      await redis.kill()

      const reply = await ask(customer, { method: 'DELETE' })
      const after = await ask(customer)

      expect([reply.statusCode, reply.json().code]).toEqual([503, 'cache_unavailable'])
      expect(after.json().token).not.toBe(before.json().token)
      expect(upstream.counts.mints.total).toBe(2)
    },
  ],
  [
    '`http_request_duration_seconds_count{method="DELETE",status="503"}` rises; a `warn` line with the code',
    async () => {
      const service = await startWithRedis()
      await service.redis.kill()
      await service.ask(newCustomer(), { method: 'DELETE' })

      const counted =
        'http_request_duration_seconds_count{method="DELETE",route="/customers/:id/token",status="503"}'
      expect(await metric(service, counted)).toBe(1)
      const [line] = service.logged().filter(({ level, code }) => level === 'warn' && code)
      expect(line?.code).toBe('cache_unavailable')
    },
  ],
)

row(
  'Redis is back',
  [
    '200. New tokens are shared again',
    async () => {
      const service = await startWithRedis()
      await service.redis.kill()
      await service.ask(newCustomer())
      await service.redis.start()
      await until(async () => (await healthOf(service)).status === 'ok', 'Redis in use')

      expect((await service.ask(newCustomer())).statusCode).toBe(200)
      const stored = 'cache_operations_total{tier="redis",op="set",outcome="ok"}'
      expect(await metric(service, stored)).toBeGreaterThanOrEqual(1)
    },
  ],
  [
    '`redis_up` 1; `/health` `ok`; one `info` line',
    async () => {
      const service = await startWithRedis()
      await service.redis.kill()
      await service.ask(newCustomer())
      await service.redis.start()
      await until(
        () => linesThatSay(service, 'Redis is there').length === 2,
        'a line for the start, and one for the return',
      )

      expect(await metric(service, 'redis_up')).toBe(1)
      expect((await healthOf(service)).status).toBe('ok')
    },
  ],
)

isWhatTheDocumentSays()
