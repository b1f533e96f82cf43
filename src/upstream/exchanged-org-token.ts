import { isDeepStrictEqual } from 'node:util'
import { BrokerError } from '../errors.ts'
import { orAborted } from './deadline.ts'
import { createExchange, type ExchangeDeps, type Exchanged } from './exchange.ts'
import { ExchangeFailure, exchangeError, needsOperator, restAfter } from './exchange-failure.ts'
import { type HeldToken, heldToken } from './held-token.ts'
import { ASSUMED_LIFE_MS } from './lifetimes.ts'
import type { OrgToken } from './org-token.ts'
import { exchangeHint } from './org-token-hints.ts'
import type { ExchangeSettings } from './settings.ts'

type Trouble = { readonly failure: ExchangeFailure; readonly retryAt: number }

export type ExchangedTokenDeps = ExchangeDeps & {
  readonly onOrgToken: (expiresAt: number | null) => void
}

const UNPROVEN_FOR_MS = 10_000

/**
 * An org token that credentials are exchanged for. It is renewed ahead of its end, one exchange at a time,
 * when somebody asks for it; only after a failure it is tried again unasked, for a broker that is not
 * ready is not asked anything.
 */
export function createExchangedOrgToken(
  initial: ExchangeSettings,
  deps: ExchangedTokenDeps,
): OrgToken {
  const { log, now } = deps
  const closed = new AbortController()
  let settings = initial
  let exchange = createExchange(settings, deps, closed.signal)
  let current: HeldToken | null = null
  let trouble: Trouble | null = null
  let failuresInRow = 0
  let refusedOne = false
  let proven = false
  let hadOne = false
  let flight: Promise<void> | null = null
  let retryTimer: NodeJS.Timeout | undefined

  const usable = () => (current !== null && now() < current.endsAt ? current : null)

  function renew(): Promise<void> {
    flight ??= renewOnce().finally(() => {
      flight = null
    })
    return flight
  }

  /** Never rejects: how it went is told by `current` and `trouble`. */
  async function renewOnce(): Promise<void> {
    clearTimeout(retryTimer)
    for (;;) {
      const asked = exchange
      try {
        const exchanged = await asked.run()
        if (closed.signal.aborted) return
        if (asked === exchange || stillOurs(exchanged)) return keep(exchanged)
      } catch (error) {
        if (closed.signal.aborted) return
        const failure = error instanceof ExchangeFailure ? error : unforeseen(error)
        if (asked === exchange) return retryLater(failure)
      }
      // The credentials have changed meanwhile: what came of the old ones no longer matters.
    }
  }

  /** Such as a credential that cannot be put into a request. Its message may quote what it is about. */
  function unforeseen(error: unknown): ExchangeFailure {
    log.error(
      { errorName: error instanceof Error ? error.name : typeof error },
      'the exchange broke',
    )
    return new ExchangeFailure('invalid', null, null)
  }

  function keep(exchanged: Exchanged): void {
    current = heldToken(exchanged, refusedOne, deps.random())
    refusedOne = false
    proven = false
    hadOne = true
    trouble = null
    failuresInRow = 0
    deps.onOrgToken(exchanged.expiresAt)
    const assumedSeconds = ASSUMED_LIFE_MS.org / 1000
    if (exchanged.expiresAt === null) {
      log.warn(
        { assumedSeconds },
        'nothing tells how long the org token lives: assuming the shortest seen',
      )
    } else {
      log.info({ expiresAt: new Date(exchanged.expiresAt).toISOString() }, 'got an org token')
    }
  }

  function retryLater(failure: ExchangeFailure): void {
    failuresInRow++
    const wait = restAfter(failure, failuresInRow, deps.random())
    trouble = { failure, retryAt: now() + wait }
    const fields = { outcome: failure.outcome, retryInSeconds: Math.ceil(wait / 1000) }
    const hint = exchangeHint(settings.source, failure)
    if (needsOperator(failure)) log.error(fields, hint)
    else log.warn(fields, hint)
    if (usable() === null) deps.onOrgToken(null)

    retryTimer = setTimeout(() => void renew(), wait)
    retryTimer.unref()
  }

  const stillOurs = ({ credential }: Exchanged) =>
    settings.credentials.some(
      (ours) =>
        ours?.clientId === credential.clientId && ours.clientSecret === credential.clientSecret,
    )

  const troubleError = ({ failure, retryAt }: Trouble) =>
    exchangeError(failure, Math.max(retryAt - now(), 1000))

  async function get(signal: AbortSignal): Promise<string> {
    const resting = flight === null && trouble !== null && now() < trouble.retryAt
    const held = usable()
    if (held !== null) {
      if (now() >= held.renewAt && !resting) void renew()
      return held.token
    }
    if (resting && trouble !== null) throw troubleError(trouble)

    await orAborted(renew(), signal).catch(() => {
      throw new BrokerError('upstream_timeout', 'the token service did not answer in time', {
        cause: new Error('waited for an org token'),
      })
    })
    const fresh = usable()
    if (fresh !== null) return fresh.token
    throw trouble === null ? closing() : troubleError(trouble)
  }

  return {
    start: () => void renew(),
    get: (deadline) => get(deadline.signal),
    async refused(token, deadline) {
      // A newer one than the refused one is not thrown away with it.
      if (current !== null && current.token === token) {
        const unproven = current.replacesRefused && !proven
        if (unproven && now() - current.receivedAt < UNPROVEN_FOR_MS) {
          throw new BrokerError('upstream_rejected', 'the token service refused our credential', {
            cause: new Error('the API refuses even an org token that the exchange has just issued'),
          })
        }
        log.warn({}, 'the API refused the org token: getting another one')
        current = null
        refusedOne = true
      }
      return get(deadline.signal)
    },
    accepted(token) {
      if (current?.token === token) proven = true
    },
    status() {
      const held = usable()
      if (held !== null) return { state: 'ok', expiresAt: held.expiresAt, detail: null }
      if (trouble !== null) {
        const detail = exchangeHint(settings.source, trouble.failure)
        return { state: 'failing', expiresAt: null, detail }
      }
      // One that has ended while nobody asked, or was dropped, is had again by whoever asks next.
      const state = hadOne ? 'ok' : 'starting'
      return { state, expiresAt: current?.expiresAt ?? null, detail: null }
    },
    reload(next) {
      if (next.source === 'static') return false
      if (isDeepStrictEqual(next, settings)) return true
      settings = next
      exchange = createExchange(settings, deps, closed.signal)
      if (current !== null && !stillOurs(current)) {
        log.info({}, 'the credential of the org token is gone, and the token with it')
        current = null
      }
      trouble = null
      failuresInRow = 0
      if (current === null) void renew()
      return true
    },
    close() {
      closed.abort()
      clearTimeout(retryTimer)
    },
  }
}

const closing = () => new BrokerError('draining', 'the service is stopping')
