import { BrokerError } from '../errors.ts'
import { CallFailure, type Reply } from './http-calls.ts'
import { namedPauseMs } from './named-pause.ts'
import { replyText } from './reply-text.ts'

/** When a 429 names no time; it also means that a retry is not wanted. */
export const UNNAMED_PAUSE_MS = 1_000
const RETRY_LATER_MS = 2_000

/** What there is to log about a call that brought nothing. */
export function outcomeFields(outcome: Reply | CallFailure, secrets: readonly string[]) {
  return outcome instanceof CallFailure
    ? { failure: outcome.kind, reason: outcome.code }
    : { status: outcome.status, upstreamSays: replyText(outcome.text, secrets) }
}

/** What the log, and what the caller is told when asking again is of no use. */
export function callError(
  outcome: Reply | CallFailure,
  now: number,
): [message: string, BrokerError] {
  return outcome instanceof CallFailure
    ? ['the upstream gave no usable reply', failureError(outcome)]
    : replyError(outcome, now)
}

function replyError(reply: Reply, now: number): [message: string, BrokerError] {
  const cause = new Error(`the upstream answered ${reply.status}`)
  const named = namedPauseMs(reply, now)
  if (reply.status === 429) {
    const retryAfterMs = named ?? UNNAMED_PAUSE_MS
    return ['the upstream asks for a pause', pauseError({ cause, retryAfterMs })]
  }
  const retryAfterMs = named ?? RETRY_LATER_MS
  const details = { cause, retryAfterMs }
  return [
    'the upstream is in trouble',
    new BrokerError('upstream_unavailable', 'the token service is in trouble', details),
  ]
}

export const pauseError = (details: { cause?: Error; retryAfterMs: number }): BrokerError =>
  new BrokerError('upstream_rate_limited', 'the token service asks for a pause', details)

function failureError(failure: CallFailure): BrokerError {
  const cause = new Error(failure.message)
  switch (failure.kind) {
    case 'timeout':
      return new BrokerError('upstream_timeout', 'the token service did not answer in time', {
        cause,
      })
    case 'too_large':
      return new BrokerError('upstream_invalid', 'the token service sent too large an answer', {
        cause,
      })
    case 'network':
      return new BrokerError('upstream_unavailable', 'the token service could not be reached', {
        cause,
        retryAfterMs: RETRY_LATER_MS,
      })
  }
}
