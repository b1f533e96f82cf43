import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import { CallFailure, type Reply } from './http-calls.ts'

const OPENS_AFTER = 5
const PAUSE_MS = 5_000

/** Carries what counts as a failure through the circuit breaker, and out again. */
class CountedFailure extends Error {
  readonly result: Reply | CallFailure
  constructor(result: Reply | CallFailure) {
    super('counted against the upstream')
    this.result = result
  }
}

/**
 * Fails at once while the upstream is down. One customer whose mints fail for good (which this API has
 * known) must not close the door for all: a 500 or a hang counts once per subject between two successes,
 * while what no single customer can cause counts every time.
 */
export function createBreaker(deps: { readonly log: Log; readonly now: () => number }) {
  const failedSubjects = new Set<string>()
  let openedAt = 0
  const circuit = circuitBreaker(
    handleWhen((error) => error instanceof CountedFailure),
    { breaker: new ConsecutiveBreaker(OPENS_AFTER), halfOpenAfter: PAUSE_MS },
  )
  circuit.onBreak(() => {
    openedAt = deps.now()
    failedSubjects.clear()
    deps.log.warn({ pauseMs: PAUSE_MS }, 'the upstream is down: not asking it for a while')
  })
  circuit.onReset(() => deps.log.info({}, 'the upstream is back'))

  function counts(result: Reply | CallFailure, subject: string): boolean {
    if (result instanceof CallFailure) {
      if (result.kind === 'network') return true
      if (result.kind === 'too_large') return false
    } else if (result.status < 500) return false
    else if (result.status !== 500) return true

    const first = !failedSubjects.has(subject)
    if (failedSubjects.size < 1000) failedSubjects.add(subject)
    // While it is only being tried out, whoever fails keeps it shut.
    return first || circuit.state === CircuitState.HalfOpen
  }

  async function attempt(subject: string, call: () => Promise<Reply>): Promise<Reply> {
    const result = await call().catch((error: unknown) => {
      if (error instanceof CallFailure) return error
      throw error
    })
    if (counts(result, subject)) throw new CountedFailure(result)
    if (result instanceof CallFailure) throw result
    if (result.status < 500) failedSubjects.clear()
    else throw new UncountedFailure(result)
    return result
  }

  return {
    /**
     * @throws CallFailure
     * @throws BrokerError `upstream_unavailable`, without calling, while the circuit is open
     */
    async run(subject: string, call: () => Promise<Reply>): Promise<Reply> {
      // Others do not queue behind the one that tries whether the upstream is back.
      if (circuit.state === CircuitState.HalfOpen) throw closedDoor()
      try {
        return await circuit.execute(() => attempt(subject, call))
      } catch (error) {
        if (error instanceof UncountedFailure) return error.reply
        if (error instanceof CallFailure || error instanceof BrokerError) throw error
        if (!(error instanceof CountedFailure)) throw closedDoor()
        if (error.result instanceof CallFailure) throw error.result
        return error.result
      }
    },
  }

  function closedDoor(): BrokerError {
    return new BrokerError('upstream_unavailable', 'the token service is down', {
      cause: new Error('the circuit breaker is open'),
      retryAfterMs: Math.min(Math.max(openedAt + PAUSE_MS - deps.now(), 1000), PAUSE_MS),
    })
  }
}

/** A 500 of a customer that has failed before: neither a success nor news. */
class UncountedFailure extends Error {
  readonly reply: Reply
  constructor(reply: Reply) {
    super('counted before')
    this.reply = reply
  }
}

export type Breaker = ReturnType<typeof createBreaker>
