import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Caller } from '../../src/callers/caller.ts'
import { type Action, customerOf, decide } from '../../src/callers/policy.ts'
import type {
  CustomerRule,
  CustomerSet,
  Policy,
  ServiceRule,
} from '../../src/callers/policy-rules.ts'
import { type RequestSettings, tokenRequest } from '../../src/tokens/request.ts'
import { TOKEN_TYPES } from '../../src/tokens/token.ts'

// Few values, so that they meet; and near misses of each other.
const id = fc.constantFrom(
  'acme',
  'ACME',
  'acme ',
  'acme-2',
  'eu-1',
  'eu-2',
  'constructor',
  '__proto__',
)
const tag = fc.constantFrom('gold', 'silver', 'standard')
const origin = fc.constantFrom('https://a.example', 'https://b.example', 'https://evil.example')
const tags = fc.array(tag, { maxLength: 2 })
const mode = fc.constantFrom('any' as const, 'all' as const)
const kinds = fc.subarray([...TOKEN_TYPES], { minLength: 1 })
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const selection = fc.option(fc.record({ tags: fc.array(tag, { minLength: 1 }), mode }), {
  nil: null,
})

const caller: fc.Arbitrary<Caller> = fc.oneof(
  fc.record({
    kind: fc.constant('service' as const),
    name: fc.constantFrom('billing', 'support', 'x'),
  }),
  fc.record({
    kind: fc.constantFrom('user' as const, 'session' as const),
    subjectDigest: fc.constant('d'),
    customerIds: fc.array(id, { maxLength: 3 }).map((ids): ReadonlySet<string> => new Set(ids)),
  }),
  fc.constant({ kind: 'anyone' as const }),
)
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    route: fc.constant('issue' as const),
    asked: fc.record({
      customerId: id,
      type: fc.constantFrom(...TOKEN_TYPES),
      allowedOrigin: optional(origin),
      pageOrigin: optional(origin),
      sourceTags: optional(tags),
      sourceTagsMode: optional(mode),
      connectionTags: optional(tags),
      connectionTagsMode: optional(mode),
    }),
  }),
  fc.record({ route: fc.constantFrom('evict' as const, 'introspect' as const), customerId: id }),
)
const customerSet: fc.Arbitrary<CustomerSet> = fc.oneof(
  fc.constant('any' as const),
  fc.record({
    ids: fc.array(id, { maxLength: 3 }).map((ids): ReadonlySet<string> => new Set(ids)),
    prefixes: fc.subarray(['eu-', 'acme']),
  }),
)
const tagSet = fc.option(
  fc.array(tag, { minLength: 1, maxLength: 2 }).map((all): ReadonlySet<string> => new Set(all)),
  { nil: null },
)
const serviceRule: fc.Arbitrary<ServiceRule> = fc.record({
  customers: customerSet,
  kinds: fc.option(kinds, { nil: null }),
  sourceTags: tagSet,
  connectionTags: tagSet,
})
const customerRule: fc.Arbitrary<CustomerRule> = fc.record({
  kinds: optional(kinds),
  sourceTags: optional(selection),
  connectionTags: optional(selection),
  allowedOrigins: optional(fc.subarray(['https://a.example', 'https://b.example'])),
  limit: optional(fc.constant({ max: 1, windowMs: 1000 })),
})
const mapOf = <T>(names: fc.Arbitrary<string>, value: fc.Arbitrary<T>) =>
  fc
    .array(fc.tuple(names, value), { maxLength: 4 })
    .map((entries): ReadonlyMap<string, T> => new Map(entries))

const policy: fc.Arbitrary<Policy> = fc.record({
  mode: fc.constantFrom('enforce' as const, 'audit' as const),
  knownCustomers: fc.constantFrom('any' as const, 'listed' as const),
  services: fc.option(mapOf(fc.constantFrom('billing', 'support'), serviceRule), { nil: null }),
  customers: mapOf(id, customerRule),
  prefixes: fc.array(fc.record({ prefix: fc.constantFrom('eu-', 'acme'), rule: customerRule }), {
    maxLength: 2,
  }),
})
const configured: fc.Arbitrary<RequestSettings> = fc.record({
  workspaceTemplate: fc.constant('x-{id}'),
  widgetOrigins: fc.subarray(['https://a.example', 'https://b.example']),
  sourceTags: selection,
  connectionTags: selection,
  regionId: fc.constant(null),
})

const cases = fc.record({ caller, action, policy, configured })
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never
const decided = ({ caller, action, policy, configured }: Case) =>
  decide(caller, action, policy, configured)
const always = (holds: (given: Case) => void) =>
  fc.assert(fc.property(cases, holds), { numRuns: 3000 })

const ownIds = (caller: Caller) => ('customerIds' in caller ? caller.customerIds : undefined)

test('whatever the policy, nobody but a service or anyone gets a token of a customer that is not theirs', () => {
  always((given) => {
    const decision = decided(given)
    const own = ownIds(given.caller)
    if (!decision.allowed || own === undefined) return

    expect(given.action.route).toBe('issue')
    expect([...own].some((mine) => mine === customerOf(given.action))).toBe(true)
    if (given.action.route !== 'issue') return
    const request = tokenRequest(decision.settings, given.action.asked)
    expect(own).toContain(request.customerId)
    expect(request.workspaceName).toBe(`x-${request.customerId}`)
    expect(request.tagsAreRequired).toBe(false)
    expect(request.sourceTags).toEqual(decision.settings.sourceTags)
  })
})

test('in force, a service reaches only the customers, kinds and tags that its rule names', () => {
  always((given) => {
    const { caller, action, policy } = given
    const decision = decided(given)
    if (!decision.allowed || caller.kind !== 'service' || policy.services === null) return
    if (policy.mode !== 'enforce') return

    const rule = policy.services.get(caller.name)
    expect(rule).toBeDefined()
    if (rule === undefined) return
    const { customers } = rule
    if (customers !== 'any')
      expect(
        customers.ids.has(customerOf(action)) ||
          customers.prefixes.some((prefix) => customerOf(action).startsWith(prefix)),
      ).toBe(true)
    if (action.route !== 'issue') return
    const request = tokenRequest(decision.settings, action.asked)
    expect(rule.kinds ?? TOKEN_TYPES).toContain(request.type)
    for (const [allowed, selected] of [
      [rule.sourceTags, request.sourceTags],
      [rule.connectionTags, request.connectionTags],
    ] as const)
      if (allowed !== null) {
        expect(selected?.tags.length).toBeGreaterThan(0)
        expect([...(selected?.tags ?? [])].filter((name) => !allowed.has(name))).toEqual([])
      }
  })
})

test('a token that is allowed carries an origin that is configured for the customer or for all, or none', () => {
  always((given) => {
    const decision = decided(given)
    if (!decision.allowed || given.action.route !== 'issue') return

    const request = tokenRequest(decision.settings, given.action.asked)
    const { customers, prefixes } = given.policy
    const every = [
      ...given.configured.widgetOrigins,
      ...[...customers.values(), ...prefixes.map(({ rule }) => rule)].flatMap(
        ({ allowedOrigins }) => allowedOrigins ?? [],
      ),
    ]
    if (request.allowedOrigin !== null) expect(every).toContain(request.allowedOrigin)
  })
})

test('audit mode allows whatever would be allowed without a policy, and tells exactly when the policy would refuse', () => {
  always((given) => {
    const audit = decide(
      given.caller,
      given.action,
      { ...given.policy, mode: 'audit' },
      given.configured,
    )
    const enforced = decide(
      given.caller,
      given.action,
      { ...given.policy, mode: 'enforce' },
      given.configured,
    )
    const bare = decide(
      given.caller,
      given.action,
      {
        ...given.policy,
        knownCustomers: 'any',
        services: null,
        customers: new Map(),
        prefixes: [],
      },
      given.configured,
    )

    if (bare.allowed) expect(audit.allowed).toBe(true)
    if (audit.allowed) expect(audit.waived.length > 0).toBe(!enforced.allowed)
    if (enforced.allowed) expect(audit.allowed).toBe(true)
  })
})
