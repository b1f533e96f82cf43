import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BrokerError } from '../../src/errors.ts'
import { createPressure, type Gauges, underPressure } from '../../src/http/pressure.ts'
import { until } from '../support/private-redis.ts'
import { newCustomer, startService } from '../support/service.ts'

const nothing = () => {}
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Pressure by gauges that the test sets. */
function createGauged() {
  const shown = { lateMs: 0, heapShare: 0 }
  const gauges: Gauges = {
    lateMs: () => shown.lateMs,
    heapShare: () => shown.heapShare,
    close: nothing,
  }
  const pressure = createPressure({ log: silent, gauges })
  onTestFinished(() => pressure.close())
  return {
    pressure,
    show(change: Partial<typeof shown>, times = 4) {
      Object.assign(shown, change)
      for (let time = 0; time < times; time++) pressure.sample()
      return pressure.isHigh()
    },
  }
}

describe('pressure', () => {
  test.each([
    ['an event loop that is on time', { lateMs: 5, heapShare: 0.5 }, false],
    ['an event loop that is late', { lateMs: 201, heapShare: 0.5 }, true],
    ['an event loop that is just not late', { lateMs: 200, heapShare: 0.9 }, false],
    ['a heap that is all but full', { lateMs: 5, heapShare: 0.91 }, true],
  ])('%s', (_what, shown, high) => {
    expect(createGauged().show(shown)).toBe(high)
  })

  test('is not believed at the first sight, when it comes and when it goes', () => {
    const { show } = createGauged()

    const seen = [
      show({ lateMs: 500 }, 3),
      show({ lateMs: 0 }, 1),
      show({ lateMs: 500 }, 3),
      show({ lateMs: 500 }, 1),
      show({ lateMs: 0 }, 1),
      show({ lateMs: 500 }, 1),
      show({ lateMs: 0 }, 2),
    ]

    expect(seen).toEqual([false, false, false, true, true, true, false])
  })

  test('is felt by the process that has more to do than it can, and passes', async () => {
    const pressure = createPressure({ log: silent })
    onTestFinished(() => pressure.close())

    const end = performance.now() + 8_000
    while (!pressure.isHigh() && performance.now() < end) {
      const turn = performance.now() + 260
      while (performance.now() < turn);
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect(pressure.isHigh()).toBe(true)
    await until(() => !pressure.isHigh(), 'pressure that passes')
  })

  test('leaves room for so many mints at once and no more', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<string>()
    const mint = underPressure(() => held, { isHigh: () => false }, 2)

    const running = [mint(), mint()]
    await expect(mint()).rejects.toThrow(BrokerError)
    release('token')

    expect(await Promise.all(running)).toEqual(['token', 'token'])
    expect(await mint()).toBe('token')
  })
})

describe('a process under pressure', () => {
  test('hands out what it keeps, and says to come back for what it would have to mint', async () => {
    const { pressure, show } = createGauged()
    const { ask, app, upstream } = await startService({ deps: { pressure } })
    const [known, unknown] = [newCustomer(), newCustomer()]
    await ask(known)

    show({ lateMs: 500 })
    const kept = await ask(known)
    const refused = await ask(unknown)
    const live = await app.ops.inject('/health/live')
    show({ lateMs: 0 })
    const after = await ask(unknown)

    expect([kept.statusCode, kept.headers['cache-status']]).toEqual([200, 'token-broker; hit'])
    expect([refused.statusCode, refused.json().code]).toEqual([503, 'overloaded'])
    expect(refused.headers['retry-after']).toBe('2')
    expect(live.statusCode).toBe(200)
    expect(after.statusCode).toBe(200)
    expect(upstream.counts.mints.total).toBe(2)
  })

  test('hands out a token that should be renewed as long as it lives', async () => {
    const { pressure, show } = createGauged()
    const clock = { ms: Date.now() }
    const now = () => clock.ms
    const { ask, upstream } = await startService({ deps: { pressure }, now, sandbox: { now } })
    const customer = newCustomer()
    const first = await ask(customer)

    show({ heapShare: 0.95 })
    clock.ms += 19 * 60_000
    const late = await ask(customer)

    expect(late.json().token).toBe(first.json().token)
    expect(upstream.counts.mints.total).toBe(1)
  })

  test('says so once in the log, with what is wrong, and once when it is over', async () => {
    const lines: string[] = []
    const log = { ...silent, info: note, warn: note }
    function note(_fields: object, message: string) {
      lines.push(message)
    }
    const shown = { lateMs: 500 }
    const pressure = createPressure({
      log,
      gauges: { lateMs: () => shown.lateMs, heapShare: () => 0, close: nothing },
    })
    onTestFinished(() => pressure.close())

    for (let time = 0; time < 5; time++) pressure.sample()
    shown.lateMs = 0
    for (let time = 0; time < 5; time++) pressure.sample()

    expect(lines).toEqual([
      'overloaded: kept tokens are served, new ones are refused',
      'not overloaded any more',
    ])
  })
})

test('a flood of unknown credentials waits for a slow backend only so far, and holds up nobody who is known', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let asked = 0
  const backend = createServer((_request, response) => {
    asked++
    void released.then(() => response.writeHead(401).end())
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    backend.closeAllConnections()
    backend.close()
  })
  await new Promise((resolve) => backend.once('listening', resolve))
  const { port } = backend.address() as AddressInfo
  const { ask } = await startService({
    env: {
      SESSION_CHECK_URL: `http://127.0.0.1:${port}/session`,
      RATE_LIMIT_AUTH_FAILURES: '1000000',
    },
  })
  const customer = newCustomer()

  const flood = Array.from({ length: 1000 }, (_, cookie) =>
    ask(customer, { headers: { cookie: `sid=${cookie}`, 'x-requested-with': 'x' } }),
  )
  await until(() => asked > 0, 'a check that waits')
  const oneMore = await ask(customer, { headers: { cookie: 'sid=a', 'x-requested-with': 'x' } })
  const known = await ask(customer)
  release()

  expect([oneMore.statusCode, oneMore.json().code]).toEqual([503, 'overloaded'])
  expect(oneMore.headers['retry-after']).toBe('1')
  expect(known.statusCode).toBe(200)
  expect(new Set((await Promise.all(flood)).map(({ statusCode }) => statusCode))).not.toContain(500)
})
