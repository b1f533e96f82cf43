import { describe, expect, test } from 'vitest'
import { createLocalCounters, orLocally } from '../../src/http/counters.ts'
import { createSharedCounters, type SharedCounters } from '../../src/http/shared-counters.ts'
import { newCustomerId, newPrefix, startSharedLink } from '../support/brokers.ts'

const MINUTE = { max: 1000, windowMs: 60_000 }
const of = { kind: 'customer', hmacKey: Buffer.alloc(32, 7) }

test('requests that come in together are each counted once, over all replicas', async () => {
  const prefix = newPrefix()
  const links = await Promise.all([1, 2, 3].map(() => startSharedLink(prefix)))
  const replicas = links.map((link) => createSharedCounters(link, of))
  const [busy, quiet] = [newCustomerId(), newCustomerId()]

  const all = await Promise.all(
    replicas.flatMap((replica) => [
      ...Array.from({ length: 150 }, () => replica.add(busy, MINUTE)),
      replica.add(quiet, MINUTE),
    ]),
  )

  const ofBusy = all.filter((_, index) => index % 151 !== 150).map(({ count }) => count)
  const ofQuiet = all.filter((_, index) => index % 151 === 150).map(({ count }) => count)
  expect(ofBusy.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 450 }, (_, n) => n + 1))
  expect(ofQuiet.toSorted((a, b) => a - b)).toEqual([1, 2, 3])
  expect(await replicas[0]?.read(busy)).toMatchObject({ count: 450 })
  expect(all.every(({ resetMs }) => resetMs > 0 && resetMs <= MINUTE.windowMs)).toBe(true)
})

test('windows of different lengths are counted in one turn, each by its own', async () => {
  const counters = createSharedCounters(await startSharedLink(newPrefix()), of)

  const [short, long] = await Promise.all([
    counters.add('short', { max: 1000, windowMs: 1000 }),
    counters.add('long', MINUTE),
  ])

  expect(short.resetMs).toBeLessThanOrEqual(1000)
  expect(long.resetMs).toBeGreaterThan(1000)
})

test('without Redis every request of a turn is counted here', async () => {
  const link = await startSharedLink(newPrefix())
  await link.close()
  const counters = orLocally(createSharedCounters(link, of), createLocalCounters())

  const counts = await Promise.all([1, 2, 3].map(() => counters.add('customer', MINUTE)))

  expect(counts.map(({ count }) => count).toSorted()).toEqual([1, 2, 3])
})

describe('a large allowance is drawn in parts', () => {
  const LARGE = { max: 20_000, windowMs: 60_000 }

  test('never do more pass than are allowed, and all of them do', async () => {
    const prefix = newPrefix()
    const links = await Promise.all([1, 2, 3].map(() => startSharedLink(prefix)))
    const replicas = links.map((link) => createSharedCounters(link, of))
    const customer = newCustomerId()
    let asked = 0
    let passed = 0

    for (const replica of replicas) {
      const counted = replica.add
      replica.add = (...of) => {
        const count = counted(...of)
        if (count instanceof Promise) asked++
        return count
      }
    }
    const caller = async (replica: SharedCounters) => {
      for (let turn = 0; turn < 2000; turn++)
        if ((await replica.add(customer, LARGE)).count <= LARGE.max) passed++
    }
    await Promise.all(
      replicas.flatMap((replica) => Array.from({ length: 4 }, () => caller(replica))),
    )

    expect(passed).toBe(LARGE.max)
    expect(asked).toBeLessThan(LARGE.max)
  })

  test('what is left of it is told as it shrinks', async () => {
    const counters = createSharedCounters(await startSharedLink(newPrefix()), of)
    const counts: number[] = []

    for (let turn = 0; turn < 100; turn++) counts.push((await counters.add('c', LARGE)).count)

    expect(counts).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  test('of a small one every request is asked for', async () => {
    const counters = createSharedCounters(await startSharedLink(newPrefix()), of)
    const small = { max: 1999, windowMs: 60_000 }

    for (let turn = 0; turn < 5; turn++) {
      const count = counters.add('c', small)
      expect(count).toBeInstanceOf(Promise)
      await count
    }
  })

  test('what was drawn ends with its window, on a clock that nobody sets', async () => {
    let uptime = 1000
    const counters = createSharedCounters(await startSharedLink(newPrefix()), of, () => uptime)
    await counters.add('c', LARGE)
    await counters.add('c', LARGE)
    expect(counters.add('c', LARGE)).toMatchObject({ count: 3 })

    uptime += LARGE.windowMs - 5000
    expect(counters.add('c', LARGE)).toMatchObject({ count: 4 })
    uptime += 5000
    const count = counters.add('c', LARGE)
    expect(count).toBeInstanceOf(Promise)
    await count
  })

  test('it is void once Redis has lost the count', async () => {
    const prefix = newPrefix()
    const [link, operator] = await Promise.all([startSharedLink(prefix), startSharedLink(prefix)])
    const counters = createSharedCounters(link, of)
    for (let turn = 0; turn < 3; turn++) await counters.add('c', LARGE)
    const names = await operator.run((redis) => redis.keys(`${prefix}*limit*`))
    await operator.run((redis) => redis.del(...names))

    let count = counters.add('c', LARGE)
    while (!(count instanceof Promise)) count = counters.add('c', LARGE)
    expect((await count).count).toBe(1)
  })

  test('of a limit that has been lowered since, nothing is taken without asking', async () => {
    const counters = createSharedCounters(await startSharedLink(newPrefix()), of)
    for (let turn = 0; turn < 2; turn++) await counters.add('c', LARGE)

    const count = counters.add('c', { ...LARGE, max: 10 })
    expect(count).toBeInstanceOf(Promise)
    expect((await count).count).toBe(3)
  })
})

test('the same name of another kind is another counter', async () => {
  const link = await startSharedLink(newPrefix())
  const customers = createSharedCounters(link, of)
  const addresses = createSharedCounters(link, { ...of, kind: 'address' })
  const name = newCustomerId()

  await customers.add(name, MINUTE)
  await addresses.add(name, MINUTE)

  expect((await customers.read(name)).count).toBe(1)
  expect((await addresses.read(name)).count).toBe(1)
})
