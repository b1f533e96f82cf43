import { describe, expect, test } from 'vitest'
import type { Caller } from '../../src/callers/caller.ts'
import { type Action, decide } from '../../src/callers/policy.ts'
import { readPolicy } from '../../src/callers/policy-file.ts'
import { NO_POLICY, type Policy } from '../../src/callers/policy-rules.ts'
import type { Asked, RequestSettings } from '../../src/tokens/request.ts'

const configured: RequestSettings = {
  workspaceTemplate: '{id}',
  widgetOrigins: ['https://app.example.com', 'https://beta.example.com'],
  sourceTags: { tags: ['standard'], mode: 'any' },
  connectionTags: null,
  regionId: null,
}

const service: Caller = { kind: 'service', name: 'billing' }
const anyone: Caller = { kind: 'anyone' }
const acting = (kind: 'user' | 'session', ...ids: string[]): Caller => ({
  kind,
  subjectDigest: 'd',
  customerIds: new Set(ids),
})
const user = acting('user', 'acme')
const session = acting('session', 'acme')

const issue = (over: Partial<Asked> = {}): Action => ({
  route: 'issue',
  asked: { customerId: 'acme', type: 'scoped', ...over },
})
const evict = (customerId = 'acme'): Action => ({ route: 'evict', customerId })
const introspect = (customerId = 'acme'): Action => ({ route: 'introspect', customerId })

const answer = (caller: Caller, action: Action, policy: Policy = NO_POLICY) => {
  const decision = decide(caller, action, policy, configured)
  return decision.allowed ? 'allowed' : decision.reason
}
const policy = (text: string) => readPolicy(text, { allowInsecure: false })

describe('what each kind of caller may', () => {
  const rows: [string, Action, string, string][] = [
    // action, services and anyone, users and sessions
    ['own customer', issue(), 'allowed', 'allowed'],
    ['own customer, widget', issue({ type: 'widget' }), 'allowed', 'allowed'],
    [
      'an origin that is configured',
      issue({ type: 'widget', allowedOrigin: 'https://beta.example.com' }),
      'allowed',
      'allowed',
    ],
    [
      'another origin',
      issue({ type: 'widget', allowedOrigin: 'https://evil.example' }),
      'origin_not_allowed',
      'origin_not_allowed',
    ],
    [
      'another origin for a scoped token',
      issue({ allowedOrigin: 'https://evil.example' }),
      'origin_not_allowed',
      'origin_not_allowed',
    ],
    [
      'a page of another origin',
      issue({ type: 'widget', pageOrigin: 'https://evil.example' }),
      'allowed',
      'allowed',
    ],
    ['other customer', issue({ customerId: 'globex' }), 'allowed', 'customer_not_of_caller'],
    ['the id in capitals', issue({ customerId: 'ACME' }), 'allowed', 'customer_not_of_caller'],
    ['the id with a blank', issue({ customerId: 'acme ' }), 'allowed', 'customer_not_of_caller'],
    [
      'an id that begins alike',
      issue({ customerId: 'acme-2' }),
      'allowed',
      'customer_not_of_caller',
    ],
    ['the beginning of the id', issue({ customerId: 'acm' }), 'allowed', 'customer_not_of_caller'],
    ['the id in other Unicode', issue({ customerId: 'аcme' }), 'allowed', 'customer_not_of_caller'],
    [
      'a name that objects are born with',
      issue({ customerId: 'constructor' }),
      'allowed',
      'customer_not_of_caller',
    ],
    ['source tags', issue({ sourceTags: ['gold'] }), 'allowed', 'tags_are_for_services'],
    [
      'no source tags, said out loud',
      issue({ sourceTags: [] }),
      'allowed',
      'tags_are_for_services',
    ],
    [
      'the mode of source tags',
      issue({ sourceTagsMode: 'any' }),
      'allowed',
      'tags_are_for_services',
    ],
    ['connection tags', issue({ connectionTags: ['gold'] }), 'allowed', 'tags_are_for_services'],
    [
      'the mode of connection tags',
      issue({ connectionTagsMode: 'all' }),
      'allowed',
      'tags_are_for_services',
    ],
    ['forget, own customer', evict(), 'allowed', 'route_is_for_services'],
    ['forget, other customer', evict('globex'), 'allowed', 'customer_not_of_caller'],
    ['introspect, own customer', introspect(), 'allowed', 'route_is_for_services'],
    ['introspect, other customer', introspect('globex'), 'allowed', 'customer_not_of_caller'],
  ]

  test.each(rows)('%s', (_what, action, forServices, forUsers) => {
    expect(answer(service, action)).toBe(forServices)
    expect(answer(anyone, action)).toBe(forServices)
    expect(answer(user, action)).toBe(forUsers)
    expect(answer(session, action)).toBe(forUsers)
    expect(answer(acting('user'), action)).toBe('customer_not_of_caller')
    expect(answer(acting('session', 'initech'), action)).toBe('customer_not_of_caller')
  })
})

describe('a policy for services', () => {
  const rules = policy(`
services:
  billing:
    customers: [acme, { prefix: eu- }]
    kinds: [scoped]
    source_template_tags: [standard, gold]
  support:
    customers: any
  sleeping:
    customers: []
`)
  test.each<[string, Action, string]>([
    ['a customer by id', issue(), 'allowed'],
    ['a customer by prefix', issue({ customerId: 'eu-1' }), 'allowed'],
    ['another customer', issue({ customerId: 'globex' }), 'customer_not_of_service'],
    [
      'a customer that begins like a whole id',
      issue({ customerId: 'acme-2' }),
      'customer_not_of_service',
    ],
    ['a prefix in other case', issue({ customerId: 'EU-1' }), 'customer_not_of_service'],
    ['forgetting another customer', evict('globex'), 'customer_not_of_service'],
    ['introspecting for another customer', introspect('globex'), 'customer_not_of_service'],
    ['forgetting its customer', evict(), 'allowed'],
    ['another kind', issue({ type: 'widget' }), 'kind_not_of_service'],
    ['tags of its own', issue({ sourceTags: ['gold'] }), 'allowed'],
    ['other tags', issue({ sourceTags: ['gold', 'platinum'] }), 'tags_not_of_service'],
    ['no tags at all, the widest token', issue({ sourceTags: [] }), 'tags_not_of_service'],
    ['tags on the other side, which are free', issue({ connectionTags: ['x'] }), 'allowed'],
  ])('%s', (_what, action, expected) => {
    expect(answer(service, action, rules)).toBe(expected)
  })

  test('a service that is not listed may nothing, and users are not touched', () => {
    expect(answer({ kind: 'service', name: 'toString' }, issue(), rules)).toBe('service_not_listed')
    expect(answer({ kind: 'service', name: 'Billing' }, evict(), rules)).toBe('service_not_listed')
    expect(answer({ kind: 'service', name: 'sleeping' }, issue(), rules)).toBe(
      'customer_not_of_service',
    )
    expect(
      answer(
        { kind: 'service', name: 'support' },
        issue({ type: 'widget', sourceTags: [] }),
        rules,
      ),
    ).toBe('allowed')
    expect(answer(user, issue({ type: 'widget' }), rules)).toBe('allowed')
    expect(answer(anyone, issue(), rules)).toBe('allowed')
  })
})

describe('a policy for customers', () => {
  const rules = policy(`
known_customers: listed
groups:
  paying:
    members: [globex, { prefix: eu- }, { prefix: eu-gold- }]
    kinds: [scoped, widget]
    source_template_tags: [gold]
    source_template_tags_mode: all
    rate_limit: { max: 1000, window: 1m }
  gold:
    members: [{ prefix: eu-gold-x }]
    region_id: 550e8400-e29b-41d4-a716-446655440000
customers:
  acme:
    group: paying
    kinds: [widget]
    allowed_origins: [https://acme.example]
    connection_template_tags: []
  eu-special: { rate_limit: { max: 1, window: 15m } }
  "007": { kinds: [scoped] }
`)
  const termsFor = (customerId: string, over: Partial<Asked> = {}) => {
    const decision = decide(
      service,
      issue({ customerId, type: 'widget', ...over }),
      rules,
      configured,
    )
    return decision.allowed ? decision : decision.reason
  }

  test("a customer has its own rules, and its group's where it has none", () => {
    expect(termsFor('acme')).toEqual({
      allowed: true,
      settings: {
        ...configured,
        widgetOrigins: ['https://acme.example'],
        sourceTags: { tags: ['gold'], mode: 'all' },
        connectionTags: null,
      },
      limit: { max: 1000, windowMs: 60_000 },
      tagsAreRequired: true,
      waived: [],
    })
    expect(termsFor('acme', { type: 'scoped' })).toBe('kind_not_of_customer')
    expect(termsFor('acme', { allowedOrigin: 'https://app.example.com' })).toBe(
      'origin_not_allowed',
    )
    expect(termsFor('acme', { allowedOrigin: 'https://acme.example' })).toMatchObject({
      allowed: true,
    })
  })

  test('a customer without an entry has the rules of the closest prefix', () => {
    expect(termsFor('eu-1')).toMatchObject({ limit: { max: 1000 } })
    expect(termsFor('eu-gold-1')).toMatchObject({ limit: { max: 1000 } })
    expect(termsFor('eu-gold-x1')).toMatchObject({
      limit: undefined,
      settings: {
        regionId: '550e8400-e29b-41d4-a716-446655440000',
        sourceTags: configured.sourceTags,
      },
    })
    expect(termsFor('eu-special')).toMatchObject({
      limit: { max: 1, windowMs: 900_000 },
      settings: { sourceTags: { tags: ['gold'] } },
    })
  })

  test('where only listed customers are known, no token is made for others', () => {
    expect(termsFor('unknown')).toBe('customer_unknown')
    expect(termsFor('7')).toBe('customer_unknown')
    expect(termsFor('007')).toBe('kind_not_of_customer')
    expect(termsFor('constructor')).toBe('customer_unknown')
    expect(answer(service, evict('unknown'), rules)).toBe('allowed')
    expect(answer(anyone, issue({ customerId: 'unknown' }), rules)).toBe('customer_unknown')
  })
})

test.each<[string, Caller, string, boolean]>([
  ['no policy', service, 'mode: enforce', false],
  ['tags of the customer', user, 'customers: { acme: { connection_template_tags: [gold] } }', true],
  ['no tags for the customer', user, 'customers: { acme: { source_template_tags: [] } }', false],
  [
    'tags of the service',
    service,
    'services: { billing: { customers: any, source_template_tags: [standard] } }',
    true,
  ],
  [
    'tags of another caller',
    user,
    'services: { billing: { customers: any, source_template_tags: [standard] } }',
    false,
  ],
  ['audit mode', user, 'mode: audit\ncustomers: { acme: { source_template_tags: [gold] } }', false],
])(
  'a token must carry its tags where the policy sets them: %s',
  (_what, caller, text, required) => {
    expect(decide(caller, issue(), policy(text), configured)).toMatchObject({
      allowed: true,
      tagsAreRequired: required,
    })
  },
)

describe('audit mode', () => {
  const rules = policy(`
mode: audit
known_customers: listed
services:
  billing: { customers: [globex], kinds: [widget] }
customers:
  globex: { allowed_origins: [https://globex.example], source_template_tags: [gold] }
`)

  test('tells what would have been refused, and refuses nothing of it', () => {
    expect(decide(service, issue(), rules, configured)).toMatchObject({
      allowed: true,
      waived: ['customer_not_of_service', 'kind_not_of_service', 'customer_unknown'],
    })
    const origin = issue({
      customerId: 'globex',
      type: 'widget',
      allowedOrigin: 'https://app.example.com',
    })
    expect(decide(service, origin, rules, configured)).toMatchObject({
      allowed: true,
      waived: ['origin_not_allowed'],
      settings: { widgetOrigins: configured.widgetOrigins, sourceTags: { tags: ['gold'] } },
    })
  })

  test('lifts no rule that holds without a policy', () => {
    expect(answer(user, issue({ customerId: 'globex' }), rules)).toBe('customer_not_of_caller')
    expect(answer(user, evict(), rules)).toBe('route_is_for_services')
    expect(answer(user, issue({ sourceTags: ['gold'] }), rules)).toBe('tags_are_for_services')
    expect(answer(service, issue({ allowedOrigin: 'https://evil.example' }), rules)).toBe(
      'origin_not_allowed',
    )
  })
})
