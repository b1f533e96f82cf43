import { randomBytes } from 'node:crypto'
import type { RedisLink } from '../redis/link.ts'
import { type CacheName, FORMAT } from './cache-key.ts'
import type { Evictions } from './eviction.ts'
import type { MemoryCache } from './memory-cache.ts'
import { type FleetMessage, freedMessage, parseMessage, storedMessage } from './messages.ts'
import type { Kept, Vault } from './redis-cache.ts'
import { openToken } from './sealed-token.ts'
import type { Watches } from './watch.ts'

export type News = {
  stored(name: CacheName, stamp: string, kept: Kept): void
  /** A mint has ended without a token that others could have. */
  freed(name: CacheName, failure: unknown): void
}

export type NewsDeps = {
  readonly vault: () => Vault
  readonly memory: MemoryCache
  readonly watches: Watches
  readonly evictions: Evictions
  /** Messages may have been missed. */
  readonly onGap: () => void
}

export const newsChannel = (link: RedisLink) => link.key(`${FORMAT}:news`)

/** What this replica tells the others of its mints, and what it makes of theirs. */
export function createNews(link: RedisLink, deps: NewsDeps): News {
  const { vault, memory, watches, evictions, onGap } = deps
  const channel = newsChannel(link)
  const from = randomBytes(6).toString('base64url')

  /** Nobody waits for it: whoever misses the message polls. */
  function say(message: string, name: CacheName): void {
    watches.tell(name, null)
    link.run((redis) => redis.publish(channel, message)).catch(() => {})
  }

  function hear(message: FleetMessage): void {
    switch (message.kind) {
      case 'evicted':
        evictions.hear(message)
        break
      case 'freed':
        watches.tell(message.name, message.failure)
        break
      case 'stored':
        if (message.from !== from) replace(message)
        watches.tell(message.name, null)
    }
  }

  /** A token that was renewed elsewhere takes the place of the one held here, if one is. */
  function replace({ name, sealed, stamp, keptForMs }: Extract<FleetMessage, { kind: 'stored' }>) {
    const placed = openToken(vault().sealer, name, sealed)
    if (placed === null) return
    const { customerId, variant, token } = placed
    const held = memory.peek(customerId, variant)
    // A message may be overtaken by an eviction and the mint after it.
    if (held !== undefined && held.hit.token.receivedAt < token.receivedAt)
      memory.put(customerId, variant, token, stamp, keptForMs)
  }

  link.subscribe(channel, (text) => {
    const message = text === null ? null : parseMessage(text)
    if (text === null) onGap()
    else if (message !== null) hear(message)
  })

  return {
    stored: (name, stamp, kept) =>
      say(storedMessage({ kind: 'stored', from, name, stamp, ...kept }), name),
    freed: (name, failure) => say(freedMessage(name, failure), name),
  }
}
