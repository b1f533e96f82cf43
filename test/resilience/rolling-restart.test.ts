import { setTimeout as after } from 'node:timers/promises'
import { expect, inject, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { newPrefix } from '../support/brokers.ts'
import { until } from '../support/private-redis.ts'
import { startBrokerProcess } from '../support/process.ts'
import { environment, SERVICE_KEY } from '../support/service.ts'
import { startSteadyLoad } from '../support/steady-load.ts'
import { createBalancer } from './balancer.ts'

const PER_SECOND = 500
const REPLICAS = 3
const CUSTOMERS = 200
const HEADERS = { authorization: `Bearer ${SERVICE_KEY}` }
const Token = z.object({ token: z.string(), customer_id: z.string() })

test(`${REPLICAS} replicas restarted one after the other under ${PER_SECOND} requests/s fail no request`, async () => {
  const upstream = await startSandbox()
  onTestFinished(() => upstream.close())
  // As shipped but for the limit: a second between the signal and the end, in which the balancer finds out.
  const env = environment(upstream, {
    REDIS_URL: inject('redisUrl'),
    REDIS_KEY_PREFIX: newPrefix(),
    RATE_LIMIT_MAX: '1000000',
    AUDIT_LOG: '/dev/null',
  })
  const start = () => startBrokerProcess(env)
  const balancer = createBalancer()
  let replicas = await Promise.all(Array.from({ length: REPLICAS }, start))
  for (const { url } of replicas) balancer.add(url)
  await until(() => replicas.every(({ url }) => balancer.isIn(url)), 'replicas in use')

  for (let number = 0; number < CUSTOMERS; number++)
    await balancer.get(`/customers/customer-${number}/token`, HEADERS)

  const failed: string[] = []
  const tookMs: number[] = []
  const load = startSteadyLoad(PER_SECOND, async (number) => {
    const customer = `customer-${number % CUSTOMERS}`
    try {
      const reply = await balancer.get(`/customers/${customer}/token`, HEADERS)
      tookMs.push(reply.tookMs)
      const token = Token.safeParse(reply.status === 200 ? JSON.parse(reply.body) : null).data
      const isRight =
        token?.customer_id === customer && upstream.verify(token.token)?.customer === customer
      if (!isRight) failed.push(`${reply.status} ${reply.body.slice(0, 200)}`)
    } catch (error) {
      failed.push(String(error))
    }
  })
  await after(1000)

  for (const old of [...replicas]) {
    const fresh = await start()
    balancer.add(fresh.url)
    await until(() => balancer.isIn(fresh.url), 'the new replica in use')
    old.child.kill('SIGTERM')
    expect(await old.exit).toBe(0)
    await balancer.remove(old.url)
    replicas = [...replicas.filter((replica) => replica !== old), fresh]
  }
  await after(1000)
  const { sent, seconds } = await load.stop()

  tookMs.sort((one, other) => one - other)
  const at = (share: number) => (tookMs[Math.floor(tookMs.length * share)] ?? 0).toFixed(1)
  console.info(
    `rolling restart: ${sent} requests in ${seconds.toFixed(1)} s, ${failed.length} failed; ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(0.99999)} ms; ${upstream.counts.mints.total} mints`,
  )
  expect(failed).toEqual([])
  expect(sent / seconds).toBeGreaterThan(PER_SECOND * 0.9)
  expect(upstream.counts.mints.total).toBe(CUSTOMERS)
}, 90_000)
