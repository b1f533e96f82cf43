import { type AnnouncementDeps, createAnnouncements } from './announcements.ts'
import {
  createClient,
  createMessageConnection,
  type RedisSettings,
  reconnectPauseMs,
} from './client.ts'
import type { RedisClient, RedisLink } from './link.ts'
import { createPatience, NoAnswerError } from './patience.ts'
import { isRefusal } from './replies.ts'
import { createSubscriber } from './subscriber.ts'

export type ReloadableRedisLink = RedisLink & {
  /** Goes over to new settings, such as a changed password, once a connection by them stands. */
  reload(settings: RedisSettings): void
}

class RedisAwayError extends Error {
  override readonly name = 'RedisAwayError'
}

/**
 * `starting` until the first attempt to connect has succeeded or failed: not known to be away, so calls
 * wait for it as they would for an answer. `silent`: connected, and does not answer. `refusing`: answers
 * that it is in no state to serve.
 */
type State = 'starting' | 'up' | 'away' | 'silent' | 'refusing' | 'closed'

const PROBE_AFTER_MS = 250
const DEFAULT_COMMAND_TIMEOUT_MS = 100

export function createRedisLink(
  initial: RedisSettings,
  deps: AnnouncementDeps,
): ReloadableRedisLink {
  const announcements = createAnnouncements(deps)
  let settings = initial
  const within = createPatience(settings.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS)
  const { promise: started, resolve: start } = Promise.withResolvers<void>()
  let state: State = 'starting'
  let probeTimer: NodeJS.Timeout | undefined
  /** By new settings, and not ready yet. */
  let successor: RedisClient | undefined
  let client = open(settings)
  const subscriber = createSubscriber(
    () => createMessageConnection(settings, client),
    announcements.refused,
  )

  function open(by: RedisSettings): RedisClient {
    const mine = createClient(by)
    mine.on('ready', () => {
      if (mine === successor) takeOver(mine, by)
      if (mine === client) become('up')
    })
    mine.on('error', (error) => {
      if (mine === client) become('away', error)
    })
    mine.on('close', () => {
      if (mine === client) become('away')
    })
    // A failover that is announced while the library connects makes it give up for good.
    mine.on('end', () => {
      const again = () => {
        if (state !== 'closed' && (mine === client || mine === successor)) connect(mine)
      }
      setTimeout(again, reconnectPauseMs(1)).unref()
    })
    connect(mine)
    return mine
  }

  function connect(mine: RedisClient): void {
    mine.connect().catch(() => {})
  }

  function takeOver(fresh: RedisClient, by: RedisSettings): void {
    const old = client
    client = fresh
    settings = by
    successor = undefined
    old.quit().catch(() => {})
    subscriber.restart()
  }

  function become(next: State, reason?: unknown): void {
    if (state === 'closed' || state === next) return
    state = next
    start()
    clearTimeout(probeTimer)
    if (next === 'silent') void probe()
    if (next === 'refusing') probeTimer = setTimeout(probe, PROBE_AFTER_MS).unref()
    if (next === 'up') announcements.up()
    else announcements.away(next, reason)
  }

  /** A write, because a server may answer and still not take any. Unlimited: its answer is the news. */
  async function probe(): Promise<void> {
    const asked = client
    const during = state
    try {
      await asked.set(`${settings.keyPrefix}probe`, '1', 'PX', 1_000)
      if (asked === client && state === during) become('up')
    } catch (error) {
      if (asked !== client || state !== during) return
      if (isRefusal(error)) state = 'refusing'
      probeTimer = setTimeout(probe, PROBE_AFTER_MS).unref()
    }
  }

  async function run<T>(work: (redis: RedisClient) => Promise<T>): Promise<T> {
    if (state === 'starting') await within(started)
    if (state !== 'up') throw new RedisAwayError('Redis is known to be away')
    const asked = client
    try {
      return await within(work(asked))
    } catch (error) {
      if (asked === client && state === 'up') {
        if (error instanceof NoAnswerError) become('silent', error)
        else if (isRefusal(error)) become('refusing', error)
        else announcements.refused(error)
      }
      throw error
    }
  }

  return {
    run,
    get up() {
      return state === 'up'
    },
    key: (name) => settings.keyPrefix + name,
    subscribe: (channel, listener) => subscriber.add(channel, listener),

    reload(next) {
      successor?.disconnect()
      successor = open(next)
    },

    async close() {
      state = 'closed'
      clearTimeout(probeTimer)
      announcements.close()
      subscriber.close()
      successor?.disconnect()
      client.disconnect()
    },
  }
}
