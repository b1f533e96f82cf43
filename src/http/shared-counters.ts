import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { RedisClient, RedisLink } from '../redis/link.ts'
import type { Count, Limit } from './counters.ts'

export type SharedCountersSettings = {
  /** What the names are of: those of one kind are told from those of another. */
  readonly kind: string
  readonly hmacKey: Buffer
}

export type SharedCounters = {
  /** At once, where this replica has drawn more than it has used yet. */
  add(name: string, limit: Limit): Count | Promise<Count>
  read(name: string): Promise<Count>
}

// Sent whole, so that no failover or SCRIPT FLUSH can lose it. A counter without an end (a crash between
// two commands cannot make one, a person can) is given one.
const ADD = `
local replies = {}
for i, key in ipairs(KEYS) do
  local window, max, drawn = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  if drawn > 1 then
    local left = max - tonumber(redis.call('GET', key) or '0')
    drawn = math.max(1, math.min(drawn, left))
  end
  local count = redis.call('INCRBY', key, drawn)
  local ends = redis.call('PTTL', key)
  if ends < 0 then
    redis.call('PEXPIRE', key, window)
    ends = window
  end
  replies[3 * i - 2], replies[3 * i - 1], replies[3 * i] = count, ends, drawn
end
return replies`

const READ = `return {tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])}`

/** Redis does nothing else while it counts these. */
const MOST_AT_ONCE = 100
const MOST_NAMES = 100_000

/**
 * Of a large allowance a replica draws several at once, and needs no word from Redis for those: this part of
 * what is left. What a replica has drawn and does not use is lost to the others, so the part is small, and
 * below as many as this every single one is asked for.
 */
const PART = 1000
const MOST_DRAWN = 1000

type Counter = {
  readonly key: string
  /** The count in Redis when this replica last drew. */
  count: number
  /** Drawn, and not used. */
  left: number
  /** On the process's own clock; never later than in Redis. */
  endsAt: number
}

type Addition = {
  readonly counter: Counter
  readonly limit: Limit
  resolve(count: Count): void
  reject(error: unknown): void
}

/**
 * Windows on Redis's clock, shared by every replica; never more pass than are allowed. Names are kept under
 * their HMAC: they hold customer ids and addresses. Additions of one turn of the event loop go to Redis
 * together, each to be counted for itself. Rejects when Redis does not answer.
 * @param uptime milliseconds on a clock that nobody sets
 */
export function createSharedCounters(
  redis: RedisLink,
  { kind, hmacKey }: SharedCountersSettings,
  uptime: () => number = () => performance.now(),
): SharedCounters {
  const counters = new LRUCache<string, Counter>({ max: MOST_NAMES })
  function counterOf(name: string): Counter {
    const known = counters.get(name)
    if (known !== undefined) return known
    const digest = createHmac('sha256', hmacKey).update(`${kind}:${name}`).digest('base64url')
    const counter = { key: redis.key(`limit:${digest}`), count: 0, left: 0, endsAt: 0 }
    counters.set(name, counter)
    return counter
  }

  let waiting: Addition[] = []
  function send(): void {
    const all = waiting
    waiting = []
    for (let first = 0; first < all.length; first += MOST_AT_ONCE)
      void count(all.slice(first, first + MOST_AT_ONCE))
  }

  async function count(additions: readonly Addition[]): Promise<void> {
    const sentAt = uptime()
    try {
      const replies = numbersIn(await redis.run((client) => added(client, additions, sentAt)))
      for (const [index, { counter, resolve }] of additions.entries()) {
        const [count, endsIn, drawn] = replies.slice(3 * index)
        if (count === undefined || endsIn === undefined || drawn === undefined) throw noCount()
        // Another window, or a Redis that has lost this one: what was drawn before is void.
        if (sentAt >= counter.endsAt || count < counter.count) counter.left = 0
        counter.count = count
        counter.left += drawn - 1
        counter.endsAt = sentAt + endsIn
        resolve({ count: count - counter.left, resetMs: Math.max(0, endsIn) })
      }
    } catch (error) {
      for (const { reject } of additions) reject(error)
    }
  }

  return {
    add(name, limit) {
      const counter = counterOf(name)
      const resetMs = counter.endsAt - uptime()
      // A limit that has been lowered since leaves less to draw on, or nothing.
      const isGood = resetMs > 0 && resetMs <= limit.windowMs && counter.count <= limit.max
      if (counter.left > 0 && isGood) {
        counter.left--
        return { count: counter.count - counter.left, resetMs }
      }
      const { promise, resolve, reject } = Promise.withResolvers<Count>()
      if (waiting.length === 0) setImmediate(send)
      waiting.push({ counter, limit, resolve, reject })
      return promise
    },
    async read(name) {
      const reply = await redis.run((client) => client.eval(READ, 1, counterOf(name).key))
      const [count, endsIn] = numbersIn(reply)
      if (count === undefined || endsIn === undefined) throw noCount()
      return { count, resetMs: Math.max(0, endsIn) }
    },
  }
}

/** How many to draw, when so many were gone the last time. */
function drawnOf({ count, endsAt }: Counter, { max }: Limit, at: number): number {
  // Of a window that nothing is known of yet: one, to get to know it.
  if (at >= endsAt) return 1
  return Math.max(1, Math.min(MOST_DRAWN, Math.floor((max - count) / PART)))
}

/** One script over all keys, except on a cluster, where each key may live on another node. */
async function added(
  client: RedisClient,
  additions: readonly Addition[],
  at: number,
): Promise<unknown> {
  const argumentsOf = ({ counter, limit }: Addition) => [
    limit.windowMs,
    limit.max,
    drawnOf(counter, limit, at),
  ]
  if (client.isCluster) {
    const replies = additions.map((each) =>
      client.eval(ADD, 1, each.counter.key, ...argumentsOf(each)),
    )
    return (await Promise.all(replies)).flat()
  }
  const keys = additions.map(({ counter }) => counter.key)
  return client.eval(ADD, keys.length, ...keys, ...additions.flatMap(argumentsOf))
}

const noCount = () => new Error('Redis sent no count')

function numbersIn(reply: unknown): number[] {
  if (Array.isArray(reply) && reply.every((each) => typeof each === 'number')) return reply
  throw noCount()
}
