import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { RequestSettings } from '../tokens/request.ts'
import { createBoundedGet, type EgressSettings } from './bounded-get.ts'
import type { Caller } from './caller.ts'
import { createKnownCustomers, type KnownCustomersQuestion } from './known-customers.ts'
import { type Action, customerOf, decide, REFUSAL_REASONS, type RefusalReason } from './policy.ts'
import type { OwnLimit } from './policy-rules.ts'
import { createPolicySource } from './policy-source.ts'

export type PermitSettings = {
  readonly policyFile: string | null
  /** What tokens are made by where the policy says nothing else. */
  readonly requests: RequestSettings
  readonly allowInsecure: boolean
  readonly egress?: EgressSettings
}

/** Refused, or let pass in audit mode. */
export const REFUSAL_OUTCOMES = ['enforced', 'audited'] as const
export type RefusalOutcome = (typeof REFUSAL_OUTCOMES)[number]

export type PermitDeps = {
  readonly log: Log
  readonly now?: () => number
  /** An operator has stopped issuing for this customer. */
  readonly isStopped?: (customerId: string) => boolean
  readonly onRefusal?: (reason: RefusalReason, outcome: RefusalOutcome) => void
}

/** What goes along with a yes. */
export type Permission = {
  readonly settings: RequestSettings
  readonly limit: OwnLimit | undefined
  /** As if the caller had named the tags itself: a dialect that cannot apply them must refuse. */
  readonly tagsAreRequired: boolean
}

export type PermitPart = {
  /** @throws BrokerError `forbidden`, `origin_not_allowed`, `caller_check_unavailable` */
  permit(caller: Caller, action: Action): Permission | Promise<Permission>
  /** Looks at the policy file now. */
  reloadPolicy(): Promise<void>
  close(): void
}

/** Decides by the policy in force, and asks the SaaS backend for customers where the policy wants that. */
export function createPermit(settings: PermitSettings, deps: PermitDeps): PermitPart {
  const { log, onRefusal } = deps
  const policies = createPolicySource(
    { path: settings.policyFile, allowInsecure: settings.allowInsecure },
    { log },
  )
  const http = createBoundedGet(settings.egress ?? { proxyUrl: null })
  const isKnown = createKnownCustomers(http, deps.now ?? Date.now)

  function refuse(code: 'forbidden' | 'origin_not_allowed', reason: RefusalReason): never {
    onRefusal?.(reason, 'enforced')
    throw refusedFor(code, reason)
  }

  function waive(caller: Caller, action: Action, reasons: readonly RefusalReason[]): void {
    for (const reason of reasons) onRefusal?.(reason, 'audited')
    const name = caller.kind === 'service' ? caller.name : undefined
    log.info(
      { customer: customerOf(action), route: action.route, caller: caller.kind, name, reasons },
      'the policy would refuse this',
    )
  }

  async function ifKnown(
    question: KnownCustomersQuestion,
    audited: boolean,
    [caller, action]: readonly [Caller, Action],
    permission: Permission,
  ): Promise<Permission> {
    const known = await isKnown(question, customerOf(action)).catch((error: unknown) => {
      if (!audited) throw error
      log.warn({ err: error }, 'known customers cannot be checked')
      return true
    })
    if (!known && !audited) refuse('forbidden', 'customer_unknown')
    if (!known) waive(caller, action, ['customer_unknown'])
    return permission
  }

  return {
    permit(caller, action) {
      const policy = policies.current()
      const decision = decide(caller, action, policy, settings.requests)
      if (!decision.allowed) return refuse(decision.code, decision.reason)
      if (decision.waived.length > 0) waive(caller, action, decision.waived)
      // After the decision: a caller who may not act for the customer learns nothing about it.
      if (action.route === 'issue' && deps.isStopped?.(customerOf(action)))
        return refuse('forbidden', 'issuing_stopped')
      // Forgetting and asking about a token make no workspace.
      if (action.route !== 'issue' || typeof policy.knownCustomers === 'string') return decision
      const audited = policy.mode === 'audit'
      return ifKnown(policy.knownCustomers, audited, [caller, action], decision)
    },
    reloadPolicy: () => policies.reload(),
    close() {
      policies.close()
      http.close()
    },
  }
}

const refusedFor = (code: 'forbidden' | 'origin_not_allowed', reason: RefusalReason) =>
  new BrokerError(
    code,
    code === 'forbidden'
      ? 'the caller may not act for this customer or ask for this'
      : 'allowed_origin is not one of the configured origins',
    { cause: { reason } },
  )

const Cause = z.object({ reason: z.enum(REFUSAL_REASONS) })

/** The closer reason of a refusal by `permit`, for the audit and the log. */
export const refusalReason = ({ cause }: BrokerError): RefusalReason | undefined =>
  Cause.safeParse(cause).data?.reason
