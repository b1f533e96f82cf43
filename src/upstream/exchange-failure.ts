import { BrokerError, type FailureCode } from '../errors.ts'

/** How one request to the exchange ended; `ok_previous` is a success of the `_PREVIOUS` credential. */
export const EXCHANGE_OUTCOMES = [
  'ok',
  'ok_previous',
  'rejected',
  'misplaced',
  'invalid',
  'rate_limited',
  'unavailable',
  'timeout',
] as const
export type ExchangeOutcome = (typeof EXCHANGE_OUTCOMES)[number]

type FailedOutcome = Exclude<ExchangeOutcome, 'ok' | 'ok_previous'>

/** No org token was had. */
export class ExchangeFailure extends Error {
  readonly outcome: FailedOutcome
  /** `null`: no HTTP reply. */
  readonly status: number | null
  readonly retryAfterMs: number | null

  constructor(outcome: FailedOutcome, status: number | null, retryAfterMs: number | null) {
    super(`the token exchange: ${outcome}${status === null ? '' : ` (${status})`}`)
    this.name = 'ExchangeFailure'
    this.outcome = outcome
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** What a refusal means on an exchange. */
export function outcomeOf(status: number): FailedOutcome {
  if (status === 429) return 'rate_limited'
  if (status >= 500) return 'unavailable'
  if (status < 400 || status === 404 || status === 405 || status === 410) return 'misplaced'
  return 'rejected'
}

const CODES = {
  rejected: ['upstream_rejected', 'the token service refused our credential'],
  misplaced: ['upstream_rejected', 'the token service is not where it is configured to be'],
  invalid: ['upstream_invalid', 'the token service sent an unusable answer'],
  rate_limited: ['upstream_rate_limited', 'the token service asks for a pause'],
  unavailable: ['upstream_unavailable', 'the token service is not available'],
  timeout: ['upstream_timeout', 'the token service did not answer in time'],
} as const satisfies Record<FailedOutcome, readonly [FailureCode, string]>

/** The same for a caller whose mint waited for it. */
export function exchangeError(failure: ExchangeFailure, retryAfterMs: number): BrokerError {
  const [code, message] = CODES[failure.outcome]
  return new BrokerError(code, message, { cause: failure, retryAfterMs })
}

/** First rest, and the longest one that doubling leads to. */
const RESTS_MS = { soon: [1_000, 30_000], slowly: [5_000, 60_000] } as const

/** What only somebody at the settings can repair; asking again soon does not. */
export const needsOperator = ({ outcome }: ExchangeFailure): boolean =>
  outcome === 'rejected' || outcome === 'misplaced' || outcome === 'invalid'

/** How long to rest after so many failures in a row. `random` is in [0, 1). */
export function restAfter(failure: ExchangeFailure, failuresInRow: number, random: number): number {
  const [first, longest] = RESTS_MS[needsOperator(failure) ? 'slowly' : 'soon']
  const rest = Math.min(first * 2 ** (failuresInRow - 1), longest) * (0.75 + random / 2)
  return Math.max(rest, failure.retryAfterMs ?? 0)
}
