import type { LocalJWKSet } from 'jose'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { FetchKeys } from './key-source.ts'

/** From this age on the keys are fetched anew, so that one that was withdrawn stops to count. */
const FRESH_MS = 10 * 60_000
/** Tokens with key ids that nobody knows cost the identity provider one call per this time at most. */
const COOL_DOWN_MS = 10_000
/** While there are no keys at all, every caller waits for them, so the next try comes sooner. */
const RETRY_MS = 1000

export type KeySetDeps = { readonly log: Log; readonly now: () => number }

export type KeySet = {
  /** @throws BrokerError `caller_check_unavailable`, while no keys have ever been had */
  current(): Promise<LocalJWKSet>
  /**
   * A set fetched after this one, for a token whose key is not in it; `undefined` while that was tried too
   * lately. @throws BrokerError `caller_check_unavailable`, when nobody can tell whether there is one
   */
  after(keys: LocalJWKSet): Promise<LocalJWKSet | undefined>
}

/** Holds the identity provider's keys. Old keys are kept while it is away: callers known by them are not locked out. */
export function createKeySet(fetchKeys: FetchKeys, { log, now }: KeySetDeps): KeySet {
  let keys: LocalJWKSet | undefined
  let fetchedAt = 0
  let failedAt: number | undefined
  let soughtAt: number | undefined
  let underWay: Promise<LocalJWKSet> | undefined

  // A clock that was set back must not stretch a pause.
  const within = (since: number | undefined, ms: number) =>
    since !== undefined && now() >= since && now() - since < ms

  async function load(): Promise<LocalJWKSet> {
    try {
      keys = await fetchKeys()
      fetchedAt = now()
      failedAt = undefined
      return keys
    } catch (cause) {
      failedAt = now()
      log.warn(
        { err: cause, keysKept: keys !== undefined },
        'the key set for JWTs cannot be fetched',
      )
      throw unavailable(keys ? COOL_DOWN_MS : RETRY_MS, cause)
    }
  }

  function fetched(): Promise<LocalJWKSet> {
    underWay ??= load().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  return {
    async current() {
      if (keys === undefined) {
        if (!underWay && within(failedAt, RETRY_MS)) throw unavailable(RETRY_MS)
        return fetched()
      }
      const kept = keys
      if (within(fetchedAt, FRESH_MS)) return kept
      if (failedAt === undefined) return fetched().catch(() => kept)
      // It is known to be away: nobody waits for the next try.
      if (!within(failedAt, COOL_DOWN_MS)) fetched().catch(() => undefined)
      return kept
    },

    async after(older) {
      if (keys !== undefined && keys !== older) return keys
      if (!underWay && within(soughtAt, COOL_DOWN_MS)) {
        if (failedAt === undefined) return undefined
        throw unavailable(COOL_DOWN_MS)
      }
      soughtAt = now()
      return fetched()
    },
  }
}

const unavailable = (retryAfterMs: number, cause?: unknown) =>
  new BrokerError('caller_check_unavailable', 'the keys for tokens are out of reach', {
    retryAfterMs,
    cause,
  })
