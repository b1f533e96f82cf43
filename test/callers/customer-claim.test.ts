import { expect, test } from 'vitest'
import { claimedCustomers } from '../../src/callers/customer-claim.ts'

const long = 'x'.repeat(128)

const claims: [string, Record<string, unknown>, string, string[]][] = [
  ['a string', { customer_id: 'acme' }, 'customer_id', ['acme']],
  ['an array', { customer_id: ['acme', 'globex'] }, 'customer_id', ['acme', 'globex']],
  ['a dotted path', { app: { customer: { id: 'acme' } } }, 'app.customer.id', ['acme']],
  ['an array at the end of a path', { app: { ids: ['a', 'b'] } }, 'app.ids', ['a', 'b']],
  ['a URI', { 'https://acme.com/customer_id': 'acme' }, 'https://acme.com/customer_id', ['acme']],
  ['a name with dots before a path', { 'a.b': 'name', a: { b: 'path' } }, 'a.b', ['name']],
  [
    'a name with dots that names nobody, before a path',
    { 'a.b': null, a: { b: 'path' } },
    'a.b',
    [],
  ],
  ['a URI is no path', { 'https://acme': { 'com/id': 'acme' } }, 'https://acme.com/id', []],
  ['the longest id', { customer_id: long }, 'customer_id', [long]],
  ['too long an id', { customer_id: `${long}x` }, 'customer_id', []],
  ['nothing', {}, 'customer_id', []],
  ['an empty string', { customer_id: '' }, 'customer_id', []],
  ['a number', { customer_id: 42 }, 'customer_id', []],
  ['true', { customer_id: true }, 'customer_id', []],
  ['null', { customer_id: null }, 'customer_id', []],
  ['an object', { customer_id: { id: 'acme' } }, 'customer_id', []],
  ['arrays in an array', { customer_id: [['acme']] }, 'customer_id', []],
  ['good and bad ids', { customer_id: ['acme', 1, '', null, 'b'] }, 'customer_id', ['acme', 'b']],
  ['no trimming, no folding', { customer_id: [' acme', 'ACME'] }, 'customer_id', [' acme', 'ACME']],
  ['what every object inherits', {}, 'constructor.name', []],
  ['what every object inherits, by its name', {}, '__proto__', []],
  ['what every string inherits', { a: 'x' }, 'a.length', []],
  ['a place in an array', { a: ['acme'] }, 'a.0', []],
  ['a path through null', { a: null }, 'a.b', []],
  ['an empty step', { a: { '': { b: 'acme' } } }, 'a..b', ['acme']],
]

test.each(claims)('the customers of a claim: %s', (_what, payload, name, expected) => {
  expect([...claimedCustomers(payload, name)]).toEqual(expected)
})
