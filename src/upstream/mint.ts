import { setImmediate as immediate } from 'node:timers/promises'
import { BrokerError, type FailureCode } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Token, TokenRequest, TokenType } from '../tokens/token.ts'
import type { ClockWatch } from './clock-skew.ts'
import { createDeadline, type Deadline } from './deadline.ts'
import type { DialectChoice, Tried } from './dialect-choice.ts'
import { DIALECT_NAMES, type Dialect } from './dialects.ts'
import { readMint } from './mint-replies.ts'
import { mintBody } from './mint-requests.ts'
import { isAnotherDialect, mintHint } from './refusals.ts'
import { replyText } from './reply-text.ts'
import type { UpstreamSettings } from './settings.ts'
import type { SignedCalls } from './signed-calls.ts'
import type { Urgency } from './upstream.ts'

export const MINT_OUTCOMES = [
  'ok',
  'refused_here',
  'rejected',
  'invalid',
  'unavailable',
  'rate_limited',
  'timeout',
  'overloaded',
] as const
export type MintOutcome = (typeof MINT_OUTCOMES)[number]

export const MINT_DIALECTS = [...DIALECT_NAMES, 'unknown'] as const
export type MintDialect = (typeof MINT_DIALECTS)[number]

export type MintEvent = {
  readonly type: TokenType
  /** `unknown`: `auto` has not found out. */
  readonly dialect: MintDialect
  readonly outcome: MintOutcome
  readonly durationMs: number
}

const OUTCOMES: Partial<Record<FailureCode, MintOutcome>> = {
  origin_required: 'refused_here',
  invalid_request: 'refused_here',
  upstream_rejected: 'rejected',
  upstream_invalid: 'invalid',
  upstream_rate_limited: 'rate_limited',
  upstream_timeout: 'timeout',
  overloaded: 'overloaded',
}

export type MintDeps = {
  readonly log: Log
  readonly clocks: ClockWatch
  readonly calls: SignedCalls
  readonly choice: DialectChoice
  readonly onMint: (event: MintEvent) => void
}

/** One token for one customer, in the dialect that the API speaks. */
export function createMint(settings: UpstreamSettings, deps: MintDeps) {
  const { log, choice } = deps
  const warned = new Set<string>()

  function warnOnce(key: string, fields: object, message: string): void {
    if (warned.has(key)) return
    warned.add(key)
    log.warn(fields, message)
  }

  async function attempt(
    dialect: Dialect,
    request: TokenRequest,
    urgency: Urgency,
    deadline: Deadline,
  ): Promise<Tried<Token>> {
    const { type, customerId } = request
    const { body, dropped } = mintBody(dialect, request)
    for (const field of dropped) {
      const fields = { field, type, dialect: dialect.name }
      warnOnce(
        `${field} ${type} ${dialect.name}`,
        fields,
        'the dialect cannot apply a configured field',
      )
    }
    const about = { call: 'mint', dialect: dialect.name, type, customerId }
    const { reply, secrets } = await deps.calls.send(
      { method: 'POST', path: dialect.mintPath[type], body },
      { deadline, urgency, subject: request.workspaceName, about },
    )
    // This call's place is free: whoever waits for it goes first, and what has come is read while the upstream works.
    await immediate()
    if (reply.status < 200 || reply.status > 299) {
      const upstreamSays = replyText(reply.text, secrets)
      const stillProbing = choice.known() === null && isAnotherDialect(reply.status)
      const fields = { ...about, status: reply.status, upstreamSays }
      if (stillProbing) log.debug(fields, 'not this dialect')
      else log.warn({ ...fields, hint: mintHint(reply.status) }, 'the upstream refused a mint')
      return { status: reply.status, upstreamSays }
    }

    const minted = readMint(dialect, request, reply)
    if ('problem' in minted) {
      const clockSkewSeconds = deps.clocks.noticedSeconds()
      log.warn(
        { ...about, problem: minted.problem, clockSkewSeconds },
        'the upstream minted nothing usable',
      )
      throw new BrokerError('upstream_invalid', 'the token service sent an unusable answer', {
        cause: new Error(minted.problem),
      })
    }
    if (minted.lifeIsAssumed) {
      warnOnce(
        `life ${type}`,
        { type },
        'nothing tells how long minted tokens live: assuming five minutes',
      )
    }
    return { value: minted.token }
  }

  return async (request: TokenRequest, urgency: Urgency): Promise<Token> => {
    const startedAt = performance.now()
    const deadline = createDeadline(settings.timeoutMs)
    const report = (outcome: MintOutcome) =>
      deps.onMint({
        type: request.type,
        dialect: nameOf(choice.known()),
        outcome,
        durationMs: performance.now() - startedAt,
      })
    try {
      const token = await choice.mint(deadline, (dialect) =>
        attempt(dialect, request, urgency, deadline),
      )
      report('ok')
      return token
    } catch (error) {
      report((error instanceof BrokerError && OUTCOMES[error.code]) || 'unavailable')
      throw error
    } finally {
      deadline.clear()
    }
  }
}

const nameOf = (dialect: Dialect | null): MintDialect => dialect?.name ?? 'unknown'
