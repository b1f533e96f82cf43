import type { BrokerError } from '../errors.ts'
import { createExchange, type ExchangeDeps, type Exchanged } from './exchange.ts'
import { ExchangeFailure, exchangeError, needsOperator, restAfter } from './exchange-failure.ts'
import { exchangeHint } from './org-token-hints.ts'
import type { ExchangeSettings } from './settings.ts'

export type RenewalDeps = ExchangeDeps & {
  readonly onExchanged: (exchanged: Exchanged) => void
  readonly onFailed: () => void
}

/** Why there was no org token the last time, and until when nobody need ask again. */
type Trouble = { readonly failure: ExchangeFailure; readonly retryAt: number }

/**
 * Gets org tokens, one exchange at a time. After a failure it tries again by itself, with ever longer
 * rests, until it succeeds: a broker that is not ready is not asked anything.
 */
export function createRenewal(initial: ExchangeSettings, deps: RenewalDeps) {
  const { log, now } = deps
  const closed = new AbortController()
  let settings = initial
  let exchange = createExchange(settings, deps, closed.signal)
  let trouble: Trouble | null = null
  let failuresInRow = 0
  let flight: Promise<void> | null = null
  let retryTimer: NodeJS.Timeout | undefined

  function run(): Promise<void> {
    flight ??= once().finally(() => {
      flight = null
    })
    return flight
  }

  async function once(): Promise<void> {
    clearTimeout(retryTimer)
    for (;;) {
      const asked = exchange
      const result = await asked.run().catch(failureOf)
      if (closed.signal.aborted) return
      const failed = result instanceof ExchangeFailure
      // If the credentials have changed meanwhile, what came of the old ones no longer matters.
      if (asked !== exchange && (failed || !isOurs(result))) continue
      if (failed) restAndRetry(result)
      else succeed(result)
      return
    }
  }

  /** An unforeseen one may be about a credential that cannot be put into a request, and quote it. */
  function failureOf(error: unknown): ExchangeFailure {
    if (error instanceof ExchangeFailure) return error
    const errorName = error instanceof Error ? error.name : typeof error
    log.error({ errorName }, 'the exchange broke')
    return new ExchangeFailure('invalid', null, null)
  }

  function succeed(exchanged: Exchanged): void {
    trouble = null
    failuresInRow = 0
    deps.onExchanged(exchanged)
  }

  function restAndRetry(failure: ExchangeFailure): void {
    failuresInRow++
    const wait = restAfter(failure, failuresInRow, deps.random())
    trouble = { failure, retryAt: now() + wait }
    const fields = { outcome: failure.outcome, retryInSeconds: Math.ceil(wait / 1000) }
    const hint = exchangeHint(settings.source, failure)
    if (needsOperator(failure)) log.error(fields, hint)
    else log.warn(fields, hint)
    deps.onFailed()

    retryTimer = setTimeout(() => void run(), wait)
    retryTimer.unref()
  }

  const isOurs = ({ credential }: Exchanged): boolean =>
    settings.credentials.some(
      (ours) =>
        ours?.clientId === credential.clientId && ours.clientSecret === credential.clientSecret,
    )

  return {
    /** Joins the exchange that is under way, or starts one. Never rejects: how it went is told by the others. */
    run,
    /** Whether it has failed so lately that asking again would only add to the trouble. */
    isResting: (): boolean => flight === null && trouble !== null && now() < trouble.retryAt,
    /** For a caller, if there is trouble. */
    error: (): BrokerError | null =>
      trouble && exchangeError(trouble.failure, Math.max(trouble.retryAt - now(), 1000)),
    /** Fixed words that name the settings to look at. */
    detail: (): string | null => trouble && exchangeHint(settings.source, trouble.failure),
    isOurs,
    settings: () => settings,
    reload(next: ExchangeSettings): void {
      settings = next
      exchange = createExchange(settings, deps, closed.signal)
      clearTimeout(retryTimer)
      trouble = null
      failuresInRow = 0
    },
    close(): void {
      closed.abort()
      clearTimeout(retryTimer)
    },
  }
}
