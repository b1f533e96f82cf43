import type { Log } from '../log.ts'
import type { ClockWatch } from './clock-skew.ts'
import { createDeadline, type Sleep } from './deadline.ts'
import { ExchangeFailure, type ExchangeOutcome, outcomeOf } from './exchange-failure.ts'
import { type ExchangedToken, exchangedToken } from './exchange-replies.ts'
import { exchangeRequest } from './exchange-requests.ts'
import { CallFailure, type HttpCalls, type Reply } from './http-calls.ts'
import { SHORTEST_LIFE_MS } from './lifetimes.ts'
import { namedPauseMs } from './named-pause.ts'
import { replyText } from './reply-text.ts'
import type { ClientCredential, ExchangeSettings } from './settings.ts'

export type ExchangeDeps = {
  readonly log: Log
  readonly now: () => number
  readonly random: () => number
  readonly sleep: Sleep
  readonly http: HttpCalls
  readonly clocks: ClockWatch
  readonly timeoutMs: number
  readonly organizationId: string | null
  readonly onExchange: (outcome: ExchangeOutcome) => void
}

const TRIES = 3
const FIRST_BACKOFF_MS = 200

export type Exchanged = ExchangedToken & { readonly credential: ClientCredential }

/** Gets one org token: over the places it may be had at, the credentials there are, and a bounded number of tries. */
export function createExchange(
  settings: ExchangeSettings,
  deps: ExchangeDeps,
  closed: AbortSignal,
) {
  const { log, now } = deps
  /** Which of the places is asked first: the one that there was an exchange at the last time. */
  let place = 0
  let usedPrevious = false

  async function once(credential: ClientCredential): Promise<ExchangedToken | ExchangeFailure> {
    const url = settings.tokenUrls[place] ?? settings.tokenUrls[0]
    const deadline = createDeadline(deps.timeoutMs)
    const { organizationId } = deps
    try {
      const call = await exchangeRequest(settings, { url, credential, organizationId })
      return read(await deps.http.call(call, deadline), credential)
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error
      const { kind, code } = error
      if (!closed.aborted)
        log.warn({ failure: kind, reason: code }, 'the token exchange gave no usable reply')
      const outcome = kind === 'network' ? 'unavailable' : kind === 'timeout' ? kind : 'invalid'
      return new ExchangeFailure(outcome, null, null)
    } finally {
      deadline.clear()
    }
  }

  function read(reply: Reply, credential: ClientCredential): ExchangedToken | ExchangeFailure {
    const { status } = reply
    if (status < 200 || status > 299) {
      const upstreamSays = replyText(reply.text, [credential.clientSecret, credential.clientId])
      log.warn({ status, upstreamSays }, 'the token exchange refused')
      return new ExchangeFailure(outcomeOf(status), status, namedPauseMs(reply, now()))
    }
    const token = exchangedToken(reply)
    if (token === null) {
      log.warn({ status }, 'the token exchange answered something that is not a bearer token')
      return new ExchangeFailure('invalid', status, null)
    }
    if (token.expiresAt !== null && token.expiresAt - token.receivedAt < SHORTEST_LIFE_MS) {
      const clockSkewSeconds = deps.clocks.noticedSeconds()
      log.warn({ clockSkewSeconds }, 'the org token arrived expired: is this clock right?')
      return new ExchangeFailure('invalid', status, null)
    }
    return token
  }

  function waitBeforeRetry(failure: ExchangeFailure, tries: number): number | null {
    if (tries >= TRIES) return null
    const backoff = FIRST_BACKOFF_MS * 2 ** (tries - 1) * (0.5 + deps.random())
    if (failure.outcome === 'unavailable' || failure.outcome === 'timeout') return backoff
    // Without a named time a retry is not wanted; with a distant one it is the next exchange's.
    const named = failure.outcome === 'rate_limited' ? failure.retryAfterMs : null
    return named !== null && named < deps.timeoutMs ? Math.max(named, backoff) : null
  }

  async function persistently(
    credential: ClientCredential,
  ): Promise<ExchangedToken | ExchangeFailure> {
    for (let tries = 1, misses = 0; ; ) {
      const result = await once(credential)
      if (!(result instanceof ExchangeFailure)) {
        deps.onExchange(credential === settings.credentials[0] ? 'ok' : 'ok_previous')
        return result
      }
      deps.onExchange(result.outcome)
      if (result.outcome === 'misplaced' && ++misses < settings.tokenUrls.length) {
        place = (place + 1) % settings.tokenUrls.length
        continue
      }
      const wait = waitBeforeRetry(result, tries++)
      if (wait === null || closed.aborted) return result
      await deps.sleep(wait, closed).catch(() => undefined)
    }
  }

  return {
    /** @throws ExchangeFailure */
    async run(): Promise<Exchanged> {
      let firstFailure: ExchangeFailure | undefined
      for (const credential of settings.credentials) {
        if (credential === undefined) continue
        const result = await persistently(credential)
        if (!(result instanceof ExchangeFailure)) {
          logCredential(firstFailure !== undefined)
          return { ...result, credential }
        }
        firstFailure ??= result
        if (result.outcome !== 'rejected' && result.status !== 500) break
      }
      throw firstFailure ?? new ExchangeFailure('rejected', null, null)
    },
  }

  function logCredential(previous: boolean): void {
    if (previous === usedPrevious) return
    usedPrevious = previous
    if (previous) log.warn({}, 'the credential was refused, and the previous one is in use')
    else log.info({}, 'the credential is in use, and the previous one no longer needed')
  }
}
