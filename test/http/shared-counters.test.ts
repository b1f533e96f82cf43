import { expect, test } from 'vitest'
import { createLocalCounters, orLocally } from '../../src/http/counters.ts'
import { createSharedCounters } from '../../src/http/shared-counters.ts'
import { newCustomerId, newPrefix, startSharedLink } from '../support/brokers.ts'

const MINUTE = 60_000
const key = Buffer.alloc(32, 7)

test('requests that come in together are each counted once, over all replicas', async () => {
  const prefix = newPrefix()
  const links = await Promise.all([1, 2, 3].map(() => startSharedLink(prefix)))
  const replicas = links.map((link) => createSharedCounters(link, key))
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
  expect(await replicas[0]?.read(busy, MINUTE)).toMatchObject({ count: 450 })
  expect(all.every(({ resetMs }) => resetMs > 0 && resetMs <= MINUTE)).toBe(true)
})

test('windows of different lengths are counted in one turn, each by its own', async () => {
  const counters = createSharedCounters(await startSharedLink(newPrefix()), key)

  const [short, long] = await Promise.all([
    counters.add('short', 1000),
    counters.add('long', MINUTE),
  ])

  expect(short.resetMs).toBeLessThanOrEqual(1000)
  expect(long.resetMs).toBeGreaterThan(1000)
})

test('without Redis every request of a turn is counted here', async () => {
  const link = await startSharedLink(newPrefix())
  await link.close()
  const counters = orLocally(createSharedCounters(link, key), createLocalCounters())

  const counts = await Promise.all([1, 2, 3].map(() => counters.add('customer', MINUTE)))

  expect(counts.map(({ count }) => count).toSorted()).toEqual([1, 2, 3])
})
