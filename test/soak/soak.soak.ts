import { setTimeout as after } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { newPrefix } from '../support/brokers.ts'
import { userToken } from '../support/jwt.ts'
import { freePort, startPrivateRedis, until } from '../support/private-redis.ts'
import { spawnBroker } from '../support/process.ts'
import { environment, JWT_SECRET, SERVICE_KEY } from '../support/service.ts'
import { createJudge, type Verdict } from './judge.ts'
import { type Asked, startLoad } from './load.ts'
import { lowest, type Vitals, vitalsOf } from './vitals.ts'
import { createWeather } from './weather.ts'

const MINUTES = Number(process.env.SOAK_MINUTES ?? 5)
const PER_SECOND = Number(process.env.SOAK_RATE ?? 150)
const REGULARS = 100
const SAMPLE_EVERY_MS = 5_000
/** Breaker, rests after failures and pauses: after a fault these have their time. */
const AFTERMATH_MS = 7_000

test(
  `${MINUTES} minutes of steady load through faults that come and go`,
  async () => {
    const upstream = await startSandbox({
      orgTokenLifeMs: 20_000,
      scopedLifeMs: 6_000,
      widgetLifeMs: 8_000,
      workspaceCreationMs: 1,
      breakOnOverlappingFirstMints: false,
      delays: { mint: 10 },
      remembers: 20_000,
    })
    onTestFinished(() => upstream.close())
    const redis = await startPrivateRedis()
    onTestFinished(redis.stop)
    const env = environment(upstream, {
      REDIS_URL: redis.url,
      REDIS_KEY_PREFIX: newPrefix(),
      CACHE_MAX_ENTRIES: '500',
      RATE_LIMIT_MAX: '1000000',
      RATE_LIMIT_WINDOW: '10s',
      UPSTREAM_TIMEOUT: '2s',
      JWT_SECRET,
      JWT_AUDIENCE: 'token-broker',
      CORS_ALLOWED_ORIGINS: 'https://app.example.com',
      AUDIT_LOG: '/dev/null',
    })
    // As the image has it.
    const withTwoArenas = { ...env, MALLOC_ARENA_MAX: '2' }
    const replicas = await Promise.all([start(withTwoArenas), start(withTwoArenas)])

    const callers = await createCallers()
    const weather = createWeather(upstream, redis)
    const judge = createJudge(upstream)
    const verdicts = new Map<Verdict, number>()
    const examples: string[] = []
    const tookMs: number[] = []
    const load = startLoad(
      replicas.map(({ url }) => url),
      PER_SECOND,
      callers,
      (asked, told) => {
        const isRough = weather.isRough(performance.now(), AFTERMATH_MS)
        const verdict: Verdict = told.status === 204 ? 'right' : judge(asked, told, isRough)
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
        if (tookMs.length < 1_000_000) tookMs.push(told.tookMs)
        if (verdict.startsWith('wrong') && examples.length < 20)
          examples.push(`${verdict} (${asked.method} ${asked.query}): ${told.body.slice(0, 300)}`)
      },
    )

    const endsAt = performance.now() + MINUTES * 60_000
    const samples: Vitals[][] = replicas.map(() => [])
    const sampling = (async () => {
      while (performance.now() < endsAt) {
        await after(SAMPLE_EVERY_MS)
        for (const [index, { url }] of replicas.entries()) samples[index]?.push(await vitalsOf(url))
      }
    })()
    await weather.blow(endsAt)
    await sampling
    const done = await load.stop()
    // What is in the air lands, and what is kept for a while is let go.
    await after(5_000)
    const atRest = await Promise.all(replicas.map(({ url }) => vitalsOf(url)))

    tookMs.sort((one, other) => one - other)
    const at = (share: number) => (tookMs[Math.floor((tookMs.length - 1) * share)] ?? 0).toFixed(1)
    const compared = samples.map(stretches)
    console.info(
      [
        `soak: ${MINUTES} minutes, ${done.sent} requests at ${done.perSecond.toFixed(0)}/s; p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms`,
        `  replies: ${[...verdicts].map(([verdict, count]) => `${count} ${verdict}`).join(', ')}`,
        `  upstream: ${upstream.counts.minted} tokens, ${upstream.counts.exchanged} org tokens`,
        `  faults: ${[...weather.seen].map(([name, times]) => `${name} ${times}`).join(', ')}`,
        ...compared.map(
          ({ early, late }, index) =>
            `  replica ${index + 1}: heap ${early.heapMb} -> ${late.heapMb} MB, rss ${early.rssMb} -> ${late.rssMb} MB, handles ${early.handles} -> ${late.handles}, files ${early.files} -> ${late.files}; at rest ${JSON.stringify(atRest[index])}`,
        ),
        ...samples.map(
          (of, index) =>
            `  replica ${index + 1}: rss in its course ${course(of, 'rssMb')} MB, the heap's part of it ${course(of, 'heapTakenMb')} MB`,
        ),
        ...examples,
      ].join('\n'),
    )

    expect(examples).toEqual([])
    expect(done.perSecond).toBeGreaterThan(PER_SECOND * 0.9)
    expect(verdicts.get('right') ?? 0).toBeGreaterThan(done.sent * 0.8)
    for (const [index, { early, late }] of compared.entries()) {
      // In the first minutes the compiler and the pools still take their share.
      const slackMb = MINUTES >= 10 ? 10 : 25
      expect(late.heapMb, `the heap of replica ${index + 1}`).toBeLessThan(early.heapMb + slackMb)
      expect(late.rssMb, `the memory of replica ${index + 1}`).toBeLessThan(
        highest(samples[index] ?? [], 'rssMb') * 1.05 + slackMb,
      )
      expect(late.handles, `the handles of replica ${index + 1}`).toBeLessThan(early.handles + 20)
      expect(late.files, `the files of replica ${index + 1}`).toBeLessThan(early.files + 20)
      expect(atRest[index]?.entries).toBeLessThanOrEqual(500)
    }
    for (const { child, exit } of replicas) {
      child.kill('SIGTERM')
      expect(await exit).toBe(0)
    }
  },
  MINUTES * 60_000 + 120_000,
)

/** Ten looks, evenly over the time. */
const course = (samples: readonly Vitals[], of: keyof Vitals) =>
  Array.from({ length: 10 }, (_, tenth) => samples[Math.floor((samples.length * tenth) / 10)]?.[of])
    .map((each) => Math.round(each ?? 0))
    .join(' ')

/**
 * The highest of the second and third fifth. What the process has taken from the system goes up and down with
 * what the collector and the allocator give back; a leak climbs past every level there was.
 */
const highest = (samples: readonly Vitals[], of: keyof Vitals) =>
  Math.max(
    ...samples
      .slice(Math.floor(samples.length / 5), Math.ceil((samples.length * 3) / 5))
      .map((sample) => sample[of]),
  )

/** Without a line for every request, of which there will be some hundred thousand. */
async function start(env: Record<string, string | undefined>) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const broker = spawnBroker({ ...env, LOG_LEVEL: 'error', PORT: String(port) })
  const isReady = () =>
    fetch(`${url}/health/ready`).then(
      ({ status }) => status === 200,
      () => false,
    )
  await until(isReady, 'a ready replica')
  return { ...broker, url }
}

/** Regulars by key and by JWT, guests who come once, both kinds of tokens, and now and then an eviction. */
async function createCallers(): Promise<(number: number) => Asked> {
  const service = { authorization: `Bearer ${SERVICE_KEY}` }
  const users = await Promise.all(
    Array.from({ length: REGULARS }, async (_, customer) => ({
      authorization: `Bearer ${await userToken({ customer_id: `regular-${customer}` }, JWT_SECRET, '1d')}`,
    })),
  )
  return (number) => {
    const index = Math.floor(Math.random() * REGULARS)
    const customer = `regular-${index}`
    const query = Math.random() < 0.3 ? '?type=widget' : ''
    if (number % 200 === 199) return { customer, method: 'DELETE', query: '', headers: service }
    if (number % 20 === 19)
      return { customer: `guest-${number}`, method: 'GET', query, headers: service }
    return { customer, method: 'GET', query, headers: users[index] ?? service }
  }
}

/** The second fifth of the run, in which all is warm, and the last. */
function stretches(samples: readonly Vitals[]): { early: Vitals; late: Vitals } {
  const fifth = Math.max(1, Math.floor(samples.length / 5))
  const of = (stretch: readonly Vitals[]): Vitals => ({
    rssMb: lowest(stretch, 'rssMb'),
    heapMb: lowest(stretch, 'heapMb'),
    heapTakenMb: lowest(stretch, 'heapTakenMb'),
    externalMb: lowest(stretch, 'externalMb'),
    handles: lowest(stretch, 'handles'),
    files: lowest(stretch, 'files'),
    entries: lowest(stretch, 'entries'),
  })
  return { early: of(samples.slice(fifth, 2 * fifth)), late: of(samples.slice(-fifth)) }
}
