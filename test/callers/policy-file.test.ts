import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { PolicyFileError, readPolicy } from '../../src/callers/policy-file.ts'
import { problemsOf } from '../support/policy-problems.ts'

const read = (text: string) => readPolicy(text, { allowInsecure: false })

test('the example is valid', () => {
  const policy = read(readFileSync('deploy/policy.example.yaml', 'utf8'))

  expect(policy.services?.get('importer')?.kinds).toEqual(['widget'])
  expect(policy.customers.get('acme')).toMatchObject({
    allowedOrigins: ['https://connect.acme.example'],
    limit: { max: 1000, windowMs: 900_000 },
  })
})

test('JSON does as well', () => {
  const policy = read(
    '{ "mode": "audit", "customers": { "acme": { "rate_limit": { "max": 5, "window": "1m" } } } }',
  )

  expect(policy.mode).toBe('audit')
  expect(policy.customers.get('acme')).toEqual({ limit: { max: 5, windowMs: 60_000 } })
})

test('ids stay as they are written', () => {
  const policy = read(
    'customers:\n  007: {}\n  1e3: {}\n  true: {}\n  null: {}\n  no: {}\n  0x10: {}\n  constructor: {}\n',
  )

  expect([...policy.customers.keys()].sort()).toEqual([
    '007',
    '0x10',
    '1e3',
    'constructor',
    'no',
    'null',
    'true',
  ])
})

describe('mistakes are told by line and name, never by value', () => {
  test.each([
    ['', 'line 1: the file has no settings in it'],
    ['# nothing\n', 'line 1: the file has no settings in it'],
    ['- a\n', 'line 1: the file has no settings in it'],
    ['mode: strict\n', 'line 1: mode: is neither enforce nor audit'],
    ['\nmod: audit\n', 'line 2: mod: there is no such setting'],
    [
      'customers:\n  acme:\n    kind: [scoped]\n',
      'line 3: customers.acme.kind: there is no such setting',
    ],
    [
      'customers:\n  acme:\n    kinds: [scoped, admin]\n',
      'line 3: customers.acme.kinds.1: is neither scoped nor widget',
    ],
    [
      'customers:\n  acme:\n    kinds:\n      - scoped\n      - admin\n',
      'line 5: customers.acme.kinds.1: is neither scoped nor widget',
    ],
    ['customers:\n  acme:\n    kinds: []\n', 'line 3: customers.acme.kinds: is empty'],
    ['customers:\n  acme:\n', 'line 2: customers.acme: is not a rule'],
    ['customers: [acme]\n', 'line 1: customers: is not a list of names with a rule each'],
    [
      'customers:\n  acme:\n    allowed_origins: [https://a.example/]\n',
      'line 3: customers.acme.allowed_origins.0: is not an exact origin such as https://app.example.com',
    ],
    [
      'customers:\n  acme:\n    allowed_origins: ["*"]\n',
      'line 3: customers.acme.allowed_origins.0: is not an exact origin such as https://app.example.com',
    ],
    [
      'customers:\n  acme:\n    rate_limit: { max: 0, window: 1m }\n',
      'line 3: customers.acme.rate_limit.max: is not a whole number from 1 to 1000000000',
    ],
    [
      'customers:\n  acme:\n    rate_limit: { max: 1 }\n',
      'line 3: customers.acme.rate_limit.window: ',
    ],
    [
      'customers:\n  acme:\n    region_id: somewhere\n',
      'line 3: customers.acme.region_id: is not a UUID',
    ],
    [
      'customers:\n  acme:\n    source_template_tags_mode: all\n',
      'line 3: customers.acme.source_template_tags_mode: goes together with source_template_tags',
    ],
    [
      'customers:\n  acme:\n    group: gold\n',
      'line 3: customers.acme.group: there is no such group',
    ],
    [
      'groups:\n  a: { members: [x] }\n  b:\n    members:\n      - y\n      - x\n',
      'line 6: groups.b.members.1: is a member of a group already',
    ],
    [
      'groups:\n  a: { members: [x] }\n  b: {}\ncustomers:\n  x: { group: b }\n',
      'line 5: customers.x.group: is a member of a group already',
    ],
    ['services:\n  billing: {}\n', 'line 2: services.billing.customers: '],
    [
      'services:\n  billing: { customers: all }\n',
      'line 2: services.billing.customers: is neither any nor a list of customers',
    ],
    [
      'services:\n  billing: { customers: [{ prefix: "" }] }\n',
      'line 2: services.billing.customers',
    ],
    [
      'services:\n  billing: { customers: any, source_template_tags: [] }\n',
      'line 2: services.billing.source_template_tags: is empty',
    ],
    ['known_customers: some\n', 'line 1: known_customers: '],
    [
      'known_customers: { url: "http://backend.example.com/" }\n',
      'line 1: known_customers.url: must be https, unless ALLOW_INSECURE_UPSTREAM=true is set',
    ],
    ['known_customers: { url: "ftp://x" }\n', 'line 1: known_customers'],
    ['customers:\n  acme: {}\n  acme: {}\n', 'line 3: the same name stands twice'],
    ['customers:\n  acme: {\n', 'line '],
    ['a: &x [1]\nb: *x\n', 'line 2: aliases are not understood; use a group'],
    ['customers:\n  __proto__: { kinds: [scoped] }\n', 'line 2: no rule can have this name'],
    ['customers:\n  ? [a]\n  : {}\n', 'line 1: a name is not text'],
  ])('%j', (text, problem) => {
    const problems = problemsOf(text)

    expect(
      problems.some((told) => told.startsWith(problem)),
      problems.join('\n'),
    ).toBe(true)
    expect(problems.join()).not.toMatch(/admin|strict|somewhere|backend\.example/)
  })

  test('all of them at once', () => {
    expect(problemsOf('mode: x\ncustomers:\n  acme: { kinds: [y] }\n')).toHaveLength(2)
  })
})

test('the SaaS backend may be asked in clear text on this machine, and elsewhere if that is said', () => {
  const text = (url: string) => `known_customers: { url: "${url}", ttl: 1m }`

  expect(read(text('http://127.0.0.1:3000/c/{id}')).knownCustomers).toEqual({
    url: 'http://127.0.0.1:3000/c/{id}',
    ttlMs: 60_000,
    timeoutMs: 3000,
  })
  expect(() => read(text('http://backend.internal.example/{id}'))).toThrow(PolicyFileError)
  expect(
    readPolicy(text('http://backend.internal.example/{id}'), { allowInsecure: true }),
  ).toBeDefined()
})
