import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { RedisLink } from '../redis/link.ts'

/** How often something happened in the window that is open now, and how long that stays open. */
export type Count = { readonly count: number; readonly resetMs: number }

export type Counters = {
  add(name: string, windowMs: number): Promise<Count>
  /** Like `add`, without adding. */
  read(name: string, windowMs: number): Promise<Count>
}

/** As many as are counted at once in one process; past that the least recently seen starts afresh. */
const MOST_LOCAL = 200_000

/** Fixed windows, opened by the first event. The clock is passed in; a clock set back ends the window. */
export function createLocalCounters(now: () => number = Date.now): Counters {
  const windows = new LRUCache<string, { count: number; endsAt: number }>({ max: MOST_LOCAL })

  const open = (name: string, windowMs: number) => {
    const window = windows.get(name)
    const leftMs = window ? window.endsAt - now() : 0
    return window && leftMs > 0 && leftMs <= windowMs ? window : undefined
  }
  return {
    async add(name, windowMs) {
      const window = open(name, windowMs) ?? { count: 0, endsAt: now() + windowMs }
      window.count++
      if (window.count === 1) windows.set(name, window)
      return { count: window.count, resetMs: window.endsAt - now() }
    },
    async read(name, windowMs) {
      const window = open(name, windowMs)
      return window
        ? { count: window.count, resetMs: window.endsAt - now() }
        : { count: 0, resetMs: 0 }
    },
  }
}

// One key, so that it runs on a cluster; sent whole, so that no failover or SCRIPT FLUSH can lose it.
// A counter without an end (a crash between two commands cannot make one, a person can) is given one.
const ADD = `
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}`

const READ = `return {tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])}`

/**
 * Windows on Redis's clock, shared by every replica. Names are kept under their HMAC: they hold customer
 * ids and addresses. Rejects when Redis does not answer.
 */
export function createSharedCounters(redis: RedisLink, hmacKey: Buffer): Counters {
  const run = (script: string, name: string, windowMs: number) => {
    const digest = createHmac('sha256', hmacKey).update(name).digest('base64url')
    return redis.run(async (client) =>
      countFrom(await client.eval(script, 1, redis.key(`limit:${digest}`), windowMs)),
    )
  }
  return {
    add: (name, windowMs) => run(ADD, name, windowMs),
    read: (name, windowMs) => run(READ, name, windowMs),
  }
}

function countFrom(reply: unknown): Count {
  const [count, left]: unknown[] = Array.isArray(reply) ? reply : []
  if (typeof count !== 'number' || typeof left !== 'number') throw new Error('Redis sent no count')
  return { count, resetMs: Math.max(0, left) }
}

/** Shared counters, and local ones while those are out of reach: a limit is kept, only not over replicas. */
export const orLocally = (shared: Counters, local: Counters): Counters => ({
  add: (name, windowMs) => shared.add(name, windowMs).catch(() => local.add(name, windowMs)),
  read: (name, windowMs) => shared.read(name, windowMs).catch(() => local.read(name, windowMs)),
})
