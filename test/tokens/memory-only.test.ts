import { describe, expect, test } from 'vitest'
import { BrokerError } from '../../src/errors.ts'
import {
  ANY,
  createTestUpstream,
  LIFE_MS,
  MINUTE,
  newCustomerId,
  REFRESH,
  requestFor,
  startBroker,
} from '../support/brokers.ts'

const AWAY = new BrokerError('upstream_unavailable', 'away')

/** A clock that the test sets; both the wall's and the process's, unless it is the wall's alone. */
function createClock() {
  let wall = Date.parse('2026-11-22T18:40:00Z')
  let up = 0
  return {
    now: () => wall,
    uptime: () => up,
    pass: (ms: number) => {
      wall += ms
      up += ms
    },
    setWall: (byMs: number) => {
      wall += byMs
    },
  }
}

function start() {
  const clock = createClock()
  const upstream = createTestUpstream(clock.now)
  const broker = startBroker(upstream, { now: clock.now, uptime: clock.uptime })
  return { clock, upstream, broker, request: requestFor(newCustomerId()) }
}

describe('hits', () => {
  test('the second call is answered from memory, at once', async () => {
    const { broker, upstream, request } = start()
    const first = await broker.issue(request, ANY)

    const second = broker.issue(request, ANY)

    expect(second).not.toBeInstanceOf(Promise)
    expect(first.source).toBe('miss')
    expect(second).toMatchObject({ source: 'hit', token: first.token })
    expect(upstream.minted).toHaveLength(1)
  })

  test('200 first callers at once cost one mint', async () => {
    const { broker, upstream, request } = start()

    const issued = await Promise.all(Array.from({ length: 200 }, () => broker.issue(request, ANY)))

    expect(upstream.minted).toHaveLength(1)
    expect(new Set(issued.map(({ token }) => token.value)).size).toBe(1)
    expect(issued.filter(({ source }) => source === 'miss')).toHaveLength(1)
    expect(issued.filter(({ source }) => source === 'collapsed')).toHaveLength(199)
  })

  test.each([
    ['kind', { type: 'widget' }],
    ['origin', { allowedOrigin: 'https://a.test' }],
    ['region', { regionId: 'region-1' }],
    ['source tags', { sourceTags: { tags: ['a'], mode: 'any' } }],
    ['the mode of tags', { sourceTags: { tags: ['a'], mode: 'all' } }],
    ['connection tags', { connectionTags: { tags: ['a'], mode: 'any' } }],
    ['workspace', { workspaceName: 'another' }],
    ['tags that must be applied', { tagsAreRequired: true }],
  ] as const)('a token is never issued for another %s', async (_, change) => {
    const { broker, request } = start()
    const plain = await broker.token(request)

    const other = await broker.token({ ...request, ...change })

    expect(other).not.toBe(plain)
    expect(await broker.token(request)).toBe(plain)
    expect(await broker.token({ ...request, ...change })).toBe(other)
  })

  test('the order and repetition of tags decide nothing', async () => {
    const { broker, upstream, request } = start()
    const tags = (...names: string[]) => ({ sourceTags: { tags: names, mode: 'any' as const } })
    await broker.token({ ...request, ...tags('a', 'b') })

    await broker.token({ ...request, ...tags('b', 'a', 'b') })

    expect(upstream.minted).toHaveLength(1)
  })
})

describe('what callers ask of a token', () => {
  test('one with less than min_ttl is replaced, and a fresh one is returned however short', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)
    clock.pass(MINUTE)

    const issued = await broker.issue(request, { minTtlMs: LIFE_MS + MINUTE, refresh: false })

    expect(issued.source).toBe('refreshed')
    expect(upstream.minted).toHaveLength(2)
    const again = await broker.issue(request, { minTtlMs: LIFE_MS + MINUTE, refresh: false })
    expect(again).toMatchObject({ source: 'hit', token: issued.token })
  })

  test('however often a refresh is asked for, upstream is asked once in ten seconds', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)

    for (let second = 0; second < 60; second++) {
      clock.pass(1_000)
      await Promise.all([broker.issue(request, REFRESH), broker.issue(request, REFRESH)])
    }

    expect(upstream.minted.length - 1).toBe(6)
  })

  test('a caller that wants more than the flight it joins starts another', async () => {
    const { broker, clock, upstream, request } = start()
    upstream.live(MINUTE)
    await broker.token(request)
    clock.pass(MINUTE - 13_000)
    upstream.hold()
    const first = Promise.resolve(broker.issue(request, REFRESH))
    const second = Promise.resolve(broker.issue(request, { minTtlMs: MINUTE, refresh: false }))

    upstream.release()

    expect((await second).token).toBe((await first).token)
    expect(upstream.minted).toHaveLength(2)
  })
})

describe('renewal ahead of the end', () => {
  test('a hit past refresh_after is answered at once and sets off one renewal', async () => {
    const { broker, clock, upstream, request } = start()
    const old = await broker.token(request)
    clock.pass(16 * MINUTE)
    upstream.hold()

    const hits = [
      broker.issue(request, ANY),
      broker.issue(request, ANY),
      broker.issue(request, ANY),
    ]

    expect(hits).toMatchObject(hits.map(() => ({ source: 'hit', token: { value: old } })))
    upstream.release()
    await expect.poll(() => broker.refreshes).toEqual(['renewed'])
    expect(upstream.urgencies).toEqual(['caller', 'background'])
    expect(await broker.token(request)).not.toBe(old)
    expect(upstream.minted).toHaveLength(2)
  })

  test('nothing is renewed that nobody asks for', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)

    clock.pass(17 * MINUTE)
    await broker.token(requestFor(newCustomerId()))

    expect(upstream.mintsOf(request.customerId)).toBe(1)
  })

  test('while the upstream is away, a scoped token is served to its end, without a caller waiting or each hit trying', async () => {
    const { broker, clock, upstream, request } = start()
    const old = await broker.token(request)
    clock.pass(16 * MINUTE)
    upstream.fail(AWAY)

    let served = 0
    for (; clock.now() < Date.parse('2026-11-22T19:00:00Z'); clock.pass(100)) {
      const issued = broker.issue(request, ANY)
      expect(issued).toMatchObject({ token: { value: old } })
      served++
      await Promise.resolve()
    }

    expect(served).toBeGreaterThan(2_000)
    expect(upstream.minted.length).toBeGreaterThan(50)
    expect(upstream.minted.length).toBeLessThan(150)
    await expect(broker.issue(request, ANY)).rejects.toBe(AWAY)
  })

  test('a caller whose mint fails gets the token that still lives; not past its end, not with less than it asked for', async () => {
    const { broker, clock, upstream, request } = start()
    const old = await broker.token(request)
    clock.pass(19 * MINUTE)
    upstream.fail(AWAY)

    const issued = await broker.issue(request, ANY)

    expect(issued).toMatchObject({ source: 'hit', token: { value: old } })
    await expect(broker.issue(request, { minTtlMs: 2 * MINUTE, refresh: false })).rejects.toBe(AWAY)
    await expect(broker.issue(request, REFRESH)).rejects.toBe(AWAY)
    clock.pass(MINUTE)
    await expect(broker.issue(request, ANY)).rejects.toBe(AWAY)
  })

  test('a refusal by the upstream is no reason to go on with a token in its margin', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)
    clock.pass(19 * MINUTE)
    const refused = new BrokerError('upstream_rejected', 'no')
    upstream.fail(refused)

    await expect(broker.issue(request, ANY)).rejects.toBe(refused)
  })

  test('a widget token past half of its life is never served, upstream or not', async () => {
    const { broker, clock, upstream, request } = start()
    const widget = { ...request, type: 'widget' as const }
    await broker.token(widget)
    clock.pass(10 * MINUTE)
    upstream.fail(AWAY)

    await expect(broker.issue(widget, ANY)).rejects.toBe(AWAY)
  })

  test('a caller does not inherit the failure of a renewal that yielded to callers', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)
    clock.pass(17 * MINUTE)
    upstream.hold()
    upstream.fail(new BrokerError('overloaded', 'busy'))
    void broker.issue(request, ANY)
    await expect.poll(() => upstream.urgencies).toEqual(['caller', 'background'])
    clock.pass(2 * MINUTE)

    const waiting = Promise.resolve(broker.issue(request, REFRESH))
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'overloaded' })
    upstream.release()

    await outcome
    expect(broker.refreshes).toEqual(['failed'])
    expect(upstream.urgencies).toEqual(['caller', 'background', 'caller'])
  })
})

describe('clocks', () => {
  test('a wall clock that is set back does not revive a token', async () => {
    const { broker, clock, upstream, request } = start()
    const old = await broker.token(request)
    clock.setWall(-60 * MINUTE)
    clock.pass(19 * MINUTE)
    expect(await broker.token(request)).not.toBe(old)
    expect(upstream.minted).toHaveLength(2)
  })

  test('a wall clock that is set forward ends what is kept', async () => {
    const { broker, clock, upstream, request } = start()
    await broker.token(request)

    clock.setWall(60 * MINUTE)
    await broker.token(request)

    expect(upstream.minted).toHaveLength(2)
  })

  test('a token that has ended when it comes is refused rather than issued', async () => {
    const { broker, upstream, request } = start()
    upstream.live(0)

    await expect(broker.issue(request, ANY)).rejects.toMatchObject({ code: 'upstream_invalid' })
  })
})

describe('flights', () => {
  test('a failure is shared by those who wait, and not remembered', async () => {
    const { broker, upstream, request } = start()
    upstream.hold()
    upstream.fail(AWAY)
    const waiting = Array.from({ length: 10 }, () => broker.issue(request, ANY))

    upstream.release()
    const results = await Promise.allSettled(waiting)

    expect(results.every((result) => result.status === 'rejected' && result.reason === AWAY)).toBe(
      true,
    )
    expect(upstream.minted).toHaveLength(1)
    upstream.work()
    expect((await broker.issue(request, ANY)).source).toBe('miss')
  })

  test("a customer's first mints go one after the other, whatever their kind", async () => {
    const { broker, upstream, request } = start()

    await Promise.all([
      broker.issue(request, ANY),
      broker.issue({ ...request, type: 'widget' }, ANY),
      broker.issue({ ...request, sourceTags: { tags: ['a'], mode: 'any' } }, ANY),
    ])

    expect(upstream.minted).toHaveLength(3)
    expect(upstream.mostInAir).toBe(1)
  })

  test('a first mint that fails lets the next one try', async () => {
    const { broker, upstream, request } = start()
    upstream.hold()
    upstream.fail(AWAY)
    const scoped = broker.issue(request, ANY)
    const widget = broker.issue({ ...request, type: 'widget' }, ANY)

    upstream.release()

    await expect(scoped).rejects.toBe(AWAY)
    await expect(widget).rejects.toBe(AWAY)
    expect(upstream.minted).toHaveLength(2)
  })

  test('later mints of a known customer, and those of others, do not wait for each other', async () => {
    const { broker, upstream, request } = start()
    await broker.token(request)
    upstream.hold()
    const mints = [
      broker.issue({ ...request, type: 'widget' }, ANY),
      broker.issue({ ...request, regionId: 'r' }, ANY),
      broker.issue(requestFor(newCustomerId()), ANY),
    ]

    await expect.poll(() => upstream.mostInAir).toBe(3)

    upstream.release()
    await Promise.all(mints)
  })
})

describe('eviction', () => {
  test("a customer's tokens of every kind are forgotten, and nobody else's", async () => {
    const { broker, upstream, request } = start()
    const other = requestFor(newCustomerId())
    await broker.token(request)
    await broker.token({ ...request, type: 'widget' })
    await broker.token(other)

    await broker.evictCustomer(request.customerId)

    expect((await broker.issue(request, ANY)).source).toBe('miss')
    expect((await broker.issue({ ...request, type: 'widget' }, ANY)).source).toBe('miss')
    expect((await broker.issue(other, ANY)).source).toBe('hit')
    expect(upstream.minted).toHaveLength(5)
  })

  test('all can be forgotten', async () => {
    const { broker, request } = start()
    await broker.token(request)

    await broker.evictAll()

    expect((await broker.issue(request, ANY)).source).toBe('miss')
  })

  test('a mint in the air when the customer is evicted is not kept, and not joined', async () => {
    const { broker, upstream, request } = start()
    upstream.hold()
    const before = Promise.resolve(broker.issue(request, ANY))
    await expect.poll(() => upstream.minted.length).toBe(1)

    await broker.evictCustomer(request.customerId)
    const after = Promise.resolve(broker.issue(request, ANY))
    upstream.release()

    const [old, fresh] = await Promise.all([before, after])
    expect(fresh.token.value).not.toBe(old.token.value)
    expect(await broker.token(request)).toBe(fresh.token.value)
    expect(upstream.minted).toHaveLength(2)
  })

  test('a change of what decides tokens makes the old ones unreachable; of the keys alone, it does not', async () => {
    const { broker, request } = start()
    const settings = {
      identity: ['https://api.test', 'embedded'],
      orgSecret: 'the-org-secret-of-the-test',
      encryptionKeys: [{ id: 'a', key: Buffer.alloc(32, 1) }],
      maxEntries: 1_000,
      maxBytes: 10_000_000,
      mintTimeLimitMs: 3_000,
    }
    await broker.token(request)

    broker.reload(settings)
    expect((await broker.issue(request, ANY)).source).toBe('hit')

    broker.reload({ ...settings, identity: ['https://api.test', 'applications'] })
    expect((await broker.issue(request, ANY)).source).toBe('miss')

    broker.reload({ ...settings, orgSecret: 'another' })
    expect((await broker.issue(request, ANY)).source).toBe('miss')
  })

  test('tells the workspace of a customer it has minted for', async () => {
    const { broker, request } = start()
    expect(await broker.knownWorkspace(request.customerId)).toBeNull()

    await broker.token(request)

    expect(await broker.knownWorkspace(request.customerId)).toBe(
      `workspace-of-${request.customerId}`,
    )
  })
})
