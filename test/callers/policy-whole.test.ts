import { describe, expect, test } from 'vitest'
import type { Caller } from '../../src/callers/caller.ts'
import { type Action, decide } from '../../src/callers/policy.ts'
import { readPolicy } from '../../src/callers/policy-file.ts'
import type { Asked, RequestSettings } from '../../src/tokens/request.ts'
import { problemsOf } from '../support/policy-problems.ts'

const read = (text: string, allowInsecure = false) => readPolicy(text, { allowInsecure })

const WHOLE = `
mode: audit
known_customers: listed
services:
  billing: { customers: any }
  importer:
    customers: [acme, { prefix: eu- }]
    kinds: [widget]
    source_template_tags: [gold]
    connection_template_tags: [silver]
groups:
  gold:
    members: [one, { prefix: g- }, { prefix: g-long- }]
    kinds: [scoped]
    source_template_tags: [gold]
    source_template_tags_mode: all
    connection_template_tags: [gold, more]
    allowed_origins: [https://gold.example]
    region_id: 550e8400-e29b-41d4-a716-446655440000
    rate_limit: { max: 7, window: 1m }
customers:
  own: { kinds: [widget], connection_template_tags: [] }
  member: { group: gold, kinds: [widget] }
  g-long-own: { rate_limit: { max: 1, window: 2m } }
  bare: {}
`

const gold = {
  kinds: ['scoped'],
  sourceTags: { tags: ['gold'], mode: 'all' },
  connectionTags: { tags: ['gold', 'more'], mode: 'any' },
  allowedOrigins: ['https://gold.example'],
  regionId: '550e8400-e29b-41d4-a716-446655440000',
  limit: { max: 7, windowMs: 60_000 },
}

test('a policy is read whole, and nothing is in it that is not stated', () => {
  const policy = read(WHOLE)

  expect(policy.mode).toBe('audit')
  expect(policy.knownCustomers).toBe('listed')
  expect(Object.fromEntries(policy.services ?? [])).toEqual({
    billing: { customers: 'any', kinds: null, sourceTags: null, connectionTags: null },
    importer: {
      customers: { ids: new Set(['acme']), prefixes: ['eu-'] },
      kinds: ['widget'],
      sourceTags: new Set(['gold']),
      connectionTags: new Set(['silver']),
    },
  })
  expect(Object.fromEntries(policy.customers)).toStrictEqual({
    one: gold,
    own: { kinds: ['widget'], connectionTags: null },
    member: { ...gold, kinds: ['widget'] },
    'g-long-own': { ...gold, limit: { max: 1, windowMs: 120_000 } },
    bare: {},
  })
  expect(policy.prefixes).toStrictEqual([
    { prefix: 'g-long-', rule: gold },
    { prefix: 'g-', rule: gold },
  ])
})

test.each([
  [
    'a mode without tags, of a group',
    'groups:\n  gold:\n    source_template_tags_mode: all\n',
    ['line 3: groups.gold.source_template_tags_mode: goes together with source_template_tags'],
  ],
  [
    'a mode without tags, of a customer',
    'customers:\n  acme:\n    connection_template_tags_mode: all\n',
    [
      'line 3: customers.acme.connection_template_tags_mode: goes together with connection_template_tags',
    ],
  ],
  [
    'a group that is not there',
    'customers:\n  acme:\n    group: gold\n',
    ['line 3: customers.acme.group: there is no such group'],
  ],
  [
    'a member of two groups',
    'groups:\n  a: { members: [x, y] }\n  b:\n    members:\n      - z\n      - x\n',
    ['line 6: groups.b.members.1: is a member of a group already'],
  ],
  [
    'a prefix of two groups',
    'groups:\n  a: { members: [{ prefix: x }] }\n  b:\n    members:\n      - { prefix: x }\n',
    ['line 5: groups.b.members.0: is a member of a group already'],
  ],
  [
    'a group named beside that of a member',
    'groups:\n  a: { members: [x] }\ncustomers:\n  x:\n    group: a\n',
    ['line 5: customers.x.group: is a member of a group already'],
  ],
  [
    'a backend in clear text',
    'known_customers:\n  url: http://backend.example/{id}\n',
    ['line 2: known_customers.url: must be https, unless ALLOW_INSECURE_UPSTREAM=true is set'],
  ],
  [
    'an id and a prefix that look alike',
    'groups:\n  a: { members: [x] }\n  b: { members: [{ prefix: x }] }\n',
    [],
  ],
])('%s', (_what, text, problems) => {
  expect(problemsOf(text)).toEqual(problems)
})

const configured: RequestSettings = {
  workspaceTemplate: '{id}',
  widgetOrigins: ['https://app.example.com'],
  sourceTags: null,
  connectionTags: { tags: ['standard'], mode: 'any' },
  regionId: null,
}
const service: Caller = { kind: 'service', name: 'importer' }
const anyone: Caller = { kind: 'anyone' }
const issue = (asked: Partial<Asked> = {}): Action => ({
  route: 'issue',
  asked: { customerId: 'acme', type: 'widget', ...asked },
})
const by = (text: string, action: Action, caller: Caller = anyone) =>
  decide(caller, action, read(text), configured)
const OWN = 'https://own.example'

describe('origins', () => {
  const ENFORCED = `customers: { acme: { allowed_origins: [${OWN}] } }`
  const AUDITED = `mode: audit\n${ENFORCED}`
  const APP = 'https://app.example.com'

  test.each<[string, string, Partial<Asked>, object]>([
    ['its own, named', ENFORCED, { allowedOrigin: OWN }, { allowed: true, waived: [] }],
    [
      'the common one, named',
      ENFORCED,
      { allowedOrigin: APP },
      { allowed: false, code: 'origin_not_allowed', reason: 'origin_not_allowed' },
    ],
    [
      'the common one, of the page',
      ENFORCED,
      { pageOrigin: APP },
      { allowed: true, settings: { widgetOrigins: [OWN] } },
    ],
    [
      'the common one, named, in audit mode',
      AUDITED,
      { allowedOrigin: APP },
      { allowed: true, waived: ['origin_not_allowed'], settings: { widgetOrigins: [APP] } },
    ],
    [
      'the common one, of the page, in audit mode',
      AUDITED,
      { pageOrigin: APP },
      { allowed: true, waived: [], settings: { widgetOrigins: [APP] } },
    ],
    [
      'a strange one, named, in audit mode',
      AUDITED,
      { allowedOrigin: 'https://evil.example' },
      { allowed: false, reason: 'origin_not_allowed' },
    ],
    [
      'a strange one, of the page, in audit mode',
      AUDITED,
      { pageOrigin: 'https://evil.example' },
      { allowed: true, waived: [], settings: { widgetOrigins: [OWN] } },
    ],
    [
      'nothing said',
      ENFORCED,
      {},
      { allowed: true, waived: [], settings: { widgetOrigins: [OWN] } },
    ],
  ])('%s', (_what, text, asked, decision) => {
    expect(by(text, issue(asked))).toMatchObject(decision)
  })

  test('a refusal for another reason comes first where it is enforced, and does not count where it is not', () => {
    const text = `customers: { acme: { kinds: [scoped], allowed_origins: [${OWN}] } }`
    const asked = issue({ allowedOrigin: 'https://evil.example' })

    expect(by(text, asked)).toMatchObject({ code: 'forbidden', reason: 'kind_not_of_customer' })
    expect(by(`mode: audit\n${text}`, asked)).toMatchObject({ reason: 'origin_not_allowed' })
  })
})

describe('terms', () => {
  test('what is configured is passed on as it is, not copied, where the policy says nothing', () => {
    const decision = by('mode: enforce', issue())

    expect(decision.allowed && decision.settings).toBe(configured)
  })

  test('connection tags are those of the customer, and none where it has none', () => {
    const of = (tags: string) => {
      const decision = by(`customers: { acme: { connection_template_tags: ${tags} } }`, issue())
      return decision.allowed ? decision.settings.connectionTags : decision
    }

    expect(of('[gold]')).toEqual({ tags: ['gold'], mode: 'any' })
    expect(of('[]')).toBeNull()
    const none = by('customers: { acme: {} }', issue())
    expect(none).toMatchObject({ settings: { connectionTags: configured.connectionTags } })
  })
})

describe('connection tags of a service', () => {
  const text = 'services: { importer: { customers: any, connection_template_tags: [gold] } }'

  test.each<[string, string[] | undefined, string]>([
    ['that are named and allowed', ['gold'], 'allowed'],
    ['that are named and not allowed', ['gold', 'standard'], 'tags_not_of_service'],
    ['that are configured and not allowed', undefined, 'tags_not_of_service'],
    ['of which there are none', [], 'tags_not_of_service'],
  ])('%s', (_what, connectionTags, outcome) => {
    const decision = by(text, issue({ connectionTags }), service)

    expect(decision.allowed ? 'allowed' : decision.reason).toBe(outcome)
  })
})

test('eviction and introspection know no kinds and no origins', () => {
  const text = `customers: { acme: { kinds: [scoped], allowed_origins: [${OWN}] } }`

  for (const route of ['evict', 'introspect'] as const)
    expect(by(text, { route, customerId: 'acme' })).toMatchObject({ allowed: true, waived: [] })
})
