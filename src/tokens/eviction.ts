import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import { FORMAT } from './cache-key.ts'
import type { FleetMessage } from './messages.ts'
import type { Vault } from './redis-cache.ts'
import { announceScript, epochScript, evictScript } from './redis-scripts.ts'

export type Evictions = {
  /** @throws BrokerError `cache_unavailable` */
  evict(customerId: string | null): Promise<void>
  hear(message: Extract<FleetMessage, { kind: 'evicted' }>): void
  /** Finds out whether anything was missed. Resolves to `lost` when Redis has forgotten what it knew. */
  catchUp(): Promise<'current' | 'lost'>
}

export type EvictionDeps = {
  readonly vault: () => Vault
  readonly channel: string
  /** `null`: every customer, or nobody knows which. */
  readonly onEvicted: (customerId: string | null) => void
  readonly log: Log
  readonly uptime: () => number
}

const EVERYBODY = '*'
/** Nobody can go on without an eviction as without a cache, so a moment's trouble is waited out. */
const ATTEMPTS = 3
const PAUSE_MS = 200
const CUSTOMER_PLACE = `${FORMAT} evicted`
/** A Redis that knew nothing was given this; not the mark of an eviction. */
const isBeginning = (epoch: string) => epoch.startsWith('i.')
const randomWord = () => randomBytes(9).toString('base64url')
const EpochReply = z.tuple([z.string(), z.number(), z.number()])

/**
 * Evictions reach every replica by message, and an epoch in Redis changes with each: a replica that was
 * cut off sees it has changed, and forgets everything rather than guess what it missed.
 *
 * An epoch that is simply gone (a flush, a restart without persistence) is no eviction. What a replica
 * holds stays good, and what Redis lost is put back.
 */
export function createEvictions(link: RedisLink, deps: EvictionDeps): Evictions {
  const { vault, channel, onEvicted, log, uptime } = deps
  const startedAt = uptime()
  const epochKey = link.key(`${FORMAT}:epoch`)
  let last: string | undefined
  let heard = 0

  const wipe = (key: string) => link.run((redis) => evictScript(redis, key))

  async function wipeAll(): Promise<void> {
    const nodes = await link.run(async (redis) =>
      'nodes' in redis ? redis.nodes('master') : [redis],
    )
    for (const node of nodes) {
      let cursor = '0'
      do {
        const [next, keys] = await link.run(() => scan(node, cursor))
        await Promise.all(keys.map(wipe))
        cursor = next
      } while (cursor !== '0')
    }
  }

  const scan = (node: Redis, cursor: string) =>
    node.scan(cursor, 'MATCH', `${link.key(`${FORMAT}:`)}{*`, 'COUNT', 200)

  async function announce(customerId: string | null): Promise<void> {
    const { names, sealer } = vault()
    if (customerId === null) await wipeAll()
    else await wipe(link.key(`${FORMAT}:{${names.customer(customerId)}}`))
    const whom = customerId === null ? EVERYBODY : sealer.seal(CUSTOMER_PLACE, customerId)
    await link.run((redis) => announceScript(redis, epochKey, randomWord(), channel, whom))
  }

  return {
    async evict(customerId) {
      for (let attempt = 1; ; attempt++) {
        try {
          await announce(customerId)
          return
        } catch (cause) {
          if (attempt < ATTEMPTS) await setTimeout(PAUSE_MS)
          else
            throw new BrokerError('cache_unavailable', 'not every replica could be told', {
              cause,
              retryAfterMs: 1_000,
            })
        }
      }
    },

    hear({ before, epoch, whom }) {
      heard++
      const missedNone = last === undefined || last === before
      last = epoch
      const customerId = whom === EVERYBODY ? null : vault().sealer.open(CUSTOMER_PLACE, whom)
      onEvicted(missedNone ? customerId : null)
    },

    async catchUp() {
      const heardBefore = heard
      const reply = await link.run((redis) => epochScript(redis, epochKey, randomWord()))
      const [epoch, began, evictedSecondsAgo] = EpochReply.parse(reply)
      // What came by message meanwhile is newer than what was read.
      if (heard !== heardBefore) return 'current'
      const known = last
      last = epoch
      if (known === undefined) {
        const ageSeconds = (uptime() - startedAt) / 1_000
        if (evictedSecondsAgo >= 0 && evictedSecondsAgo <= ageSeconds + 1) onEvicted(null)
      } else if (known !== epoch && !isBeginning(epoch)) {
        log.info({}, 'an eviction was missed: forgetting all tokens in memory')
        onEvicted(null)
      }
      return began === 1 || (known !== undefined && known !== epoch && isBeginning(epoch))
        ? 'lost'
        : 'current'
    },
  }
}
