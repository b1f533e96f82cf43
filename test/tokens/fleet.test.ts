import { expect, inject, test, vi } from 'vitest'
import { BrokerError } from '../../src/errors.ts'
import type { BrokerSettings } from '../../src/tokens/broker.ts'
import {
  ANY,
  createTestUpstream,
  MINUTE,
  newCustomerId,
  newPrefix,
  REFRESH,
  redisSettings,
  requestFor,
  startBroker,
  startLink,
  startSharedLink,
  type TestUpstream,
} from '../support/brokers.ts'
import { until } from '../support/private-redis.ts'

// Real processes, on machines that may have much else to do.
vi.setConfig({ testTimeout: 60_000 })

const AWAY = new BrokerError('upstream_unavailable', 'away', { retryAfterMs: 7_000 })

type ReplicaOptions = {
  readonly upstream?: { mint: TestUpstream['mint'] }
  readonly settings?: Partial<BrokerSettings>
  readonly now?: () => number
}

/** Replicas with memories, connections and upstreams of their own, on one Redis. */
async function startFleet() {
  const prefix = newPrefix()
  const upstream = createTestUpstream()
  return {
    prefix,
    upstream,
    async replica(options: ReplicaOptions = {}) {
      const redis = await startSharedLink(prefix)
      const { upstream: own = upstream, ...rest } = options
      return startBroker(own, { redis, ...rest })
    },
  }
}

async function startThree() {
  const fleet = await startFleet()
  const replicas = await Promise.all([fleet.replica(), fleet.replica(), fleet.replica()])
  const [a, b, c] = replicas
  return { ...fleet, replicas, a, b, c, request: requestFor(newCustomerId()) }
}

test('a token minted by one replica is the token of all', async () => {
  const { a, b, upstream, request } = await startThree()
  const minted = await a.issue(request, ANY)

  const found = await b.issue(request, ANY)

  expect(minted.source).toBe('miss')
  expect(found).toEqual({ source: 'hit', token: minted.token })
  expect(b.issue(request, ANY)).not.toBeInstanceOf(Promise)
  expect(upstream.minted).toHaveLength(1)
})

test('1,000 first calls at once over three replicas cost one mint', async () => {
  const { replicas, upstream, request } = await startThree()
  upstream.hold()
  const calls = Array.from({ length: 1_000 }, (_, i) => replicas[i % 3]?.token(request))
  await until(() => upstream.minted.length > 0, 'a mint')

  upstream.release()
  const values = await Promise.all(calls)

  expect(new Set(values).size).toBe(1)
  expect(upstream.minted).toHaveLength(1)
})

test('those who wait for another replica hear of the token when it is there, and say that they waited', async () => {
  const { a, b, upstream, request } = await startThree()
  upstream.hold()
  const first = Promise.resolve(a.issue(request, ANY))
  await until(() => upstream.minted.length > 0, 'a mint')
  const second = Promise.resolve(b.issue(request, ANY))
  await until(() => b.cacheEvents.some(({ tier }) => tier === 'memory'), 'a look')

  upstream.release()

  expect((await second).token).toEqual((await first).token)
  expect((await second).source).toMatch(/^(collapsed|hit)$/)
})

test('a failure reaches those who wait on other replicas, once, and is not remembered', async () => {
  const { a, b, upstream, request } = await startThree()
  upstream.hold()
  upstream.fail(AWAY)
  const first = Promise.allSettled([a.issue(request, ANY)])
  await until(() => upstream.minted.length > 0, 'a mint')
  const second = Promise.allSettled([b.issue(request, ANY)])
  await new Promise((resolve) => setTimeout(resolve, 50))

  upstream.release()

  expect(await first).toMatchObject([{ reason: AWAY }])
  expect(await second).toMatchObject([
    { reason: { code: 'upstream_unavailable', retryAfterMs: 7_000 } },
  ])
  expect(upstream.minted).toHaveLength(1)
  upstream.work()
  expect((await b.issue(request, ANY)).source).toBe('miss')
})

test("a customer's first mints go one after the other, over kinds and replicas", async () => {
  const { a, b, c, upstream, request } = await startThree()

  await Promise.all([
    a.issue(request, ANY),
    b.issue({ ...request, type: 'widget' }, ANY),
    c.issue({ ...request, regionId: 'r' }, ANY),
    a.issue({ ...request, type: 'widget' }, ANY),
  ])

  expect(upstream.minted).toHaveLength(3)
  expect(upstream.mostInAir).toBe(1)
})

test('mints of another kind for a customer that the fleet knows do not wait', async () => {
  const { a, b, c, upstream, request } = await startThree()
  await a.token(request)
  upstream.hold()
  const mints = [
    b.issue({ ...request, type: 'widget' }, ANY),
    c.issue({ ...request, regionId: 'r' }, ANY),
  ]

  await until(() => upstream.mostInAir === 2, 'two mints at once')

  upstream.release()
  await Promise.all(mints)
})

test('a mint that takes longer than a lease does not lose it', async () => {
  const { a, b, upstream, request } = await startThree()
  upstream.hold()
  const first = a.token(request)
  await until(() => upstream.minted.length > 0, 'a mint')
  const second = b.token(request)

  // Two leases and more, in real time: Redis's clock counts here.
  await new Promise((resolve) => setTimeout(resolve, 3_300))
  upstream.release()

  expect(await second).toBe(await first)
  expect(upstream.minted).toHaveLength(1)
})

test('the wait for another replica is capped; then the waiter mints, and leaves the other its place', async () => {
  const { upstream, replica } = await startFleet()
  const stuck = createTestUpstream()
  stuck.hold()
  const a = await replica({ upstream: stuck })
  const b = await replica({ settings: { mintTimeLimitMs: -1_500 } })
  const request = requestFor(newCustomerId())
  const first = a.token(request)
  await until(() => stuck.minted.length > 0, 'a mint')

  const own = await b.token(request)

  expect(upstream.minted).toHaveLength(1)
  stuck.release()
  expect(await first).not.toBe('')
  expect(await b.token(request)).toBe(own)
})

test('a replica that ends in the middle of a mint gives its lease back', async () => {
  const { upstream, replica } = await startFleet()
  const stuck = createTestUpstream()
  stuck.hold()
  const a = await replica({ upstream: stuck })
  const b = await replica()
  const request = requestFor(newCustomerId())
  const first = a.token(request)
  await until(() => stuck.minted.length > 0, 'a mint')
  await a.close()

  const startedAt = performance.now()
  await b.token(request)

  expect(performance.now() - startedAt).toBeLessThan(500)
  expect(upstream.minted).toHaveLength(1)
  stuck.release()
  await first
})

test('what a writer that has lost its place brings does not replace what came since', async () => {
  const { prefix, upstream, replica } = await startFleet()
  const stuck = createTestUpstream()
  stuck.hold()
  const a = await replica({ upstream: stuck })
  const b = await replica()
  const c = await replica()
  const request = requestFor(newCustomerId())
  const late = a.token(request)
  await until(() => stuck.minted.length > 0, 'a mint')
  const link = await startSharedLink(prefix)
  const [key = ''] = await link.run((redis) => redis.keys(`${prefix}v1:{*`))
  // As if the holder had been silent for longer than its lease.
  await link.run(async (redis) => {
    for (const field of await redis.hkeys(key))
      if (field.startsWith('l:')) await redis.hdel(key, field)
  })
  const current = await b.token(request)

  stuck.release()
  await late

  expect(await c.token(request)).toBe(current)
  expect(upstream.minted).toHaveLength(1)
})

test('one replica renews for all, and the others have the new token without asking', async () => {
  const start = Date.now()
  let passed = 0
  const now = () => start + passed
  const upstream = createTestUpstream(now)
  const fleet = await startFleet()
  const [a, b] = await Promise.all([
    fleet.replica({ upstream, now }),
    fleet.replica({ upstream, now }),
  ])
  const request = requestFor(newCustomerId())
  const old = await a.token(request)
  await b.token(request)
  passed = 17 * MINUTE

  expect(a.issue(request, ANY)).toMatchObject({ source: 'hit', token: { value: old } })
  await until(() => a.refreshes.length === 1, 'a renewal')

  await expect
    .poll(() => b.issue(request, ANY))
    .toMatchObject({ source: 'hit', token: { value: expect.not.stringMatching(old) } })
  expect(upstream.minted).toHaveLength(2)
})

test('however many replicas are asked to refresh, upstream is asked once in ten seconds', async () => {
  const start = Date.now()
  let passed = 0
  const now = () => start + passed
  const upstream = createTestUpstream(now)
  const fleet = await startFleet()
  const replicas = await Promise.all([1, 2, 3].map(() => fleet.replica({ upstream, now })))
  const request = requestFor(newCustomerId())
  await replicas[0]?.token(request)

  for (passed = 1_000; passed <= 30_000; passed += 1_000)
    await Promise.all(replicas.map((each) => each.token(request, REFRESH)))

  expect(upstream.minted.length - 1).toBe(3)
})

test('what one replica forgets, all forget; and the workspace is still known', async () => {
  const { a, b, c, upstream, request } = await startThree()
  const other = requestFor(newCustomerId())
  for (const each of [a, b, c]) await Promise.all([each.token(request), each.token(other)])

  await a.evictCustomer(request.customerId)

  await until(() => b.issue(request, ANY) instanceof Promise, 'b to forget')
  await until(() => c.issue(request, ANY) instanceof Promise, 'c to forget')
  await until(() => upstream.mintsOf(request.customerId) === 2, 'one more mint')
  expect(await a.token(request)).toBe(await b.token(request))
  expect(upstream.mintsOf(request.customerId)).toBe(2)
  expect(b.issue(other, ANY)).toMatchObject({ source: 'hit' })
  expect(await c.knownWorkspace(request.customerId)).toBe(`workspace-of-${request.customerId}`)
})

test('a mint that began before an eviction does not put its token back, on whichever replica', async () => {
  const { a, b, c, upstream, request } = await startThree()
  upstream.hold()
  const before = a.token(request)
  await until(() => upstream.minted.length > 0, 'a mint')

  await b.evictCustomer(request.customerId)
  upstream.release()
  const old = await before
  const fresh = await c.token(request)

  expect(fresh).not.toBe(old)
  expect(await a.token(request)).toBe(fresh)
  expect(upstream.mostInAir).toBe(1)
})

test('all of the fleet forgets everything, mints in the air included', async () => {
  const { prefix, a, b, c, upstream, request } = await startThree()
  const others = Array.from({ length: 600 }, () => requestFor(newCustomerId()))
  await Promise.all(others.map((each) => a.token(each)))
  upstream.hold()
  const before = a.token(request)
  await until(() => upstream.mintsOf(request.customerId) > 0, 'a mint')

  await b.evictAll()
  upstream.release()
  const old = await before

  expect(await c.token(request)).not.toBe(old)
  const link = await startSharedLink(prefix)
  const sources = await Promise.all(others.map((each) => c.issue(each, ANY)))
  expect(sources.every(({ source }) => source === 'miss')).toBe(true)
  expect(await link.run((redis) => redis.exists(`${prefix}v1:epoch`))).toBe(1)
})

test('a replica that was cut off while others evicted catches up when it is back', async () => {
  const { prefix, a, request } = await startThree()
  const redis = await startSharedLink(prefix)
  const cutOff = startBroker(createTestUpstream(), {
    redis: {
      ...redis,
      run: redis.run,
      get up() {
        return redis.up
      },
      // Its messages get lost, as with a connection that has silently died.
      subscribe: (channel, listener) =>
        redis.subscribe(channel, (message) => {
          if (message === null) listener(message)
        }),
    },
  })
  await a.token(request)
  const old = await cutOff.token(request)

  await a.evictCustomer(request.customerId)
  const fresh = await a.token(request)

  expect(fresh).not.toBe(old)
  await expect.poll(() => cutOff.token(request), { timeout: 5_000 }).toBe(fresh)
})

test('an eviction that cannot reach the others says so, and this replica has forgotten all the same', async () => {
  const redis = await startLink(redisSettings({ url: 'redis://127.0.0.1:1' }))
  const broker = startBroker(createTestUpstream(), { redis })
  const request = requestFor(newCustomerId())
  await broker.token(request)

  await expect(broker.evictCustomer(request.customerId)).rejects.toMatchObject({
    code: 'cache_unavailable',
  })

  expect((await broker.issue(request, ANY)).source).toBe('miss')
})

test('keys are rotated without a flush', async () => {
  const fleet = await startFleet()
  const key = (id: string) => ({ id, key: Buffer.alloc(32, id) })
  const replica = (...ids: string[]) =>
    fleet.replica({ settings: { encryptionKeys: ids.map(key) } })
  const [before, during, after] = await Promise.all([
    replica('old'),
    replica('new', 'old'),
    replica('new'),
  ])
  const [first, second] = [requestFor(newCustomerId()), requestFor(newCustomerId())]
  const old = await before.token(first)

  expect(await during.token(first)).toBe(old)
  const fresh = await during.token(second)
  expect(await after.token(second)).toBe(fresh)
  expect(fleet.upstream.minted).toHaveLength(2)

  expect(await after.token(first)).not.toBe(old)
  expect(after.cacheEvents).toContainEqual({ tier: 'redis', op: 'get', outcome: 'undecipherable' })
})

test.each([
  ['org secret', { orgSecret: 'another secret' }],
  ['dialect', { identity: ['https://api.test', 'applications'] }],
] as const)('with another %s, what was kept before is out of reach', async (_, change) => {
  const fleet = await startFleet()
  const before = await fleet.replica()
  const after = await fleet.replica({ settings: change })
  const request = requestFor(newCustomerId())
  await before.token(request)

  const issued = await after.issue(request, ANY)

  expect(issued.source).toBe('miss')
  expect(await after.knownWorkspace(request.customerId)).not.toBeNull()
})

test('a clock that is an hour behind does not revive what Redis knows has ended', async () => {
  const fleet = await startFleet()
  const now = () => Date.now() - 60 * MINUTE
  const a = await fleet.replica()
  const late = await fleet.replica({ now, upstream: createTestUpstream(now) })
  const request = requestFor(newCustomerId())
  fleet.upstream.live(1_200)
  const old = await a.token(request)
  expect(await late.token(request)).toBe(old)

  await expect.poll(() => late.token(request), { timeout: 1_500 }).not.toBe(old)
})

test('a copy of Redis tells no token, customer, workspace or secret', async () => {
  const { prefix, a, request } = await startThree()
  const values = [
    await a.token(request),
    await a.token({ ...request, type: 'widget', allowedOrigin: 'https://page.test' }),
    request.customerId,
    `workspace-of-${request.customerId}`,
    'the-org-secret-of-the-test',
    'https://page.test',
  ]
  const link = await startSharedLink(prefix)

  const dump = await link.run(async (redis) => {
    const keys = await redis.keys(`${prefix}*`)
    const hashes = keys.filter((key) => key.includes('{'))
    return JSON.stringify([keys, await Promise.all(hashes.map((key) => redis.hgetall(key)))])
  })

  expect(dump.length).toBeGreaterThan(500)
  const forms = values.flatMap((value) => [
    value,
    Buffer.from(value).toString('base64').replace(/=+$/, ''),
    Buffer.from(value).toString('base64url'),
    Buffer.from(value).toString('hex'),
  ])
  expect(forms.filter((form) => dump.includes(form))).toEqual([])
})

test('a value that is moved to another customer or kind, or tampered with, is refused', async () => {
  const { prefix, a, b, c, request } = await startThree()
  const victim = requestFor(newCustomerId())
  const link = await startSharedLink(prefix)
  await Promise.all([a.token(request), a.token(victim)])
  const keys = await link.run((redis) => redis.keys(`${prefix}v1:{*`))
  const [one = '', two = ''] = keys
  const tokens = async (key: string) =>
    Object.entries(await link.run((redis) => redis.hgetall(key))).filter(([field]) =>
      field.startsWith('t:'),
    )
  const [[fieldOne, valueOne] = ['', '']] = await tokens(one)
  const [[fieldTwo, valueTwo] = ['', '']] = await tokens(two)
  await link.run(async (redis) => {
    await redis.hset(one, fieldOne, valueTwo)
    await redis.hset(two, fieldTwo, valueOne)
  })

  expect(await b.token(victim)).toContain(`-of-${victim.customerId}-`)
  expect(await b.token(request)).toContain(`-of-${request.customerId}-`)
  expect(b.cacheEvents.filter(({ outcome }) => outcome === 'undecipherable')).toHaveLength(2)

  const [[field, value] = ['', '']] = await tokens(one)
  await link.run((redis) => redis.hset(one, field, `${value.slice(0, -2)}AA`))
  await Promise.all([c.token(request), c.token(victim)])
  expect(c.cacheEvents.filter(({ outcome }) => outcome === 'undecipherable')).toHaveLength(1)
})

test('what stands in Redis in another format is a miss', async () => {
  const { prefix, a, b, request } = await startThree()
  const link = await startSharedLink(prefix)
  await a.token(request)
  const [key = ''] = await link.run((redis) => redis.keys(`${prefix}v1:{*`))
  await link.run(async (redis) => {
    for (const field of await redis.hkeys(key))
      if (field.startsWith('t:')) await redis.hset(key, field, '{"token":"of another format"}')
  })

  expect((await b.issue(request, ANY)).source).toBe('miss')
})

test('a customer for whom tags are varied without end does not fill Redis', async () => {
  const { prefix, a, request } = await startThree()
  const tagged = (i: number) => ({
    ...request,
    sourceTags: { tags: [`tag-${i}`], mode: 'any' as const },
  })

  for (let i = 0; i < 100; i++) await a.token(tagged(i))

  const link = await startSharedLink(prefix)
  const [key = ''] = await link.run((redis) => redis.keys(`${prefix}v1:{*`))
  expect(await link.run((redis) => redis.hlen(key))).toBeLessThanOrEqual(41)
  expect(await link.run((redis) => redis.pttl(key))).toBeGreaterThan(19 * MINUTE)
})

test('every key that a fleet leaves in Redis goes away by itself, but for the one that tells evictions', async () => {
  const { prefix, a, b, request } = await startThree()
  await a.token(request)
  await b.evictCustomer(newCustomerId())
  const link = await startSharedLink(prefix)

  const keys = await link.run((redis) => redis.keys(`${prefix}*`))
  const lasting = await link.run(async (redis) => {
    const lives = await Promise.all(keys.map((key) => redis.pttl(key)))
    return keys.filter((_, i) => lives[i] === -1)
  })

  expect(lasting).toEqual([`${prefix}v1:epoch`])
})

test('the shared Redis of the tests is not the one on the usual port', () => {
  expect(inject('redisUrl')).not.toMatch(/:6379$/)
})
