import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { newPrefix } from '../support/brokers.ts'
import { type BrokerFleet, type FleetBroker, startFleet } from '../support/fleet.ts'
import { startPrivateRedis, until } from '../support/private-redis.ts'
import { newCustomer } from '../support/service.ts'

// Real processes, on machines that may have much else to do.
vi.setConfig({ testTimeout: 60_000 })

let fleet: BrokerFleet
let upstream: Sandbox

beforeAll(async () => {
  fleet = await startFleet({
    redis: { REDIS_URL: inject('redisUrl'), REDIS_KEY_PREFIX: newPrefix() },
    sandbox: { workspaceCreationMs: 30 },
  })
  upstream = fleet.upstream
})
afterAll(() => fleet.end())

const mintsOf = (customer: string) => upstream.counts.mints.byCustomer[customer]

const each = <T>(
  count: number,
  brokers: readonly FleetBroker[],
  work: (broker: FleetBroker) => T,
) =>
  Array.from({ length: count }, (_, i) => brokers[i % brokers.length])
    .filter((broker) => broker !== undefined)
    .map(work)

test('1,000 first calls at once for one customer over three replicas cost one mint', async () => {
  const customer = newCustomer()

  const answers = await Promise.all(each(1_000, fleet.brokers, (broker) => broker.ask(customer)))

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(answers.map(({ body }) => body.token)).size).toBe(1)
  expect(mintsOf(customer)).toBe(1)
})

test('a limit of 100 over three replicas lets exactly 100 pass', async () => {
  const limited = await startFleet({
    redis: { REDIS_URL: inject('redisUrl'), REDIS_KEY_PREFIX: newPrefix() },
    env: { RATE_LIMIT_MAX: '100' },
  })
  onTestFinished(limited.end)
  const customer = newCustomer()

  const answers = await Promise.all(each(150, limited.brokers, (broker) => broker.ask(customer)))

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100)
  const refused = answers.filter(({ status }) => status === 429)
  expect(refused).toHaveLength(50)
  for (const { header } of refused) expect(Number(header('retry-after'))).toBeGreaterThanOrEqual(1)
})

test("a customer's first mints do not overlap, over kinds and replicas", async () => {
  const customers = Array.from({ length: 20 }, newCustomer)

  const answers = await Promise.all(
    customers.flatMap((customer) =>
      fleet.brokers.flatMap((broker) =>
        ['scoped', 'widget'].map((type) => broker.ask(customer, { query: { type } })),
      ),
    ),
  )

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(upstream.broken).toEqual([])
})

test('a replica that is killed in the middle of a mint delays the others by a second or two', async () => {
  const doomed = await fleet.start()
  const customer = newCustomer()
  // Otherwise the stand-in takes what the dead replica asked for to be still in the making.
  upstream.configure({ breakOnOverlappingFirstMints: false })
  onTestFinished(() => upstream.configure({ breakOnOverlappingFirstMints: true }))
  const hold = upstream.hold({ on: 'mint', customer })
  const lost = doomed.ask(customer).catch(() => null)
  await hold.reached(1)
  const waiting = fleet.brokers.map((broker) => broker.ask(customer))
  const startedAt = performance.now()

  await doomed.kill()
  hold.release()
  const answers = await Promise.all(waiting)

  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(new Set(answers.map(({ body }) => body.token)).size).toBe(1)
  expect(mintsOf(customer)).toBe(2)
  await lost
})

test('a mint that takes seconds stays one mint', async () => {
  const customer = newCustomer()
  upstream.configure({ delays: { mint: 3_500 } })
  onTestFinished(() => upstream.configure({ delays: {} }))

  const answers = await Promise.all(each(9, fleet.brokers, (broker) => broker.ask(customer)))

  expect(new Set(answers.map(({ body }) => body.token)).size).toBe(1)
  expect(mintsOf(customer)).toBe(1)
})

test('a replica that is stopped gives its lease back and finishes what it began', async () => {
  const leaving = await fleet.start()
  const customer = newCustomer()
  const hold = upstream.hold({ on: 'mint', customer })
  const last = leaving.ask(customer)
  await hold.reached(1)

  const stopped = leaving.stop()
  hold.release()

  expect((await last).status).toBe(200)
  expect(await stopped).toBe(0)
  const [other] = fleet.brokers
  expect((await other?.ask(customer))?.body.token).toBe((await last).body.token)
})

test('DELETE on one replica is heard by all', async () => {
  const { brokers } = fleet
  const customer = newCustomer()
  const before = await Promise.all(brokers.map((broker) => broker.ask(customer)))

  const deleted = await brokers[1]?.ask(customer, { method: 'DELETE' })

  expect(deleted?.status).toBe(204)
  await until(async () => {
    const after = await Promise.all(brokers.map((broker) => broker.ask(customer)))
    const values = new Set(after.map(({ body }) => body.token))
    return values.size === 1 && !values.has(before[0]?.body.token)
  }, 'a token that all share and none had before')
})

test('a copy of the whole Redis tells no token, customer, or credential', async () => {
  const redis = await startPrivateRedis()
  onTestFinished(() => redis.stop())
  const own = await startFleet({ redis: { REDIS_URL: redis.url }, replicas: 2 })
  onTestFinished(own.end)
  const customers = Array.from({ length: 20 }, newCustomer)
  await Promise.all(
    customers.flatMap((customer) => own.brokers.map((broker) => broker.ask(customer))),
  )
  const client = new Redis(redis.url)
  onTestFinished(() => client.disconnect())

  const keys = await client.keys('*')
  const hashes = keys.filter((key) => key.includes('{'))
  const parts = await Promise.all([
    ...keys.map(async (key) => (await client.dumpBuffer(key)).toString('latin1')),
    ...hashes.map(async (key) => JSON.stringify(await client.hgetall(key))),
  ])
  const copy = [...keys, ...parts].join()

  expect(hashes).toHaveLength(20)
  const minted = own.upstream.minted.map(({ workspaceId }) => workspaceId)
  const secrets = [...own.upstream.secrets, ...customers, ...minted]
  expect(secrets.length).toBeGreaterThan(60)
  expect(secrets.filter((secret) => copy.includes(secret))).toEqual([])
})
