import type { Asked, RequestSettings } from '../tokens/request.ts'
import type { Caller } from './caller.ts'
import { originsFor } from './policy-origins.ts'
import {
  type CustomerRule,
  type CustomerSet,
  customerRule,
  type OwnLimit,
  type Policy,
} from './policy-rules.ts'

/** What a caller wants to do. Every route that names a customer is one of these. */
export type Action =
  | { readonly route: 'issue'; readonly asked: Asked }
  | { readonly route: 'evict' | 'introspect'; readonly customerId: string }

/** Why a request is refused, for the audit and the log; the caller is told the code alone. */
export const REFUSAL_REASONS = [
  'customer_not_of_caller',
  'route_is_for_services',
  'tags_are_for_services',
  'origin_not_allowed',
  'service_not_listed',
  'customer_not_of_service',
  'kind_not_of_service',
  'tags_not_of_service',
  'kind_not_of_customer',
  'customer_unknown',
  'issuing_stopped',
] as const
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

export type Refusal = {
  readonly allowed: false
  readonly code: 'forbidden' | 'origin_not_allowed'
  readonly reason: RefusalReason
}

export type Decision =
  | Refusal
  | {
      readonly allowed: true
      /** What the token is made by: the policy's word for this customer, else what is configured. */
      readonly settings: RequestSettings
      /** `undefined`: the limit for everyone. */
      readonly limit: OwnLimit | undefined
      /** The policy wants its tags on the token, so a dialect that cannot put them there must refuse. */
      readonly tagsAreRequired: boolean
      /** Audit mode: what the policy would have refused. */
      readonly waived: readonly RefusalReason[]
    }

const NONE: readonly RefusalReason[] = []

/**
 * Says whether a caller may do this, and on which terms. The whole of the authorisation is here: no I/O, no
 * time, no state. Ids are compared as they are, without trimming or folding.
 */
export function decide(
  caller: Caller,
  action: Action,
  policy: Policy,
  configured: RequestSettings,
): Decision {
  const ofCaller = refusedByKind(caller, action)
  if (ofCaller) return refusal(ofCaller)

  const rule = customerRule(policy, customerOf(action))
  const settings = rule ? settingsBy(rule, configured) : configured
  const reasons = refusedToService(caller, action, policy, settings)
  if (action.route === 'issue') {
    if (rule?.kinds && !rule.kinds.includes(action.asked.type)) reasons.push('kind_not_of_customer')
    if (policy.knownCustomers === 'listed' && rule === undefined) reasons.push('customer_unknown')
  }

  const asked = action.route === 'issue' ? action.asked : null
  const { origins, ofOrigin } = originsFor(asked, settings, configured, policy.mode)
  if (ofOrigin === 'refused') return refusal(reasonFirst(reasons, policy.mode))
  if (ofOrigin === 'waived') reasons.push('origin_not_allowed')
  const [first] = reasons
  if (first !== undefined && policy.mode === 'enforce') return refusal(first)
  return {
    allowed: true,
    settings:
      origins === settings.widgetOrigins ? settings : { ...settings, widgetOrigins: origins },
    limit: rule?.limit,
    tagsAreRequired: policy.mode === 'enforce' && bindsTags(caller, policy, rule),
    waived: reasons.length === 0 ? NONE : reasons,
  }
}

export const customerOf = (action: Action): string =>
  action.route === 'issue' ? action.asked.customerId : action.customerId

const refusal = (reason: RefusalReason): Refusal => ({
  allowed: false,
  code: reason === 'origin_not_allowed' ? 'origin_not_allowed' : 'forbidden',
  reason,
})

const reasonFirst = (reasons: readonly RefusalReason[], mode: Policy['mode']): RefusalReason =>
  (mode === 'enforce' ? reasons[0] : undefined) ?? 'origin_not_allowed'

function bindsTags(caller: Caller, policy: Policy, rule: CustomerRule | undefined): boolean {
  const ofService = caller.kind === 'service' ? policy.services?.get(caller.name) : undefined
  return [
    rule?.sourceTags,
    rule?.connectionTags,
    ofService?.sourceTags,
    ofService?.connectionTags,
  ].some((tags) => tags !== undefined && tags !== null)
}

/** The rule that no policy can lift: users act for their own customers, and leave to services what is theirs. */
function refusedByKind(caller: Caller, action: Action): RefusalReason | undefined {
  if (caller.kind === 'service' || caller.kind === 'anyone') return undefined
  if (!caller.customerIds.has(customerOf(action))) return 'customer_not_of_caller'
  if (action.route !== 'issue') return 'route_is_for_services'
  const { sourceTags, sourceTagsMode, connectionTags, connectionTagsMode } = action.asked
  const named = [sourceTags, sourceTagsMode, connectionTags, connectionTagsMode]
  return named.some((field) => field !== undefined) ? 'tags_are_for_services' : undefined
}

const settingsBy = (rule: CustomerRule, configured: RequestSettings): RequestSettings => ({
  ...configured,
  ...(rule.sourceTags !== undefined && { sourceTags: rule.sourceTags }),
  ...(rule.connectionTags !== undefined && { connectionTags: rule.connectionTags }),
  ...(rule.allowedOrigins !== undefined && { widgetOrigins: rule.allowedOrigins }),
  ...(rule.regionId !== undefined && { regionId: rule.regionId }),
})

function refusedToService(
  caller: Caller,
  action: Action,
  policy: Policy,
  settings: RequestSettings,
): RefusalReason[] {
  if (caller.kind !== 'service' || policy.services === null) return []
  const rule = policy.services.get(caller.name)
  if (rule === undefined) return ['service_not_listed']
  const reasons: RefusalReason[] = []
  if (!within(rule.customers, customerOf(action))) reasons.push('customer_not_of_service')
  if (action.route !== 'issue') return reasons
  const { asked } = action
  if (rule.kinds && !rule.kinds.includes(asked.type)) reasons.push('kind_not_of_service')
  // What comes out counts, not what was named: no tags at all is the widest token there is.
  const narrow =
    carries(rule.sourceTags, asked.sourceTags ?? settings.sourceTags?.tags) &&
    carries(rule.connectionTags, asked.connectionTags ?? settings.connectionTags?.tags)
  if (!narrow) reasons.push('tags_not_of_service')
  return reasons
}

const within = (set: CustomerSet, customerId: string) =>
  set === 'any' ||
  set.ids.has(customerId) ||
  set.prefixes.some((prefix) => customerId.startsWith(prefix))

const carries = (allowed: ReadonlySet<string> | null, tags: readonly string[] = []) =>
  allowed === null || (tags.length > 0 && tags.every((tag) => allowed.has(tag)))
