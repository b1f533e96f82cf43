import type { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Breaker } from './breaker.ts'
import { callError, outcomeFields, UNNAMED_PAUSE_MS } from './call-errors.ts'
import type { Deadline, Sleep } from './deadline.ts'
import type { Gate } from './gate.ts'
import { type Call, CallFailure, type HttpCalls, type Reply } from './http-calls.ts'
import { namedPauseMs } from './named-pause.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { Urgency } from './upstream.ts'

/** What is being done, for whom, and how long it may take. */
export type Work = {
  readonly deadline: Deadline
  readonly urgency: Urgency
  /** Whose failures are counted together by the circuit breaker. */
  readonly subject: string
  /** For the log. */
  readonly about: Readonly<Record<string, unknown>>
  /** What must not show up in the log, whatever the upstream says. */
  readonly secrets: readonly string[]
}

export type ApiDeps = {
  readonly log: Log
  readonly now: () => number
  readonly random: () => number
  readonly sleep: Sleep
  readonly http: HttpCalls
  readonly gate: Gate
  readonly breaker: Breaker
  readonly budget: RetryBudget
}

const FIRST_BACKOFF_MS = 150

/**
 * One request to the API that mints, with what can be saved by asking again already asked again. Replies
 * that tell something about the request itself (2xx, 3xx, 4xx) are returned, the rest is thrown.
 */
export function createApiCalls(deps: ApiDeps) {
  const { log, now, gate, breaker, budget } = deps

  async function once(call: Call, work: Work): Promise<Reply | CallFailure> {
    try {
      return await gate.run(work.urgency, work.deadline, () =>
        breaker.run(work.subject, () => {
          budget.called()
          return deps.http.call(call, work.deadline)
        }),
      )
    } catch (error) {
      if (error instanceof CallFailure) return error
      throw error
    }
  }

  /** Milliseconds to wait before another try, or `null`: no use, or not wanted. */
  function waitBeforeRetry(outcome: Reply | CallFailure, tries: number, work: Work): number | null {
    if (work.urgency === 'background') return null
    if (outcome instanceof CallFailure && outcome.kind !== 'network') return null

    const status = outcome instanceof CallFailure ? 0 : outcome.status
    const named = outcome instanceof CallFailure ? null : namedPauseMs(outcome, now())
    if (status === 429 && named === null) return null
    if (tries > (status === 500 || status === 429 ? 1 : 2)) return null

    const backoff = FIRST_BACKOFF_MS * 2 ** (tries - 1) * (0.5 + deps.random())
    const wait = Math.max(backoff, named ?? 0)
    return wait < work.deadline.remainingMs() && budget.take() ? wait : null
  }

  function failed(outcome: Reply | CallFailure, work: Work): BrokerError {
    const fields = { ...work.about, ...outcomeFields(outcome, work.secrets) }
    const [message, error] = callError(outcome, now())
    log.warn(fields, message)
    return error
  }

  return {
    /**
     * @throws BrokerError `upstream_unavailable`, `upstream_timeout`, `upstream_rate_limited`,
     * `upstream_invalid`, `overloaded`
     */
    async send(call: Call, work: Work): Promise<Reply> {
      for (let tries = 1; ; tries++) {
        const outcome = await once(call, work)
        const isPause = !(outcome instanceof CallFailure) && outcome.status === 429
        if (isPause) {
          gate.pauseFor(namedPauseMs(outcome, now()) ?? UNNAMED_PAUSE_MS)
        } else if (!(outcome instanceof CallFailure) && outcome.status < 500) return outcome

        const wait = waitBeforeRetry(outcome, tries, work)
        if (wait === null) throw failed(outcome, work)
        log.debug(
          {
            ...work.about,
            ...outcomeFields(outcome, work.secrets),
            waitMs: Math.round(wait),
            tries,
          },
          'asking the upstream again',
        )
        // A pause is waited out at the gate, together with everybody else.
        if (!isPause) await deps.sleep(wait, work.deadline.signal).catch(() => undefined)
      }
    },
  }
}

export type ApiCalls = ReturnType<typeof createApiCalls>
