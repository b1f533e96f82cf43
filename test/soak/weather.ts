import { setTimeout as after } from 'node:timers/promises'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { PrivateRedis } from '../support/private-redis.ts'

type Storm = readonly [name: string, begin: () => unknown, end: () => unknown]

/** Faults that come and go, one at a time; between them and after each there is time to recover. */
export function createWeather(upstream: Sandbox, redis: PrivateRedis) {
  const always = { times: 'always' } as const
  const clear = () => upstream.clearFaults()
  const on = (begin: () => unknown): readonly [() => unknown, () => unknown] => [begin, clear]
  const storms: readonly Storm[] = [
    ['Redis is killed', () => redis.kill(), () => redis.start()],
    ['Redis is paused', () => redis.pause(), () => redis.resume()],
    [
      'half of all mints fail',
      ...on(() =>
        upstream.fail({ on: 'mint', what: 'status', status: 503, probability: 0.5, ...always }),
      ),
    ],
    ['no mint is answered', ...on(() => upstream.fail({ on: 'mint', what: 'hang', ...always }))],
    [
      'mints are slow',
      ...on(() => upstream.fail({ on: 'mint', what: 'delay', ms: 400, ...always })),
    ],
    [
      'the API asks for a pause',
      ...on(() =>
        upstream.fail({
          on: 'mint',
          what: 'status',
          status: 429,
          headers: { 'retry-after': '1' },
          probability: 0.2,
          ...always,
        }),
      ),
    ],
    [
      'replies are cut off',
      ...on(() =>
        upstream.fail({ on: 'mint', what: 'reset', when: 'mid-body', probability: 0.3, ...always }),
      ),
    ],
    [
      'replies are nonsense',
      ...on(() =>
        upstream.fail({ on: 'mint', what: 'malformed-json', probability: 0.3, ...always }),
      ),
    ],
    ['the org token is revoked', ...on(() => upstream.fail({ on: 'mint', what: 'revoke' }))],
    [
      'the exchange is away',
      ...on(() => upstream.fail({ on: 'exchange', what: 'status', status: 503, ...always })),
    ],
    [
      'tokens arrive expired',
      ...on(() => upstream.fail({ on: 'mint', what: 'life', ms: 0, probability: 0.2, ...always })),
    ],
  ]

  let storm: string | null = null
  let lastEnded = 0
  const seen = new Map<string, number>()

  return {
    seen,
    /** Whether what fails now may be put down to a fault. */
    isRough: (now: number, aftermathMs: number) => storm !== null || now - lastEnded < aftermathMs,
    async blow(untilMs: number): Promise<void> {
      for (let turn = 0; performance.now() < untilMs; turn++) {
        await after(8_000 + Math.random() * 2_000)
        const [name, begin, end] = storms[turn % storms.length] ?? ['', clear, clear]
        storm = name
        seen.set(name, (seen.get(name) ?? 0) + 1)
        await begin()
        await after(1_500 + Math.random() * 2_000)
        await end()
        storm = null
        lastEnded = performance.now()
      }
    },
  }
}
