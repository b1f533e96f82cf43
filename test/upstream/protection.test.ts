import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createBreaker } from '../../src/upstream/breaker.ts'
import { createDeadline } from '../../src/upstream/deadline.ts'
import { createGate } from '../../src/upstream/gate.ts'
import { CallFailure, type Reply } from '../../src/upstream/http-calls.ts'
import { namedPauseMs } from '../../src/upstream/named-pause.ts'
import { createRetryBudget } from '../../src/upstream/retry-budget.ts'
import { eventually, newCustomer, recordingLog, startedUpstream, tokenRequest } from './started.ts'

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    ({ code }) => code,
  )

const reply = (status: number, headers: Record<string, string> = {}): Reply => ({
  status,
  header: (name) => headers[name],
  text: '',
  receivedAt: 0,
})

describe('calls at once', () => {
  test('are bounded, the rest wait in a short queue, and what does not fit is told so', async () => {
    const inFlight: number[] = []
    const { upstream, sandbox } = await startedUpstream({
      settings: { maxConcurrency: 2 },
      deps: { onInFlight: (count) => inFlight.push(count) },
    })
    await upstream.mint(tokenRequest(), 'caller')
    const hold = sandbox.hold('mint')
    const mints = Array.from({ length: 11 }, () => codeOf(upstream.mint(tokenRequest(), 'caller')))

    await expect(mints[10]).resolves.toBe('overloaded')
    await hold.reached(2)
    hold.release()

    expect(await Promise.all(mints)).toEqual([...Array(10).fill('ok'), 'overloaded'])
    expect(sandbox.counts.mints.peak).toBe(2)
    expect(Math.max(...inFlight)).toBe(2)
    expect(inFlight.at(-1)).toBe(0)
  })

  test('callers go before background work, which never takes more than half', async () => {
    const gate = createGate({ maxConcurrency: 2 }, { now: Date.now, sleep: async () => {} })
    const deadline = createDeadline(5_000)
    const order: string[] = []
    const gates = new Map<string, () => void>()
    const run = (name: string, urgency: 'caller' | 'background') =>
      gate.run(urgency, deadline, () => {
        order.push(name)
        return new Promise<void>((resolve) => gates.set(name, resolve))
      })

    const all = [
      run('background 1', 'background'),
      run('background 2', 'background'),
      run('caller 1', 'caller'),
      run('caller 2', 'caller'),
    ]
    await vi.waitFor(() => expect(order).toEqual(['background 1', 'caller 1']))
    gates.get('background 1')?.()
    await vi.waitFor(() => expect(order.at(-1)).toBe('caller 2'))
    gates.get('caller 1')?.()
    await vi.waitFor(() => expect(order.at(-1)).toBe('background 2'))
    for (const open of gates.values()) open()
    await Promise.all(all)
    deadline.clear()

    expect(order).toEqual(['background 1', 'caller 1', 'caller 2', 'background 2'])
  })

  test('whoever waits too long in the queue gives its place back', async () => {
    const gate = createGate({ maxConcurrency: 1 }, { now: Date.now, sleep: async () => {} })
    const long = createDeadline(5_000)
    const short = createDeadline(10)
    const held = Promise.withResolvers<void>()
    const first = gate.run('caller', long, () => held.promise)

    await expect(gate.run('caller', short, async () => {})).rejects.toMatchObject({
      code: 'overloaded',
    })
    held.resolve()
    await first

    await expect(gate.run('caller', long, async () => 'in')).resolves.toBe('in')
    long.clear()
  })
})

describe('a pause that the upstream names', () => {
  const now = Date.parse('2026-11-22T12:00:00Z')
  test.each<[Record<string, string>, number | null]>([
    [{}, null],
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 12:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Sun, 22 Nov 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after': 'later' }, null],
    [{ 'retry-after': '86400' }, 300_000],
    [{ 'x-ratelimit-reset': '12' }, 12_000],
    [{ 'x-ratelimit-reset': String(now / 1000 + 20) }, 20_000],
    [{ 'x-ratelimit-reset': String(now + 20_000) }, 20_000],
    [{ 'retry-after': '3', 'x-ratelimit-reset': '12' }, 3_000],
  ])('%j', (headers, pause) => {
    expect(namedPauseMs(reply(429, headers), now)).toBe(pause)
  })

  test('holds for all, and costs the upstream nothing', async () => {
    let clock = Date.now()
    const { upstream, sandbox } = await startedUpstream({ deps: { now: () => clock } })
    const headers = { 'retry-after': '30' }
    sandbox.fail({ on: 'mint', what: 'status', status: 429, headers })
    await codeOf(upstream.mint(tokenRequest(), 'caller'))

    clock += 10_000
    const during = upstream.mint(tokenRequest(), 'caller')
    await expect(during).rejects.toMatchObject({
      code: 'upstream_rate_limited',
      retryAfterMs: 20_000,
    })
    expect(sandbox.counts.mints.total).toBe(1)

    clock += 20_000
    expect(await codeOf(upstream.mint(tokenRequest(), 'caller'))).toBe('ok')
  })

  test('is waited out by callers if it is short, and not by background work', async () => {
    let clock = Date.now()
    const { upstream, sandbox } = await startedUpstream({
      deps: {
        now: () => clock,
        sleep: async (ms) => {
          clock += ms
        },
      },
    })
    sandbox.fail({ on: 'mint', what: 'status', status: 429 })
    await codeOf(upstream.mint(tokenRequest(), 'caller'))

    const codes = [
      await codeOf(upstream.mint(tokenRequest(), 'background')),
      await codeOf(upstream.mint(tokenRequest(), 'caller')),
    ]

    expect(codes).toEqual(['upstream_rate_limited', 'ok'])
  })
})

test('a pause that is prolonged while somebody waits holds for them, too', async () => {
  let clock = 0
  const sleeps: (() => void)[] = []
  const sleep = (ms: number) =>
    new Promise<void>((resolve) =>
      sleeps.push(() => {
        clock += ms
        resolve()
      }),
    )
  const gate = createGate({ maxConcurrency: 1 }, { now: () => clock, sleep })
  const deadline = createDeadline(60_000)
  gate.pauseFor(1_000)
  let entered = false
  const waiting = gate.run('caller', deadline, async () => {
    entered = true
  })

  await vi.waitFor(() => expect(sleeps.length).toBe(1))
  gate.pauseFor(5_000)
  sleeps[0]?.()
  await vi.waitFor(() => expect(sleeps.length).toBe(2))
  expect(entered).toBe(false)

  sleeps[1]?.()
  await waiting
  deadline.clear()
  expect(clock).toBe(5_000)
})

describe('retries', () => {
  test('are a tenth of the calls, and ten a minute at least', () => {
    let clock = 0
    const budget = createRetryBudget({ now: () => clock })
    const taken = () => Array.from({ length: 100 }, () => budget.take()).filter(Boolean).length

    expect(taken()).toBe(10)
    for (let calls = 0; calls < 500; calls++) budget.called()
    expect(taken()).toBe(40)
    clock += 61_000
    expect(taken()).toBe(10)
  })

  test('stop when the budget is used up', async () => {
    const { upstream, sandbox } = await startedUpstream()
    sandbox.fail({ on: 'mint', what: 'status', status: 500, times: 'always' })
    for (let mints = 0; mints < 12; mints++) {
      await codeOf(upstream.mint(tokenRequest({ customerId: 'one and the same' }), 'caller'))
    }

    expect(sandbox.counts.mints.total).toBe(12 + 10)
  })

  test('are not for background work', async () => {
    const { upstream, sandbox } = await startedUpstream()
    sandbox.fail({ on: 'mint', what: 'status', status: 503 })

    expect(await codeOf(upstream.mint(tokenRequest(), 'background'))).toBe('upstream_unavailable')
    expect(sandbox.counts.mints.total).toBe(1)
  })
})

describe('the circuit breaker', () => {
  test('opens when the upstream fails for everybody, and then nobody waits for it', async () => {
    const { upstream, sandbox } = await startedUpstream()
    sandbox.fail({ on: 'mint', what: 'status', status: 503, times: 'always' })
    for (let mints = 0; mints < 2; mints++) await codeOf(upstream.mint(tokenRequest(), 'caller'))
    const before = sandbox.counts.mints.total

    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({
      code: 'upstream_unavailable',
      retryAfterMs: expect.any(Number),
    })
    expect([before, sandbox.counts.mints.total]).toEqual([5, 5])
  })

  test('stays closed for all when one customer fails for good', async () => {
    const { upstream, sandbox } = await startedUpstream()
    const customerId = newCustomer()
    sandbox.fail({ on: 'mint', customer: customerId, what: 'status', status: 500, times: 'always' })
    for (let mints = 0; mints < 12; mints++) {
      const code = await codeOf(upstream.mint(tokenRequest({ customerId }), 'caller'))
      expect(code).toBe('upstream_unavailable')
    }

    expect(await codeOf(upstream.mint(tokenRequest(), 'caller'))).toBe('ok')
    expect(sandbox.counts.mints.byCustomer[customerId]).toBe(22)
  })

  const failing = async () => reply(500)
  const fine = async () => reply(200)

  test('opens on 500s of different customers, lets one try after a while, and closes again', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const { log } = recordingLog()
    const breaker = createBreaker({ log, now: Date.now })
    for (let customer = 0; customer < 5; customer++) await breaker.run(`c${customer}`, failing)
    expect(await codeOf(breaker.run('other', fine))).toBe('upstream_unavailable')

    vi.setSystemTime(Date.now() + 5_001)
    expect((await breaker.run('c1', failing)).status).toBe(500)
    expect(await codeOf(breaker.run('other', fine))).toBe('upstream_unavailable')

    vi.setSystemTime(Date.now() + 5_001)
    const slow = Promise.withResolvers<Reply>()
    const trial = breaker.run('c1', () => slow.promise)
    expect(await codeOf(breaker.run('other', fine))).toBe('upstream_unavailable')
    slow.resolve(reply(200))
    await trial
    expect((await breaker.run('other', fine)).status).toBe(200)
  })

  test('any answer in between shows that the upstream is there', async () => {
    const { log } = recordingLog()
    const breaker = createBreaker({ log, now: Date.now })
    for (let customer = 0; customer < 20; customer++) {
      await breaker.run(`c${customer}`, failing)
      if (customer % 4 === 3) await breaker.run('c', async () => reply(404))
    }

    expect((await breaker.run('c', fine)).status).toBe(200)
  })

  test('hangs of one customer count once, a network that is gone every time', async () => {
    const { log } = recordingLog()
    const failWith = (kind: CallFailure['kind']) => async () => {
      throw new CallFailure(kind, 'X')
    }
    const hanging = createBreaker({ log, now: Date.now })
    const gone = createBreaker({ log, now: Date.now })
    for (let calls = 0; calls < 10; calls++) {
      await hanging.run('c', failWith('timeout')).catch(() => undefined)
      await gone.run('c', failWith('network')).catch(() => undefined)
    }

    expect(await codeOf(hanging.run('c', fine))).toBe('ok')
    expect(await codeOf(gone.run('c', fine))).toBe('upstream_unavailable')
  })
})

test('an upstream that is not there is a failure at once, and after closing nothing is left running', async () => {
  const { upstream, sandbox, complaints } = await startedUpstream()
  await sandbox.close()
  upstream.start()
  await eventually(() => upstream.orgTokenStatus().state === 'failing')

  expect(await codeOf(upstream.mint(tokenRequest(), 'caller'))).toBe('upstream_unavailable')
  await upstream.close()

  expect(complaints()).toContain(
    'the token exchange cannot be reached, or is in trouble: see AIRBYTE_TOKEN_URL',
  )
})
