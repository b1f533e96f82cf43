import { hash } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { BoundedGet } from './bounded-get.ts'
import { createMemory } from './memory.ts'
import { headerText } from './session-check.ts'
import { createSharedWork } from './shared-work.ts'

export type KnownCustomersQuestion = {
  /** `{id}` in it stands for the customer's id, which is also sent as `X-Customer-Id`. */
  readonly url: string
  readonly ttlMs: number
  readonly timeoutMs: number
}

/** Who has just signed up must not be unknown for long. */
const MOST_UNKNOWN_MS = 5000
const RETRY_MS = 1000
const LIMIT_BYTES = 64 * 1024

/** Asks the SaaS backend whether there is such a customer: minting for an id that nobody has makes a billed workspace. */
export function createKnownCustomers(http: BoundedGet, now: () => number) {
  const memory = createMemory<{ readonly known: boolean }>(now)
  const share = createSharedWork<boolean>()

  async function asked(key: string, question: KnownCustomersQuestion, id: string) {
    const url = question.url.replaceAll('{id}', () => encodeURIComponent(id))
    const limits = { timeoutMs: question.timeoutMs, limitBytes: LIMIT_BYTES }
    const { status } = await http
      .get(url, { 'x-customer-id': headerText(id) }, limits)
      .catch((cause: unknown) => {
        throw unavailable(cause)
      })
    const known = status >= 200 && status <= 299
    if (!known && status !== 404 && status !== 410) throw unavailable(`status ${status}`)
    const keptMs = known ? question.ttlMs : Math.min(question.ttlMs, MOST_UNKNOWN_MS)
    memory.keep(key, { known }, now() + keptMs)
    return known
  }

  /** 2xx: yes, 404 and 410: no. @throws BrokerError `caller_check_unavailable`, on anything else */
  return async (question: KnownCustomersQuestion, customerId: string): Promise<boolean> => {
    const key = hash('sha256', `${question.url}\n${customerId}`, 'base64url')
    const kept = memory.get(key)
    return kept ? kept.known : share(key, () => asked(key, question, customerId))
  }
}

const unavailable = (cause: unknown) =>
  new BrokerError(
    'caller_check_unavailable',
    'whether there is such a customer could not be checked',
    {
      retryAfterMs: RETRY_MS,
      cause,
    },
  )
