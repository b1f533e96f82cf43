import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createNames, createVariants } from '../../src/tokens/cache-key.ts'
import type { TokenRequest } from '../../src/tokens/token.ts'

const tags = fc.option(
  fc.record({
    tags: fc.array(fc.string({ maxLength: 4 }), { minLength: 1, maxLength: 4 }),
    mode: fc.constantFrom('any' as const, 'all' as const),
  }),
)
// Few and short, so that two requests often share parts, and parts often look like each other's.
const text = fc.string({ unit: fc.constantFrom('a', '.', '1', ':', '"', ']', '!'), maxLength: 3 })
const requests: fc.Arbitrary<TokenRequest> = fc.record({
  customerId: text,
  workspaceName: text,
  type: fc.constantFrom('scoped' as const, 'widget' as const),
  allowedOrigin: fc.option(fc.constantFrom('a', 'a.1')),
  sourceTags: tags,
  connectionTags: tags,
  tagsAreRequired: fc.boolean(),
  regionId: fc.option(fc.constantFrom('a', '1.a')),
})

/** What decides a token, said in another way than the code does. */
const meaning = (request: TokenRequest) =>
  JSON.stringify({
    ...request,
    customerId: '',
    sourceTags: request.sourceTags && {
      mode: request.sourceTags.mode,
      tags: [...new Set(request.sourceTags.tags)].sort(),
    },
    connectionTags: request.connectionTags && {
      mode: request.connectionTags.mode,
      tags: [...new Set(request.connectionTags.tags)].sort(),
    },
  })

test('two requests share a variant exactly when everything that decides the token is the same', () => {
  const { variantOf, termsOf, partsOf } = createVariants()
  fc.assert(
    fc.property(requests, requests, (one, other) => {
      expect(variantOf(one) === variantOf(other)).toBe(meaning(one) === meaning(other))
      const parts = partsOf(variantOf(one))
      expect(parts).toEqual({ terms: termsOf(one), workspaceName: one.workspaceName })
      const isOther = parts.terms === termsOf(other) && parts.workspaceName === other.workspaceName
      expect(isOther).toBe(meaning(one) === meaning(other))
    }),
    { numRuns: 5_000 },
  )
})

test('changing one part alone changes the variant', () => {
  const { variantOf, termsOf, partsOf } = createVariants()
  fc.assert(
    fc.property(requests, requests, fc.nat(), (one, other, at) => {
      const keys = Object.keys(one).filter((key) => key !== 'customerId')
      const key = keys[at % keys.length] ?? ''
      const mixed = { ...one, [key]: Object.entries(other).find(([name]) => name === key)?.[1] }
      expect(variantOf(one) === variantOf(mixed)).toBe(meaning(one) === meaning(mixed))
      expect(partsOf(variantOf(mixed))).toEqual({
        terms: termsOf(mixed),
        workspaceName: mixed.workspaceName,
      })
    }),
    { numRuns: 5_000 },
  )
})

test.each(['', 'scoped', 'scoped.0.0.0.0', 'x!1.1.1.1', '😀'])(
  'a variant that is none of ours, %j, is no request at all',
  (variant) => {
    expect(createVariants().partsOf(variant)).toEqual({ terms: variant, workspaceName: '' })
  },
)

test('names in Redis differ by customer, variant, upstream and secret, and are HMACs of fixed length', () => {
  const names = createNames('secret', ['api', 'dialect'])
  const name = names.token('customer-1', 'v')

  expect(createNames('secret', ['api', 'dialect']).token('customer-1', 'v')).toEqual(name)
  expect(Object.values(name).every((part) => /^[\w-]{22}$/.test(part))).toBe(true)
  const others = [
    names.token('customer-2', 'v'),
    names.token('customer-1', 'w'),
    createNames('secret', ['api', 'other']).token('customer-1', 'v'),
    createNames('secret', ['apidialect']).token('customer-1', 'v'),
    createNames('another', ['api', 'dialect']).token('customer-1', 'v'),
  ]
  expect(new Set([name, ...others].map(({ variant }) => variant)).size).toBe(6)
})

test('a customer has one name whatever the upstream, so that evictions and first mints meet', () => {
  const one = createNames('secret', ['embedded'])
  const other = createNames('secret', ['applications'])

  expect(other.customer('customer-1')).toBe(one.customer('customer-1'))
  expect(other.upstream).not.toBe(one.upstream)
  expect(createNames('another', ['embedded']).customer('customer-1')).not.toBe(
    one.customer('customer-1'),
  )
})
