import { setTimeout as after } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { newCustomer, startService } from '../support/service.ts'

test('an hour of mints over org tokens that live three seconds: no request fails', async () => {
  let now = Date.now()
  const clock = () => now
  const { ask, app, upstream } = await startService({
    now: clock,
    sandbox: { now: clock, orgTokenLifeMs: 3000, workspaceCreationMs: 0 },
  })
  const end = now + 3_600_000
  const failed: unknown[] = []
  let asked = 0

  // A renewal that is under way while the clock is set on would bring a token that has grown old on the way.
  const nothingUnderWay = async () => {
    while (!/in_flight 0$/m.test((await app.ops.inject('/metrics')).body)) await after(1)
  }

  while (now < end) {
    const reply = await ask(newCustomer())
    asked++
    if (reply.statusCode !== 200) failed.push(reply.json())
    await nothingUnderWay()
    // Out of step with the tokens' lives, so that they are met at every age.
    now += 1700
  }

  expect(failed).toEqual([])
  expect(upstream.counts.mints.total).toBeGreaterThanOrEqual(asked)
  expect(upstream.counts.exchanged).toBeGreaterThan(1000)
}, 120_000)
