import { expect } from 'vitest'
import type { Fault } from '../../src/sandbox/faults.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { until } from '../support/private-redis.ts'
import { newCustomer, type ServiceOptions, startService } from '../support/service.ts'
import { healthOf, linesThatSay, matrix, metric, untilSaid } from './matrix.ts'

const { row, isWhatTheDocumentSays } = matrix('The token API')

/** A service whose clock the test sets, and a customer whose token it keeps. */
async function startKeeping(options: ServiceOptions = {}) {
  const clock = { ms: Date.now() }
  const now = () => clock.ms
  const service = await startService({
    ...options,
    env: { UPSTREAM_TIMEOUT: '500ms', ...options.env },
    now,
    sandbox: { now, ...options.sandbox },
  })
  const known = newCustomer()
  const before = (await service.ask(known)).json()
  return { ...service, known, before, clock }
}

/** Kept tokens are served, new ones are refused with this status and code. */
const refusesNewOnes = (fault: Fault, status: number, code: string) => async () => {
  const { ask, upstream, known, before } = await startKeeping()
  upstream.fail(fault)

  const kept = await ask(known)
  const fresh = await ask(newCustomer())

  expect([kept.statusCode, kept.json().token]).toEqual([200, before.token])
  expect([fresh.statusCode, fresh.json().code]).toEqual([status, code])
  if (status === 503) expect(Number(fresh.headers['retry-after'])).toBeGreaterThanOrEqual(1)
}

const isCountedAs = (fault: Fault, outcome: string, says: string) => async () => {
  const service = await startKeeping()
  service.upstream.fail(fault)
  await service.ask(newCustomer())

  const mints = `mints_total{type="scoped",dialect="embedded",outcome="${outcome}"}`
  expect(await metric(service, mints)).toBe(1)
  expect(linesThatSay(service, says).map(({ level }) => level)).toEqual(['warn'])
  expect((await healthOf(service)).ready).toBe(200)
}

const always = { on: 'mint', times: 'always' } as const

const broken: Fault = { ...always, what: 'status', status: 503 }
row(
  'It breaks (5xx) or is not there',
  [
    'Kept tokens: 200. New ones: tried twice more, then 503 `upstream_unavailable` with `Retry-After`',
    refusesNewOnes(broken, 503, 'upstream_unavailable'),
  ],
  [
    '`mints_total{outcome="unavailable"}` rises, a `warn` line each; still ready',
    isCountedAs(broken, 'unavailable', 'the upstream is in trouble'),
  ],
)

row(
  'It goes on being broken, for many customers',
  [
    '503 `upstream_unavailable` at once: it is not asked for some seconds',
    async () => {
      const { ask, upstream } = await startKeeping()
      upstream.fail(broken)
      for (let time = 0; time < 12; time++) await ask(newCustomer())
      upstream.forget()

      const reply = await ask(newCustomer())

      expect([reply.statusCode, reply.json().code]).toEqual([503, 'upstream_unavailable'])
      expect(upstream.counts.mints.total).toBe(0)
    },
  ],
  [
    'A `warn` line that it is not asked for a while, and an `info` line when it is back',
    async () => {
      const service = await startKeeping()
      service.upstream.fail(broken)
      for (let time = 0; time < 12; time++) await service.ask(newCustomer())

      expect(linesThatSay(service, 'the upstream is down').map(({ level }) => level)).toEqual([
        'warn',
      ])
      service.upstream.clearFaults()
      await until(async () => (await service.ask(newCustomer())).statusCode === 200, 'a token')
      await untilSaid(service, 'the upstream is back')
    },
  ],
)

row(
  'It is away when a kept token is due to be renewed',
  [
    'The kept token, for as long as it lives (a widget token: for half of its life)',
    async () => {
      const { ask, upstream, known, before, clock } = await startKeeping()
      upstream.fail(broken)

      clock.ms += 19 * 60_000
      const late = await ask(known)
      clock.ms += 2 * 60_000
      const tooLate = await ask(known)

      expect([late.statusCode, late.json().token]).toEqual([200, before.token])
      expect(late.json().expires_in).toBeGreaterThan(0)
      expect(tooLate.statusCode).toBe(503)
    },
  ],
  [
    '`background_refreshes_total{outcome="failed"}` rises',
    async () => {
      const service = await startKeeping()
      service.upstream.fail(broken)
      service.clock.ms += 17 * 60_000
      await service.ask(service.known)

      await untilSaid(service, 'the upstream is in trouble')
      const failed = 'background_refreshes_total{outcome="failed"}'
      await expect.poll(() => metric(service, failed)).toBe(1)
    },
  ],
)

const hanging: Fault = { ...always, what: 'hang' }
row(
  'It is slow',
  [
    'Kept tokens: 200 at once. New ones: 504 `upstream_timeout` after `UPSTREAM_TIMEOUT`',
    refusesNewOnes(hanging, 504, 'upstream_timeout'),
  ],
  [
    '`mints_total{outcome="timeout"}` and `mint_duration_seconds` rise, a `warn` line each; still ready',
    isCountedAs(hanging, 'timeout', 'the upstream gave no usable reply'),
  ],
)

const pausing: Fault = { ...always, what: 'status', status: 429, headers: { 'retry-after': '7' } }
row(
  'It asks for a pause (429)',
  [
    'Kept tokens: 200. New ones: 503 `upstream_rate_limited` with its `Retry-After`, and it is left alone until then',
    async () => {
      const { ask, upstream, known } = await startKeeping()
      upstream.fail(pausing)
      const first = await ask(newCustomer())
      upstream.forget()

      const second = await ask(newCustomer())

      expect((await ask(known)).statusCode).toBe(200)
      for (const reply of [first, second])
        expect([reply.statusCode, reply.json().code, reply.headers['retry-after']]).toEqual([
          503,
          'upstream_rate_limited',
          '7',
        ])
      expect(upstream.counts.mints.total).toBe(0)
    },
  ],
  [
    '`mints_total{outcome="rate_limited"}` rises, a `warn` line; still ready',
    isCountedAs(pausing, 'rate_limited', 'the upstream asks for a pause'),
  ],
)

const nonsense: Fault = { ...always, what: 'malformed-json' }
row(
  'It answers nonsense',
  [
    'Kept tokens: 200. New ones: 502 `upstream_invalid`, and nothing of what it said',
    refusesNewOnes(nonsense, 502, 'upstream_invalid'),
  ],
  [
    '`mints_total{outcome="invalid"}` rises, a `warn` line each; still ready',
    isCountedAs(nonsense, 'invalid', 'the upstream minted nothing usable'),
  ],
)

const forbidding: Fault = { ...always, what: 'status', status: 403 }
row(
  'It refuses us (403)',
  [
    'Kept tokens: 200. New ones: 502 `upstream_rejected`',
    refusesNewOnes(forbidding, 502, 'upstream_rejected'),
  ],
  [
    '`mints_total{outcome="rejected"}` rises, a `warn` line with what it said and what to look at',
    async () => {
      const service = await startKeeping()
      service.upstream.fail(forbidding)
      await service.ask(newCustomer())

      const [line] = linesThatSay(service, 'the upstream refused a mint')
      expect(line).toMatchObject({ level: 'warn', status: 403 })
      expect(String(line?.hint)).not.toBe('')
      const mints = 'mints_total{type="scoped",dialect="embedded",outcome="rejected"}'
      expect(await metric(service, mints)).toBe(1)
    },
  ],
)

row(
  'The org token ends early, or is revoked (401)',
  [
    '200: another one is got first',
    async () => {
      const { ask, upstream } = await startKeeping()
      upstream.fail({ on: 'mint', what: 'revoke' })

      expect((await ask(newCustomer())).statusCode).toBe(200)
      expect(upstream.counts.exchanges.total).toBe(2)
    },
  ],
  [
    'A `warn` line; `org_token_exchanges_total{outcome="ok"}` rises by one',
    async () => {
      const service = await startKeeping()
      service.upstream.fail({ on: 'mint', what: 'revoke' })
      await service.ask(newCustomer())

      const said = linesThatSay(service, 'the API refused the org token')
      expect(said.map(({ level }) => level)).toEqual(['warn'])
      expect(await metric(service, 'org_token_exchanges_total{outcome="ok"}')).toBe(2)
    },
  ],
)

row(
  'The credentials of the org token are wrong',
  [
    '502 `upstream_rejected` for all, without a call for each',
    async () => {
      const { ask, upstream } = await startService({ env: { AIRBYTE_CLIENT_SECRET: 'wrong' } })

      const first = await ask(newCustomer())
      const exchanges = upstream.counts.exchanges.total
      const second = await ask(newCustomer())

      for (const reply of [first, second])
        expect([reply.statusCode, reply.json().code]).toEqual([502, 'upstream_rejected'])
      expect(upstream.counts.exchanges.total).toBe(exchanges)
    },
  ],
  [
    'Not ready; `/health` 503 names the settings; an `error` line; `org_token_exchanges_total{outcome="rejected"}` rises',
    async () => {
      const service = await startService({ env: { AIRBYTE_CLIENT_SECRET: 'wrong' } })
      await service.ask(newCustomer())

      const { ready, live, checks } = await healthOf(service)

      expect([ready, live]).toEqual([503, 200])
      expect(checks.org_token.detail).toContain('AIRBYTE_CLIENT_SECRET')
      expect(service.logged().filter(({ level }) => level === 'error')).toHaveLength(1)
      const rejected = 'org_token_exchanges_total{outcome="rejected"}'
      expect(await metric(service, rejected)).toBe(1)
    },
  ],
)

const exchangeAway: Fault = { on: 'exchange', times: 'always', what: 'status', status: 503 }
row(
  'The exchange of the org token is away, and the org token lives',
  [
    '200, new tokens too',
    async () => {
      const { ask, upstream, clock } = await startKeeping()
      upstream.fail(exchangeAway)
      clock.ms += 14 * 60_000

      expect((await ask(newCustomer())).statusCode).toBe(200)
    },
  ],
  [
    'Still ready; `org_token_exchanges_total{outcome="unavailable"}` rises, a `warn` line each',
    async () => {
      const service = await startKeeping()
      service.upstream.fail(exchangeAway)
      service.clock.ms += 14 * 60_000
      await service.ask(newCustomer())

      const failed = 'org_token_exchanges_total{outcome="unavailable"}'
      await expect.poll(() => metric(service, failed)).toBeGreaterThanOrEqual(1)
      expect((await healthOf(service)).ready).toBe(200)
    },
  ],
)

/** Long enough for every try. */
const patient = { env: { UPSTREAM_TIMEOUT: '5s' } }
row(
  'The exchange is away, and the org token has ended',
  [
    'Kept tokens: 200. New ones: 503 `upstream_unavailable` with `Retry-After`',
    async () => {
      const { ask, upstream, known, before, clock } = await startKeeping(patient)
      upstream.fail(exchangeAway)
      clock.ms += 15 * 60_000 + 1000

      const kept = await ask(known)
      const fresh = await ask(newCustomer())

      expect([kept.statusCode, kept.json().token]).toEqual([200, before.token])
      expect([fresh.statusCode, fresh.json().code]).toEqual([503, 'upstream_unavailable'])
    },
  ],
  [
    'Not ready, but live; `org_token_expires_at_seconds` 0',
    async () => {
      const service = await startKeeping(patient)
      service.upstream.fail(exchangeAway)
      service.clock.ms += 15 * 60_000 + 1000
      await service.ask(newCustomer())

      const { ready, live } = await healthOf(service)
      expect([ready, live]).toEqual([503, 200])
      expect(await metric(service, 'org_token_expires_at_seconds')).toBe(0)
    },
  ],
)

row(
  'A static org token has ended',
  [
    'Kept tokens: 200. New ones: 502 `upstream_rejected`',
    async () => {
      const { ask, known, before, clock } = await startWithStaticToken()
      clock.ms += 10 * 60_000

      const kept = await ask(known)
      const fresh = await ask(newCustomer())

      expect([kept.statusCode, kept.json().token]).toEqual([200, before.token])
      expect([fresh.statusCode, fresh.json().code]).toEqual([502, 'upstream_rejected'])
    },
  ],
  [
    'Not ready; `/health` names `AIRBYTE_ACCESS_TOKEN`; `org_token_expires_at_seconds` has told when',
    async () => {
      const service = await startWithStaticToken()
      const told = await metric(service, 'org_token_expires_at_seconds')
      service.clock.ms += 10 * 60_000

      const { ready, checks } = await healthOf(service)
      expect(ready).toBe(503)
      expect(checks.org_token.detail).toContain('AIRBYTE_ACCESS_TOKEN')
      expect(told * 1000).toBeLessThan(service.clock.ms)
    },
  ],
)

async function startWithStaticToken() {
  const clock = { ms: Date.now() }
  const now = () => clock.ms
  const upstream = await startSandbox({ now })
  const env = { AIRBYTE_ACCESS_TOKEN: await upstream.issueOrgToken(9 * 60_000) }
  const service = await startService({ env, upstream, now })
  const known = newCustomer()
  const before = (await service.ask(known)).json()
  return { ...service, known, before, clock }
}

row(
  'Its clock and ours differ by minutes',
  [
    '200, with the time that the token lives by our clock',
    async () => {
      const { before } = await startKeeping({ sandbox: { clockSkewMs: -5 * 60_000 } })

      expect(before.expires_in).toBeGreaterThan(14 * 60)
      expect(before.expires_in).toBeLessThanOrEqual(15 * 60)
    },
  ],
  [
    'One `warn` line for each change, with the difference',
    async () => {
      const service = await startKeeping({ sandbox: { clockSkewMs: -5 * 60_000 } })
      await service.ask(newCustomer())

      const said = linesThatSay(service, 'this clock and the upstream’s differ')
      expect(said.map(({ level, skewSeconds }) => [level, Number(skewSeconds)])).toEqual([
        ['warn', expect.closeTo(-300, -1)],
      ])
    },
  ],
)

isWhatTheDocumentSays()
