import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { RedisClient, RedisLink } from '../redis/link.ts'
import type { Count } from './counters.ts'

export type SharedCounters = {
  add(name: string, windowMs: number): Promise<Count>
  read(name: string, windowMs: number): Promise<Count>
}

// Sent whole, so that no failover or SCRIPT FLUSH can lose it. A counter without an end (a crash between
// two commands cannot make one, a person can) is given one.
const ADD = `
local counts = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  local left = redis.call('PTTL', key)
  if left < 0 then
    redis.call('PEXPIRE', key, ARGV[i])
    left = tonumber(ARGV[i])
  end
  counts[2 * i - 1], counts[2 * i] = count, left
end
return counts`

const READ = `return {tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])}`

/** Redis does nothing else while it counts these. */
const MOST_AT_ONCE = 100
const MOST_NAMES = 100_000

type Addition = {
  readonly key: string
  readonly windowMs: number
  resolve(count: Count): void
  reject(error: unknown): void
}

/**
 * Windows on Redis's clock, shared by every replica. Names are kept under their HMAC: they hold customer
 * ids and addresses. Additions of one turn of the event loop go to Redis together, each to be counted for
 * itself. Rejects when Redis does not answer.
 */
export function createSharedCounters(redis: RedisLink, hmacKey: Buffer): SharedCounters {
  const keys = new LRUCache<string, string>({ max: MOST_NAMES })
  function keyOf(name: string): string {
    const known = keys.get(name)
    if (known !== undefined) return known
    const digest = createHmac('sha256', hmacKey).update(name).digest('base64url')
    const key = redis.key(`limit:${digest}`)
    keys.set(name, key)
    return key
  }

  let waiting: Addition[] = []
  function send(): void {
    const all = waiting
    waiting = []
    for (let first = 0; first < all.length; first += MOST_AT_ONCE)
      void count(all.slice(first, first + MOST_AT_ONCE))
  }

  async function count(additions: readonly Addition[]): Promise<void> {
    try {
      const counts = await redis.run((client) => added(client, additions))
      for (const [index, { resolve }] of additions.entries()) resolve(countAt(counts, index))
    } catch (error) {
      for (const { reject } of additions) reject(error)
    }
  }

  return {
    add(name, windowMs) {
      const { promise, resolve, reject } = Promise.withResolvers<Count>()
      if (waiting.length === 0) setImmediate(send)
      waiting.push({ key: keyOf(name), windowMs, resolve, reject })
      return promise
    },
    read: (name) =>
      redis.run(async (client) => countAt(await client.eval(READ, 1, keyOf(name)), 0)),
  }
}

/** One script over all keys, except on a cluster, where each key may live on another node. */
async function added(client: RedisClient, additions: readonly Addition[]): Promise<unknown> {
  if (client.isCluster) {
    const counts = additions.map(({ key, windowMs }) => client.eval(ADD, 1, key, windowMs))
    return (await Promise.all(counts)).flat()
  }
  const names = additions.map(({ key }) => key)
  const windows = additions.map(({ windowMs }) => windowMs)
  return client.eval(ADD, names.length, ...names, ...windows)
}

function countAt(counts: unknown, index: number): Count {
  const all: unknown[] = Array.isArray(counts) ? counts : []
  const [count, left] = [all[2 * index], all[2 * index + 1]]
  if (typeof count !== 'number' || typeof left !== 'number') throw new Error('Redis sent no count')
  return { count, resetMs: Math.max(0, left) }
}
