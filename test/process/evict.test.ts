import { randomBytes } from 'node:crypto'
import { expect, inject, test } from 'vitest'
import { runEvict } from '../../src/commands/evict-run.ts'
import { environment, newCustomer, startService } from '../support/service.ts'

async function run(args: string[], env: Record<string, string | undefined>) {
  const lines: string[] = []
  const status = await runEvict(args, env, (line) => lines.push(line))
  return { status, text: lines.join('\n') }
}

test.each([
  ['one customer', (customer: string) => ['--customer', customer], [true, false]],
  ['everybody', () => ['--all'], [true, true]],
])('npm run evict forgets %s in a running broker', async (_whom, args, forgotten) => {
  const change = {
    REDIS_URL: inject('redisUrl'),
    REDIS_KEY_PREFIX: `test-${randomBytes(6).toString('hex')}:`,
  }
  const { ask, upstream } = await startService({ env: change })
  const customers = [newCustomer(), newCustomer()]
  const tokens = () => Promise.all(customers.map(async (id) => (await ask(id)).json().token))
  const before = await tokens()

  const { status } = await run(args(customers[0] ?? ''), environment(upstream, change))

  expect(status).toBe(0)
  await expect
    .poll(async () => (await tokens()).map((token, index) => token !== before[index]))
    .toEqual(forgotten)
})

test.each([
  ['no words', [], {}, 2],
  ['both words', ['--all', '--customer', 'a'], {}, 2],
  ['no Redis', ['--all'], { REDIS_URL: undefined }, 1],
  ['a Redis that is away', ['--all'], { REDIS_URL: 'redis://127.0.0.1:9' }, 1],
  ['a wrong configuration', ['--all'], { REDIS_URL: 'http://r' }, 78],
])('%s: the exit status says so', async (_what, args, change, status) => {
  const { upstream } = await startService()

  const result = await run(args, environment(upstream, change))

  expect(result.status).toBe(status)
  expect(result.text).not.toBe('')
})
