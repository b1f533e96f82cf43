import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { newPrefix } from '../support/brokers.ts'
import { type BrokerFleet, type FleetBroker, startFleet } from '../support/fleet.ts'
import { until } from '../support/private-redis.ts'
import { type SentinelTrio, startSentinelTrio, tell } from '../support/redis-shapes.ts'

const CUSTOMERS = 2_000
const CALLS = 20_000
const CALLERS = 30
/** In all, so that the run takes about as long whatever the machine. */
const CALLS_PER_SECOND = 700

type Outage = { readonly name: string; readonly from: number; readonly to: number }

/**
 * Redis is flushed, paused, failed over and killed in turn, and a replica dies in the middle of its
 * mints, under steady load. Every call is answered with a live token of its customer; and but for the
 * time while Redis is away, a customer's token is minted once.
 */
test(`${CUSTOMERS} customers and ${CALLS} calls survive whatever happens to Redis and to a replica`, async () => {
  const trio = await startSentinelTrio()
  onTestFinished(trio.stop)
  const fleet = await startFleet({
    redis: {
      REDIS_SENTINELS: trio.sentinels.map(({ host, port }) => `${host}:${port}`).join(),
      REDIS_SENTINEL_NAME: trio.name,
      REDIS_KEY_PREFIX: newPrefix(),
    },
    // While Redis is away nothing can keep two replicas from a customer's first mint.
    sandbox: { breakOnOverlappingFirstMints: false, delays: { mint: 20 } },
  })
  onTestFinished(fleet.end)
  const living = new Set(fleet.brokers)
  const load = startLoad(fleet.upstream, living)

  const outages = await wreak(trio, fleet, living, load.progress)
  const { wrong, retried, slowestMs } = await load.end

  const figures = mintsBy(fleet.upstream, outages)
  process.stdout.write(
    [
      `chaos: ${CALLS} calls, ${wrong.length} wrong, ${retried} sent again to another replica, slowest ${slowestMs} ms`,
      ...outages.map(({ name, from, to }) => `  ${name}: ${to - from} ms`),
      `  mints: ${figures.total}, of those ${figures.during} while Redis was away`,
      `  mints outside of the outages, for each customer: ${figures.perCustomer.toFixed(3)}\n`,
    ].join('\n'),
  )
  expect(wrong).toEqual([])
  expect(figures.customers).toBe(CUSTOMERS)
  expect(figures.perCustomer).toBeLessThanOrEqual(1.05)
}, 180_000)

/** Calls for one customer after the other, at random, answered by whichever replica is next. */
function startLoad(upstream: Sandbox, living: ReadonlySet<FleetBroker>) {
  const wrong: string[] = []
  let sent = 0
  let done = 0
  let retried = 0
  let slowestMs = 0
  const startedAt = performance.now()
  // Each customer once, and then whoever comes.
  const customerOf = (call: number) =>
    `customer-${call < CUSTOMERS * 8 && call % 8 === 0 ? call / 8 : Math.floor(Math.random() * CUSTOMERS)}`

  async function call(number: number): Promise<void> {
    const customer = customerOf(number)
    const askedAt = performance.now()
    for (let attempt = 0; ; attempt++) {
      const replicas = [...living]
      const replica = replicas[(number + attempt) % replicas.length]
      if (replica === undefined) throw new Error('no replica lives')
      try {
        const { status, body } = await replica.ask(customer)
        const token = upstream.verify(String(body.token))
        if (status !== 200 || token?.customer !== customer || token.expiresAt <= Date.now())
          wrong.push(`${status} ${body.code ?? token?.customer} for ${customer}`)
        break
      } catch {
        // The replica died with the call: a load balancer sends it to the next.
        retried++
        if (attempt === 10) {
          wrong.push(`no answer for ${customer}`)
          break
        }
      }
    }
    slowestMs = Math.max(slowestMs, Math.round(performance.now() - askedAt))
    done++
  }

  async function caller(): Promise<void> {
    while (sent < CALLS) {
      const number = sent++
      const dueAt = startedAt + (number / CALLS_PER_SECOND) * 1_000
      const early = dueAt - performance.now()
      if (early > 1) await setTimeout(early)
      await call(number)
    }
  }

  const callers = Array.from({ length: CALLERS }, caller)
  return {
    progress: () => done / CALLS,
    end: Promise.all(callers).then(() => ({ wrong, retried, slowestMs })),
  }
}

async function wreak(
  trio: SentinelTrio,
  fleet: BrokerFleet,
  living: Set<FleetBroker>,
  progress: () => number,
): Promise<Outage[]> {
  const outages: Outage[] = []
  const allSeeRedis = async () =>
    (await Promise.all([...living].map((broker) => broker.seesRedis()))).every(Boolean)

  async function outage(name: string, happens: () => Promise<unknown>): Promise<void> {
    const from = Date.now()
    await happens()
    await until(allSeeRedis, `${name}: Redis for all replicas`, 30_000)
    // What each replica holds is put back into a Redis that has lost it.
    await setTimeout(1_500)
    outages.push({ name, from, to: Date.now() })
  }
  const reach = (share: number) =>
    until(() => progress() >= share, `${share} of the calls`, 120_000)

  await reach(0.15)
  await outage('flushed', async () => tell((await trio.master()).port, 'FLUSHALL'))
  await reach(0.3)
  await outage('paused', async () => {
    const master = await trio.master()
    await master.pause()
    await setTimeout(600)
    await master.resume()
  })
  await reach(0.45)
  const [victim] = living
  if (victim !== undefined) {
    living.delete(victim)
    await victim.kill()
    living.add(await fleet.start())
  }
  await reach(0.6)
  await outage('failed over', async () => {
    const old = await trio.master()
    await tell(trio.sentinels[0]?.port ?? 0, 'SENTINEL', 'FAILOVER', trio.name)
    await until(async () => (await trio.master()) !== old, 'another master', 20_000)
  })
  await reach(0.75)
  await outage('killed', async () => {
    const old = await trio.master()
    await old.kill()
    await until(async () => (await trio.master()) !== old, 'another master', 30_000)
    await old.start()
  })
  return outages
}

function mintsBy(upstream: Sandbox, outages: readonly Outage[]) {
  const isDuring = (at: number) => outages.some(({ from, to }) => at >= from && at <= to)
  const mints = upstream.asked.filter(({ kind, status }) => kind === 'mint' && status === 200)
  const outside = mints.filter(({ at }) => !isDuring(at))
  const customers = new Set(mints.map(({ customer }) => customer))
  const customersOutside = new Set(outside.map(({ customer }) => customer))
  return {
    total: mints.length,
    during: mints.length - outside.length,
    customers: customers.size,
    perCustomer: outside.length / customersOutside.size,
  }
}
