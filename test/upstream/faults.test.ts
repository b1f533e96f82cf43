import { describe, expect, test } from 'vitest'
import { BrokerError, type FailureCode } from '../../src/errors.ts'
import type { Fault } from '../../src/sandbox/faults.ts'
import { startedUpstream, tokenRequest, widgetRequest } from './started.ts'

/** A fault that does not yet say what it befalls. */
type Effect = Fault extends infer Each ? (Each extends Fault ? Omit<Each, 'on'> : never) : never

type Row = {
  fault: Effect
  /** `ok`, or what the caller is told. */
  reply: 'ok' | FailureCode
  /** Requests to the exchange or to the mint, whichever the fault befalls. */
  calls: number
  /** The last complaint in the log. */
  log: string | null
  retryAfterMs?: number
  /** For those that end by the deadline. */
  timeoutMs?: number
}

const status = (code: number, more: object = {}) =>
  ({ what: 'status', status: code, ...more }) as const
const always = { times: 'always' } as const
const after = (seconds: number) => ({ headers: { 'retry-after': String(seconds) } })

const REFUSED = 'the upstream refused a mint'
const NO_REPLY = 'the upstream gave no usable reply'
const TROUBLE = 'the upstream is in trouble'
const UNUSABLE = 'the upstream minted nothing usable'
const PAUSE = 'the upstream asks for a pause'

const ON_MINT: Record<string, Row> = {
  'a moved endpoint': { fault: status(301), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'a redirect': {
    fault: status(302, { headers: { location: 'https://elsewhere.example.com/' } }),
    reply: 'upstream_rejected',
    calls: 1,
    log: REFUSED,
  },
  'a bad request': { fault: status(400), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'a revoked org token': {
    fault: { what: 'revoke' },
    reply: 'ok',
    calls: 2,
    log: 'the API refused the org token: getting another one',
  },
  'a 401 for good': {
    fault: { ...status(401), ...always },
    reply: 'upstream_rejected',
    calls: 2,
    log: REFUSED,
  },
  'not entitled': { fault: status(403), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'not found': { fault: status(404), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'another method': { fault: status(405), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  gone: { fault: status(410), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'another dialect': { fault: status(422), reply: 'upstream_rejected', calls: 1, log: REFUSED },
  'a 429 that names no time': {
    fault: status(429),
    reply: 'upstream_rate_limited',
    calls: 1,
    log: PAUSE,
    retryAfterMs: 1000,
  },
  'a 429 with a near time': {
    fault: status(429, after(1)),
    reply: 'ok',
    calls: 2,
    log: null,
  },
  'a 429 with a far time': {
    fault: status(429, after(30)),
    reply: 'upstream_rate_limited',
    calls: 1,
    log: PAUSE,
    retryAfterMs: 30_000,
  },
  'one 500': { fault: status(500), reply: 'ok', calls: 2, log: null },
  'a 500 for good': {
    fault: { ...status(500), ...always },
    reply: 'upstream_unavailable',
    calls: 2,
    log: TROUBLE,
    retryAfterMs: 2000,
  },
  'one 502': { fault: status(502), reply: 'ok', calls: 2, log: null },
  'two 503': { fault: { ...status(503), times: 2 }, reply: 'ok', calls: 3, log: null },
  'a 503 for good': {
    fault: { ...status(503), ...always },
    reply: 'upstream_unavailable',
    calls: 3,
    log: TROUBLE,
    retryAfterMs: 2000,
  },
  'a 503 with a far time': {
    fault: { ...status(503, after(60)), ...always },
    reply: 'upstream_unavailable',
    calls: 1,
    log: TROUBLE,
    retryAfterMs: 60_000,
  },
  'one 504': { fault: status(504), reply: 'ok', calls: 2, log: null },
  'a hang': {
    fault: { what: 'hang' },
    reply: 'upstream_timeout',
    calls: 1,
    log: NO_REPLY,
    timeoutMs: 150,
  },
  'a reset': { fault: { what: 'reset' }, reply: 'ok', calls: 2, log: null },
  'a reset after the headers': {
    fault: { what: 'reset', when: 'after-headers' },
    reply: 'ok',
    calls: 2,
    log: null,
  },
  'a reset amid the body': {
    fault: { what: 'reset', when: 'mid-body' },
    reply: 'ok',
    calls: 2,
    log: null,
  },
  'resets for good': {
    fault: { what: 'reset', ...always },
    reply: 'upstream_unavailable',
    calls: 3,
    log: NO_REPLY,
    retryAfterMs: 2000,
  },
  'a slow reply': { fault: { what: 'delay', ms: 50 }, reply: 'ok', calls: 1, log: null },
  'a trickle': {
    fault: { what: 'trickle', bytes: 64, everyMs: 2 },
    reply: 'ok',
    calls: 1,
    log: null,
  },
  'a trickle that lasts too long': {
    fault: { what: 'trickle', bytes: 1, everyMs: 20 },
    reply: 'upstream_timeout',
    calls: 1,
    log: NO_REPLY,
    timeoutMs: 150,
  },
  'a stall': {
    fault: { what: 'stall' },
    reply: 'upstream_timeout',
    calls: 1,
    log: NO_REPLY,
    timeoutMs: 150,
  },
  'an endless body': {
    fault: { what: 'endless' },
    reply: 'upstream_invalid',
    calls: 1,
    log: NO_REPLY,
  },
  'a huge body': {
    fault: { what: 'huge', bytes: 70_000 },
    reply: 'upstream_invalid',
    calls: 1,
    log: NO_REPLY,
  },
  'malformed JSON': {
    fault: { what: 'malformed-json' },
    reply: 'upstream_invalid',
    calls: 1,
    log: UNUSABLE,
  },
  'another media type': {
    fault: { what: 'content-type', contentType: 'text/plain' },
    reply: 'ok',
    calls: 1,
    log: null,
  },
  'an empty reply': {
    fault: { what: 'empty' },
    reply: 'upstream_invalid',
    calls: 1,
    log: UNUSABLE,
  },
  'a page': { fault: { what: 'html' }, reply: 'upstream_invalid', calls: 1, log: UNUSABLE },
  'no token': { fault: { what: 'no-token' }, reply: 'upstream_invalid', calls: 1, log: UNUSABLE },
  'an expired token': {
    fault: { what: 'life', ms: -1000 },
    reply: 'upstream_invalid',
    calls: 1,
    log: UNUSABLE,
  },
  'a token about to expire': {
    fault: { what: 'life', ms: 1000 },
    reply: 'upstream_invalid',
    calls: 1,
    log: UNUSABLE,
  },
  'a clock that is off': {
    fault: { what: 'date', byMs: 120_000 },
    reply: 'ok',
    calls: 1,
    log: 'this clock and the upstream’s differ: tokens may end early or late',
  },
}

const NO_EXCHANGE = 'the token exchange cannot be reached, or is in trouble: see AIRBYTE_TOKEN_URL'
const WRONG = 'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET were refused by the token exchange'
const MISPLACED = 'there is no token exchange at the configured address: see AIRBYTE_TOKEN_URL'
const EITHER =
  'the token exchange fails with 500: either it is in trouble, or AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET are wrong'
const NONSENSE =
  'the token exchange answered nothing usable: see AIRBYTE_TOKEN_URL, and this machine’s clock'
const REFUSES = 'the token exchange refused'
const SILENT = 'the token exchange gave no usable reply'

const refusal = (code: number, log: string): Row => ({
  fault: status(code),
  reply: 'upstream_rejected',
  calls: 1,
  log,
  retryAfterMs: 5_000,
})
const nonsense = (fault: Effect): Row => ({
  fault,
  reply: 'upstream_invalid',
  calls: 1,
  log: NONSENSE,
  retryAfterMs: 5_000,
})

const ON_EXCHANGE: Record<string, Row> = {
  'a moved endpoint': refusal(301, MISPLACED),
  'a redirect': {
    ...refusal(302, MISPLACED),
    fault: status(302, { headers: { location: 'https://elsewhere.example.com/' } }),
  },
  'a bad request': refusal(400, WRONG),
  'a wrong secret': refusal(401, WRONG),
  'not entitled': refusal(403, WRONG),
  'not found': refusal(404, MISPLACED),
  'another method': refusal(405, MISPLACED),
  gone: refusal(410, MISPLACED),
  'a wrong field': refusal(422, WRONG),
  'a 429 that names no time': {
    fault: status(429),
    reply: 'upstream_rate_limited',
    calls: 1,
    log: 'the token exchange asks for a pause',
    retryAfterMs: 1000,
  },
  'a 429 with a near time': { fault: status(429, after(1)), reply: 'ok', calls: 2, log: REFUSES },
  'a 429 with a far time': {
    fault: status(429, after(30)),
    reply: 'upstream_rate_limited',
    calls: 1,
    log: 'the token exchange asks for a pause',
    retryAfterMs: 30_000,
  },
  'one 500': { fault: status(500), reply: 'ok', calls: 2, log: REFUSES },
  'a 500 for good': {
    fault: { ...status(500), ...always },
    reply: 'upstream_unavailable',
    calls: 3,
    log: EITHER,
    retryAfterMs: 1000,
  },
  'two 502': { fault: { ...status(502), times: 2 }, reply: 'ok', calls: 3, log: REFUSES },
  'a 503 for good': {
    fault: { ...status(503), ...always },
    reply: 'upstream_unavailable',
    calls: 3,
    log: NO_EXCHANGE,
    retryAfterMs: 1000,
  },
  'one 504': { fault: status(504), reply: 'ok', calls: 2, log: REFUSES },
  'a reset': { fault: { what: 'reset' }, reply: 'ok', calls: 2, log: SILENT },
  'a reset amid the body': {
    fault: { what: 'reset', when: 'mid-body' },
    reply: 'ok',
    calls: 2,
    log: SILENT,
  },
  'resets for good': {
    fault: { what: 'reset', ...always },
    reply: 'upstream_unavailable',
    calls: 3,
    log: NO_EXCHANGE,
    retryAfterMs: 1000,
  },
  // The mint that waits for it gives up by its own deadline, and the exchange goes on for the next one.
  'a hang': {
    fault: { what: 'hang' },
    reply: 'upstream_timeout',
    calls: 1,
    log: null,
    timeoutMs: 150,
  },
  'a stall': {
    fault: { what: 'stall' },
    reply: 'upstream_timeout',
    calls: 1,
    log: null,
    timeoutMs: 150,
  },
  'a slow reply': { fault: { what: 'delay', ms: 50 }, reply: 'ok', calls: 1, log: null },
  'a trickle': {
    fault: { what: 'trickle', bytes: 64, everyMs: 2 },
    reply: 'ok',
    calls: 1,
    log: null,
  },
  'a clock that is off': {
    fault: { what: 'date', byMs: 120_000 },
    reply: 'ok',
    calls: 1,
    // The mint that follows has the right time again.
    log: 'this clock and the upstream’s differ: tokens may end early or late',
  },
  'an endless body': nonsense({ what: 'endless' }),
  'a huge body': nonsense({ what: 'huge', bytes: 70_000 }),
  'malformed JSON': nonsense({ what: 'malformed-json' }),
  'another media type': {
    fault: { what: 'content-type', contentType: 'text/plain' },
    reply: 'ok',
    calls: 1,
    log: null,
  },
  'an empty reply': nonsense({ what: 'empty' }),
  'a page': nonsense({ what: 'html' }),
  'no token': nonsense({ what: 'no-token' }),
  'an expired token': nonsense({ what: 'life', ms: -1000 }),
  'a token about to expire': nonsense({ what: 'life', ms: 1000 }),
}

async function outcomeOf(work: Promise<unknown>): Promise<{ code: string; error?: BrokerError }> {
  try {
    await work
    return { code: 'ok' }
  } catch (error) {
    if (error instanceof BrokerError) return { code: error.code, error }
    throw error
  }
}

async function check(on: 'mint' | 'exchange', row: Row) {
  const clock = steppingClock()
  const { sandbox, upstream, complaints, lines } = await startedUpstream({
    settings: { timeoutMs: row.timeoutMs ?? 5_000 },
    deps: clock,
    sandbox: { now: clock.now, widgetUrl: 'https://widget.example.com/' },
  })
  sandbox.fail({ ...row.fault, on })

  const { code, error } = await outcomeOf(upstream.mint(tokenRequest(), 'caller'))

  const { mints, exchanges } = sandbox.counts
  expect({
    reply: code,
    calls: (on === 'mint' ? mints : exchanges).total,
    log: complaints().at(-1) ?? null,
    retryAfterMs: error?.retryAfterMs,
  }).toEqual({
    reply: row.reply,
    calls: row.calls,
    log: row.log,
    retryAfterMs: row.retryAfterMs,
  })
  const everything = JSON.stringify([lines, error?.message, String(error?.cause)])
  for (const secret of sandbox.secrets) expect(everything).not.toContain(secret)
}

/** Stands still, but for pauses that are slept through. */
function steppingClock() {
  let at = Date.now()
  return {
    now: () => at,
    sleep: async (ms: number) => {
      at += ms
    },
  }
}

describe('a mint meets', () => {
  test.each(Object.entries(ON_MINT))('%s', (_, row) => check('mint', row))
})

describe('an exchange meets', () => {
  test.each(Object.entries(ON_EXCHANGE))('%s', (_, row) => check('exchange', row))
})

describe('a widget token that the widget could not read is not handed out', () => {
  test.each([
    'bare-jwt',
    'not-base64',
    'not-json',
    'no-token',
    'no-url',
    'plain-http-url',
    'other-origin',
    'no-origin',
  ] as const)('%s', async (flaw) => {
    const { sandbox, upstream, complaints } = await startedUpstream({
      settings: { dialect: 'applications' },
    })
    sandbox.fail({ on: 'mint', what: 'widget', flaw })

    const { code } = await outcomeOf(upstream.mint(widgetRequest(), 'caller'))

    expect(code).toBe('upstream_invalid')
    expect(complaints()).toEqual([UNUSABLE])
    expect(sandbox.counts.mints.total).toBe(1)
  })
})
