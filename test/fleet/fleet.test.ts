import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { newPrefix } from '../support/brokers.ts'
import { type FleetBroker, type FleetOptions, startFleet } from '../support/fleet.ts'
import { startPrivateRedis, until } from '../support/private-redis.ts'
import { newCustomer } from '../support/service.ts'

async function startThree(options: Partial<FleetOptions> = {}) {
  const redis = { REDIS_URL: inject('redisUrl'), REDIS_KEY_PREFIX: newPrefix() }
  const fleet = await startFleet({ redis, ...options })
  const [a, b, c] = fleet.brokers
  if (a === undefined || b === undefined || c === undefined) throw new Error('three were asked for')
  await until(
    async () => (await Promise.all(fleet.brokers.map((each) => each.seesRedis()))).every(Boolean),
    'Redis',
  )
  return { ...fleet, a, b, c, prefix: redis.REDIS_KEY_PREFIX }
}

const each = <T>(
  count: number,
  brokers: readonly FleetBroker[],
  work: (broker: FleetBroker) => T,
) =>
  Array.from({ length: count }, (_, i) => brokers[i % brokers.length])
    .filter((broker) => broker !== undefined)
    .map(work)

test('1,000 first calls at once for one customer over three replicas cost one mint', async () => {
  const { brokers, upstream } = await startThree()
  const customer = newCustomer()

  const answers = await Promise.all(each(1_000, brokers, (broker) => broker.ask(customer)))

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(answers.map(({ body }) => body['token'])).size).toBe(1)
  expect(upstream.counts.mints.byCustomer).toEqual({ [customer]: 1 })
})

test('a limit of 100 over three replicas lets exactly 100 pass', async () => {
  const { brokers } = await startThree({ env: { RATE_LIMIT_MAX: '100' } })
  const customer = newCustomer()

  const answers = await Promise.all(each(150, brokers, (broker) => broker.ask(customer)))

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100)
  const refused = answers.filter(({ status }) => status === 429)
  expect(refused).toHaveLength(50)
  for (const { header } of refused) expect(Number(header('retry-after'))).toBeGreaterThanOrEqual(1)
})

test("a customer's first mints do not overlap, over kinds and replicas", async () => {
  const { brokers, upstream } = await startThree({ sandbox: { workspaceCreationMs: 30 } })
  const customers = Array.from({ length: 20 }, newCustomer)
  const kinds = [{ type: 'scoped' }, { type: 'widget', allowed_origin: 'https://page.test' }]

  const answers = await Promise.all(
    customers.flatMap((customer) =>
      brokers.flatMap((broker) =>
        kinds.map((query) => broker.ask(customer, { query: query.type === 'scoped' ? query : {} })),
      ),
    ),
  )

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(upstream.broken).toEqual([])
})

test('a replica that is killed in the middle of a mint delays the others by a second or two', async () => {
  const { a, b, c, upstream } = await startThree({
    sandbox: { breakOnOverlappingFirstMints: false },
  })
  const customer = newCustomer()
  const hold = upstream.hold({ on: 'mint', customer })
  const lost = a.ask(customer).catch(() => null)
  await hold.reached(1)
  const waiting = [b.ask(customer), c.ask(customer)]
  const startedAt = performance.now()

  await a.kill()
  hold.release()
  const answers = await Promise.all(waiting)

  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(new Set(answers.map(({ body }) => body['token'])).size).toBe(1)
  expect(upstream.counts.mints.byCustomer[customer]).toBe(2)
  await lost
})

test('a mint that takes seconds stays one mint', async () => {
  const { brokers, upstream } = await startThree({ sandbox: { delays: { mint: 3_500 } } })
  const customer = newCustomer()

  const answers = await Promise.all(each(9, brokers, (broker) => broker.ask(customer)))

  expect(new Set(answers.map(({ body }) => body['token'])).size).toBe(1)
  expect(upstream.counts.mints.byCustomer[customer]).toBe(1)
})

test('a replica that is stopped gives its lease back and finishes what it began', async () => {
  const { a, b, upstream } = await startThree()
  const customer = newCustomer()
  const hold = upstream.hold({ on: 'mint', customer })
  const last = a.ask(customer)
  await hold.reached(1)

  const stopped = a.stop()
  hold.release()

  expect((await last).status).toBe(200)
  expect(await stopped).toBe(0)
  expect((await b.ask(customer)).body['token']).toBe((await last).body['token'])
})

test('DELETE on one replica is heard by all', async () => {
  const { a, b, c } = await startThree()
  const customer = newCustomer()
  const before = await Promise.all([a, b, c].map((broker) => broker.ask(customer)))

  const deleted = await b.ask(customer, { method: 'DELETE' })

  expect(deleted.status).toBe(204)
  await until(async () => {
    const after = await Promise.all([a, b, c].map((broker) => broker.ask(customer)))
    const values = new Set(after.map(({ body }) => body['token']))
    return values.size === 1 && !values.has(before[0]?.body['token'])
  }, 'a token that all share and none had before')
})

test('a copy of the whole Redis tells no token, customer, or credential', async () => {
  const redis = await startPrivateRedis()
  onTestFinished(() => redis.stop())
  const { brokers, upstream } = await startThree({ redis: { REDIS_URL: redis.url } })
  const customers = Array.from({ length: 20 }, newCustomer)
  await Promise.all(customers.flatMap((customer) => brokers.map((broker) => broker.ask(customer))))
  const client = new Redis(redis.url)
  onTestFinished(() => client.disconnect())

  const keys = await client.keys('*')
  const dumped = await Promise.all(keys.map((key) => client.dumpBuffer(key)))
  const hashes = await Promise.all(
    keys.filter((key) => key.includes('{')).map((key) => client.hgetall(key)),
  )
  const copy = [
    keys.join(),
    JSON.stringify(hashes),
    ...dumped.map((d) => d.toString('latin1')),
  ].join()

  expect(hashes.length).toBe(20)
  const secrets = [...upstream.secrets, ...customers, ...upstream.minted.map((m) => m.workspaceId)]
  expect(secrets.length).toBeGreaterThan(40)
  expect(secrets.filter((secret) => copy.includes(secret))).toEqual([])
})
