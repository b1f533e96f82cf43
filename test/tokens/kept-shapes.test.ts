import { describe, expect, test } from 'vitest'
import { createNames, createVariants } from '../../src/tokens/cache-key.ts'
import { createSealer, derivedKey } from '../../src/tokens/seal.ts'
import { openToken, sealToken } from '../../src/tokens/sealed-token.ts'
import type { TokenRequest } from '../../src/tokens/token.ts'

const namesOf = () => createNames('the org secret', ['https://api.example.com', 'embedded'])
const VARIANT = 'widget!23.2.15.0:https://app.example.comeu["any","a","b"]acme-eu'
const request: TokenRequest = {
  customerId: 'acme',
  workspaceName: 'acme-eu',
  type: 'widget',
  allowedOrigin: 'https://app.example.com',
  sourceTags: { tags: ['b', 'a', 'b'], mode: 'any' },
  connectionTags: null,
  tagsAreRequired: true,
  regionId: 'eu',
}

/**
 * Replicas of two versions share a Redis while a fleet is upgraded. Whoever changes one of these raises
 * `FORMAT` too, so that neither takes what the other keeps for its own.
 */
describe('what is kept stays where the version before looks for it', () => {
  test('names', () => {
    const names = namesOf()

    expect([names.upstream, names.customer('acme'), names.token('acme', 'variant')]).toEqual([
      'btyzGFbGwpWKsVU0Fn0F8E',
      'TBVz09m2nruQB5saWsdw6h',
      { customer: 'TBVz09m2nruQB5saWsdw6h', variant: '4cnGiN-kMY4_iRIWhgfAAK' },
    ])
  })

  test('variants', () => {
    const { variantOf } = createVariants()

    expect(variantOf(request)).toBe(VARIANT)
    expect(variantOf({ ...request, tagsAreRequired: false })).toBe(VARIANT.replace('!', '.'))
    expect(variantOf({ ...request, allowedOrigin: null, regionId: null, sourceTags: null })).toBe(
      'widget!0.0.0.0:acme-eu',
    )
  })

  test('the key that is derived', () => {
    expect(derivedKey('the org secret').id).toBe('org-9927f34c')
    expect(derivedKey('the org secret').key).toHaveLength(32)
  })
})

const token = {
  value: 'a token',
  type: 'scoped',
  workspaceId: null,
  receivedAt: 1_700_000_000_000,
  expiresAt: 1_700_000_900_000,
} as const
const placed = { customerId: 'acme', variant: 'variant', token }
const sealer = createSealer([{ id: 'a', key: Buffer.alloc(32, 1) }])
const name = namesOf().token('acme', 'variant')

describe('a sealed token', () => {
  test.each([
    placed,
    { ...placed, token: { ...token, type: 'widget', workspaceId: 'a workspace' } as const },
  ])('opens to what it was, place and all', (each) => {
    expect(openToken(sealer, name, sealToken(sealer, name, each))).toEqual(each)
  })

  test('opens in no other place', () => {
    const sealed = sealToken(sealer, name, placed)

    expect(openToken(sealer, { ...name, customer: 'another' }, sealed)).toBeNull()
    expect(openToken(sealer, { ...name, variant: 'another' }, sealed)).toBeNull()
  })

  test('of another fleet does not open', () => {
    const other = createSealer([{ id: 'a', key: Buffer.alloc(32, 2) }])

    expect(openToken(sealer, name, sealToken(other, name, placed))).toBeNull()
    expect(openToken(sealer, name, 'nonsense')).toBeNull()
  })

  test.each([
    ['too few fields', ['acme', 'variant', 'a token', 'scoped', null, 1]],
    ['another type', ['acme', 'variant', 'a token', 'admin', null, 1, 2]],
    ['an object', { customerId: 'acme' }],
  ])('with %s in it is none', (_what, payload) => {
    const place = `v1 ${name.customer} ${name.variant}`

    expect(openToken(sealer, name, sealer.seal(place, JSON.stringify(payload)))).toBeNull()
  })
})

test.each([
  ['no key', [], 'the key ring is empty'],
  [
    'a short key',
    [{ id: 'a', key: Buffer.alloc(16) }],
    'a cache key has a short plain id and 32 bytes',
  ],
])('a ring with %s says what is wrong', (_what, ring, words) => {
  expect(() => createSealer(ring)).toThrow(words)
})

test('text beyond ASCII comes out as it went in', () => {
  expect(sealer.open('x', sealer.seal('x', 'žluťoučký 🐎'))).toBe('žluťoučký 🐎')
})
