import { readFile } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asked, dashboardQueries } from '../dashboard-queries.ts'
import { startObservedFleet } from './observed-fleet.ts'
import { type PrivatePrometheus, startPrivatePrometheus } from './private-prometheus.ts'
import { steadyLoad } from './steady-load.ts'

const RULES = new URL('../../../deploy/prometheus/rules.yml', import.meta.url)
const stops: (() => Promise<void>)[] = []
let prometheus: PrivatePrometheus

beforeAll(async () => {
  const fleet = await startObservedFleet()
  stops.push(fleet.stop)
  const brokers = [await fleet.broker(), await fleet.broker()] as const
  prometheus = await startPrivatePrometheus({
    jobs: { 'token-broker': brokers.map(({ opsUrl }) => opsUrl) },
    rules: await readFile(RULES, 'utf8'),
  })
  stops.push(prometheus.stop)

  const load = steadyLoad(50, async (index) => {
    const type = index % 3 === 0 ? 'widget' : 'scoped'
    // Known ones for the cache, and now and then a new one, so that there is always something to mint.
    const customer = index % 5 === 0 ? `new-${index}` : `customer-${index % 40}`
    await brokers[index % 2 === 0 ? 0 : 1].ask(customer, `?type=${type}`)
  })
  stops.push(load.stop)
  await after(12_000)
}, 60_000)

afterAll(async () => {
  for (const stop of stops.reverse()) await stop()
})

describe('a dashboard panel shows data of a fleet under load', () => {
  test.each(dashboardQueries())('$panel: $expr', async ({ expr }) => {
    const samples = await prometheus.query(asked(expr, '10s'))

    expect(samples).not.toEqual([])
    expect(samples.filter(({ value }) => Number.isFinite(value))).not.toEqual([])
  })
})
