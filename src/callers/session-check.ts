import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { BoundedGet, GetReply } from './bounded-get.ts'
import { namedCustomers } from './customer-claim.ts'

export type SessionCheckSettings = {
  /** Where the SaaS backend tells which customers a session may act for. */
  readonly checkUrl: string
  readonly timeoutMs?: number
}

/** What the backend said. It being out of reach is no answer, and never a pass. */
export type SessionAnswer =
  | { readonly is: 'known'; readonly customerIds: ReadonlySet<string> }
  | { readonly is: 'unauthenticated' | 'forbidden' }

const TIMEOUT_MS = 5000
const LIMIT_BYTES = 256 * 1024
const RETRY_MS = 1000

const Answer = z.looseObject({ customer_ids: z.array(z.string()) })

export type CheckSession = (cookie: string, customerId: string) => Promise<SessionAnswer>

/** Asks the SaaS backend. @throws BrokerError `caller_check_unavailable` */
export function createSessionCheck(settings: SessionCheckSettings, http: BoundedGet): CheckSession {
  const limits = { timeoutMs: settings.timeoutMs ?? TIMEOUT_MS, limitBytes: LIMIT_BYTES }

  return async (cookie, customerId) => {
    const headers = { cookie, 'x-customer-id': headerText(customerId) }
    const reply = await http.get(settings.checkUrl, headers, limits).catch((cause: unknown) => {
      throw unavailable(cause)
    })
    return answerFrom(reply)
  }
}

/** Visible ASCII as it is, because a header carries nothing else safely. */
export const headerText = (text: string) =>
  /^[\x21-\x7e]*$/.test(text) ? text : encodeURIComponent(text)

function answerFrom({ status, text }: GetReply): SessionAnswer {
  if (status === 401) return { is: 'unauthenticated' }
  if (status === 403) return { is: 'forbidden' }
  if (status < 200 || status > 299) throw unavailable(`status ${status}`)
  const answer = Answer.safeParse(parsed(text))
  if (!answer.success) throw unavailable('the answer has no customer_ids')
  return { is: 'known', customerIds: namedCustomers(answer.data.customer_ids) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const unavailable = (cause: unknown) =>
  new BrokerError('caller_check_unavailable', 'the session could not be checked', {
    retryAfterMs: RETRY_MS,
    cause,
  })
