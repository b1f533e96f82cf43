import { expect, test } from 'vitest'
import { BrokerError, type FailureCode } from '../../src/errors.ts'
import type { Fault } from '../../src/sandbox/faults.ts'
import { newCustomer, startedUpstream, tokenRequest } from './started.ts'

const MINTS = 1000
const SHARE = 0.01

type Effect = Fault extends infer Each ? (Each extends Fault ? Omit<Each, 'on'> : never) : never

/** Each kind of fault, and what becomes of the mint that meets it; asking again saves what can be saved. */
const KINDS: readonly [Effect, 'ok' | FailureCode][] = [
  [{ what: 'status', status: 500 }, 'ok'],
  [{ what: 'status', status: 502 }, 'ok'],
  [{ what: 'status', status: 503 }, 'ok'],
  [{ what: 'status', status: 504 }, 'ok'],
  [{ what: 'reset' }, 'ok'],
  [{ what: 'reset', when: 'mid-body' }, 'ok'],
  [{ what: 'status', status: 429, headers: { 'retry-after': '0' } }, 'ok'],
  [{ what: 'revoke' }, 'ok'],
  [{ what: 'hang' }, 'upstream_timeout'],
  [{ what: 'stall' }, 'upstream_timeout'],
  [{ what: 'malformed-json' }, 'upstream_invalid'],
  [{ what: 'no-token' }, 'upstream_invalid'],
  [{ what: 'life', ms: 500 }, 'upstream_invalid'],
]

/** Faults of the exchange that its own retries make good, so that no mint may notice them. */
const ON_EXCHANGE = KINDS.filter(([{ what }, end]) => end === 'ok' && what !== 'revoke')

/** The same numbers in every run (mulberry32). */
function seeded(seed: number) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (error instanceof BrokerError) return error.code
    throw error
  }
}

test('of 1,000 mints over expiring org tokens, none fails that asking again could have saved', async () => {
  let clock = Date.now()
  const now = () => clock
  const random = seeded(20261122)
  const { sandbox, upstream } = await startedUpstream({
    sandbox: { now, orgTokenLifeMs: 180_000, workspaceCreationMs: 0 },
    settings: { timeoutMs: 1_500 },
    deps: {
      now,
      random,
      sleep: async (ms) => {
        clock += ms
      },
    },
  })

  const results: Promise<{ expected: string; got: string }>[] = []
  let faults = 0
  let exchanges = -1
  for (let count = 0; count < MINTS; count++) {
    clock += random() * 60_000
    const customerId = newCustomer()
    const [effect, expected] = KINDS[Math.floor(random() / SHARE)] ?? [null, 'ok']
    if (effect !== null) {
      faults++
      sandbox.fail({ ...effect, on: 'mint', customer: customerId })
    }
    if (sandbox.counts.exchanges.total > exchanges) {
      exchanges = sandbox.counts.exchanges.total
      const [exchangeEffect] = ON_EXCHANGE[Math.floor(random() / SHARE)] ?? []
      if (exchangeEffect !== undefined) sandbox.fail({ ...exchangeEffect, on: 'exchange' })
    }

    const result = codeOf(upstream.mint(tokenRequest({ customerId }), 'caller'))
    results.push(result.then((got) => ({ expected, got })))
    // The others need not wait for one whose time is running out.
    if (expected !== 'upstream_timeout') await result
  }

  const all = await Promise.all(results)
  expect(all.filter(({ expected, got }) => expected !== got)).toEqual([])
  expect(faults).toBeGreaterThan(KINDS.length * MINTS * SHARE * 0.7)
  expect(sandbox.counts.exchanged).toBeGreaterThan(100)
}, 30_000)
