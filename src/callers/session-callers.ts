import { hash } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { BoundedGet } from './bounded-get.ts'
import type { Caller } from './caller.ts'
import { createMemory } from './memory.ts'
import { createSessionCheck, type SessionCheckSettings } from './session-check.ts'
import { createSharedWork } from './shared-work.ts'

export type SessionSettings = SessionCheckSettings & {
  /** How long the backend's word counts. */
  readonly ttlMs: number
  /** The cookies that tell a session; `null`: all of them. Others stay with us. */
  readonly cookieNames: readonly string[] | null
  /** Pages of these origins may use the cookie. */
  readonly allowedOrigins: readonly string[]
}

/** A refusal counts for less long than a pass: who has just signed in does not want to wait. */
const MOST_REFUSED_MS = 5000

type Verdict =
  | { readonly caller: Extract<Caller, { kind: 'user' | 'session' }> }
  | { readonly refusal: 'unauthenticated' | 'forbidden' }

/** Users by the session cookie of the SaaS product, as its backend judges it. */
export function createSessionCallers(
  settings: SessionSettings,
  deps: { readonly now: () => number; readonly http: BoundedGet },
) {
  const { now } = deps
  const check = createSessionCheck(settings, deps.http)
  const memory = createMemory<Verdict>(now, (verdict) =>
    'caller' in verdict ? 1 + verdict.caller.customerIds.size : 1,
  )
  const share = createSharedWork<Verdict>()

  // Neither half can hold a line break, so no two pairs make one key.
  const keyOf = (cookie: string, customerId: string) =>
    hash('sha256', `${customerId}\n${cookie}`, 'base64url')

  async function asked(key: string, cookie: string, customerId: string): Promise<Verdict> {
    const answer = await check(cookie, customerId)
    if (answer.is !== 'known') {
      const verdict = { refusal: answer.is }
      memory.keep(key, verdict, now() + Math.min(settings.ttlMs, MOST_REFUSED_MS))
      return verdict
    }
    const { customerIds } = answer
    const verdict = {
      caller: { kind: 'session', subjectDigest: hash('sha256', cookie), customerIds },
    } as const
    memory.keep(key, verdict, now() + settings.ttlMs)
    return verdict
  }

  return {
    remembered(cookie: string, customerId: string): Caller | undefined {
      const verdict = memory.get(keyOf(cookie, customerId))
      return verdict && 'caller' in verdict ? verdict.caller : undefined
    },

    /** @throws BrokerError `unauthenticated`, `forbidden`, `caller_check_unavailable` */
    async verify(cookie: string, customerId: string): Promise<Caller> {
      const key = keyOf(cookie, customerId)
      const verdict = memory.get(key) ?? (await share(key, () => asked(key, cookie, customerId)))
      if ('caller' in verdict) return verdict.caller
      throw verdict.refusal === 'forbidden'
        ? new BrokerError('forbidden', 'the session may not do this')
        : new BrokerError('unauthenticated', 'the session is not valid', { credentialSent: true })
    },
  }
}
