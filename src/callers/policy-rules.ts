import type { RequestSettings } from '../tokens/request.ts'
import type { TokenType } from '../tokens/token.ts'

/** Customers by exact id or by how the id begins; `any` is said out loud. */
export type CustomerSet =
  | 'any'
  | { readonly ids: ReadonlySet<string>; readonly prefixes: readonly string[] }

/** What one service key may do; `null`: not restricted. */
export type ServiceRule = {
  readonly customers: CustomerSet
  readonly kinds: readonly TokenType[] | null
  readonly sourceTags: ReadonlySet<string> | null
  readonly connectionTags: ReadonlySet<string> | null
}

export type OwnLimit = { readonly max: number; readonly windowMs: number }

/** What holds for one customer, its group's share included; `undefined`: as configured for all. */
export type CustomerRule = {
  readonly kinds?: readonly TokenType[] | undefined
  readonly sourceTags?: RequestSettings['sourceTags'] | undefined
  readonly connectionTags?: RequestSettings['connectionTags'] | undefined
  readonly allowedOrigins?: readonly string[] | undefined
  readonly regionId?: string | undefined
  readonly limit?: OwnLimit | undefined
}

export type Policy = {
  /** `audit`: what the policy refuses is told and let pass. What a caller is refused by its kind stays refused. */
  readonly mode: 'enforce' | 'audit'
  readonly knownCustomers:
    | 'any'
    | 'listed'
    | { readonly url: string; readonly ttlMs: number; readonly timeoutMs: number }
  /** `null`: nothing is said of services, so each may do what services may. Otherwise one that is not listed may nothing. */
  readonly services: ReadonlyMap<string, ServiceRule> | null
  readonly customers: ReadonlyMap<string, CustomerRule>
  /** The longest first: the closest one counts. */
  readonly prefixes: readonly { readonly prefix: string; readonly rule: CustomerRule }[]
}

export const NO_POLICY: Policy = {
  mode: 'enforce',
  knownCustomers: 'any',
  services: null,
  customers: new Map(),
  prefixes: [],
}

/** The rule for a customer: its own, else that of the longest prefix its id begins with. */
export function customerRule(policy: Policy, customerId: string): CustomerRule | undefined {
  return (
    policy.customers.get(customerId) ??
    policy.prefixes.find(({ prefix }) => customerId.startsWith(prefix))?.rule
  )
}
