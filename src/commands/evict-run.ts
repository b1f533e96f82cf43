import { parseArgs } from 'node:util'
import { brokerSettings } from '../broker-settings.ts'
import { loadConfig } from '../config.ts'
import { createLogger } from '../logger.ts'
import { createRedisLink } from '../redis/redis-link.ts'
import { createBroker } from '../tokens/broker.ts'

const USAGE = `npm run evict -- --customer <id>    forget this customer's cached tokens, on every replica
npm run evict -- --all              forget everybody's

With the environment of the broker: it goes to the same Redis, under the same keys.`

/** The exit status: 0 when every replica has been told, 1 when not, 2 for words that mean nothing, 78 for a wrong configuration. */
export async function runEvict(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): Promise<number> {
  const whom = whomOf(args)
  if (whom === undefined) {
    print(USAGE)
    return 2
  }
  const loaded = loadConfig(env)
  if (!loaded.ok) {
    for (const problem of loaded.problems) print(problem)
    return 78
  }
  const { config } = loaded
  if (!config.redis) {
    print(
      'without REDIS_URL each broker keeps its tokens to itself: use DELETE /customers/{id}/token, or restart it',
    )
    return 1
  }

  const log = createLogger('silent')
  const redis = createRedisLink(config.redis, { log })
  const broker = createBroker(brokerSettings(config), {
    mint: () => Promise.reject(new Error('this process mints nothing')),
    redis,
    log,
    observers: { onCache: () => {}, onEntries: () => {}, onRefresh: () => {} },
  })
  try {
    await (whom === null ? broker.evictAll() : broker.evictCustomer(whom))
    print('forgotten, on every replica')
    return 0
  } catch {
    print('Redis does not answer, so the replicas could not be told: see REDIS_URL')
    return 1
  } finally {
    await broker.close()
    await redis.close()
  }
}

/** `null`: everybody. */
function whomOf(args: readonly string[]): string | null | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { customer: { type: 'string' }, all: { type: 'boolean' } },
    })
    if (values.all) return values.customer === undefined ? null : undefined
    return values.customer || undefined
  } catch {
    return undefined
  }
}
