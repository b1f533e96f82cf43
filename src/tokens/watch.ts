import type { BrokerError } from '../errors.ts'
import type { CacheName } from './cache-key.ts'

/** Somebody who waits for news of a customer's mints. */
export type Watch = {
  /** Resolves with the next news since the last look, which may have come already, or after the time. */
  news(withinMs: number): Promise<void>
  /** The mint that was waited for has failed. */
  readonly failure: BrokerError | null
  close(): void
}

export type Watches = {
  open(name: CacheName): Watch
  /** `failure` is for those who wait for the same variant. */
  tell(name: CacheName, failure: BrokerError | null): void
}

type Watcher = { readonly variant: string; heard(failure: BrokerError | null): void }

export function createWatches(): Watches {
  const watchers = new Map<string, Set<Watcher>>()

  return {
    open(name) {
      let isNew = false
      let failure: BrokerError | null = null
      let wake: (() => void) | undefined
      const watcher: Watcher = {
        variant: name.variant,
        heard(told) {
          isNew = true
          failure = told
          wake?.()
        },
      }
      const ofCustomer = watchers.get(name.customer) ?? new Set()
      watchers.set(name.customer, ofCustomer.add(watcher))

      return {
        get failure() {
          return failure
        },
        async news(withinMs) {
          if (!isNew) {
            const { promise, resolve } = Promise.withResolvers<void>()
            wake = resolve
            const timer = setTimeout(resolve, withinMs)
            await promise
            clearTimeout(timer)
            wake = undefined
          }
          isNew = false
        },
        close() {
          ofCustomer.delete(watcher)
          if (ofCustomer.size === 0) watchers.delete(name.customer)
        },
      }
    },

    tell(name, failure) {
      for (const watcher of watchers.get(name.customer) ?? [])
        watcher.heard(watcher.variant === name.variant ? failure : null)
    },
  }
}
