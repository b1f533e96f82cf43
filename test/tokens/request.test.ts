import { describe, expect, test } from 'vitest'
import { BrokerError } from '../../src/errors.ts'
import { type Asked, type RequestSettings, tokenRequest } from '../../src/tokens/request.ts'

const APP = 'https://app.example.com'
const BETA = 'https://beta.example.com'
const EVIL = 'https://evil.example'

const settings = (change: Partial<RequestSettings> = {}): RequestSettings => ({
  workspaceTemplate: '{id}',
  widgetOrigins: [APP, BETA],
  sourceTags: null,
  connectionTags: null,
  regionId: null,
  ...change,
})
const request = (asked: Partial<Asked> = {}, change: Partial<RequestSettings> = {}) =>
  tokenRequest(settings(change), { customerId: 'acme', type: 'widget', ...asked })

test('says everything that decides the token', () => {
  expect(request({ type: 'scoped' }, { regionId: 'eu' })).toEqual({
    customerId: 'acme',
    workspaceName: 'acme',
    type: 'scoped',
    allowedOrigin: null,
    sourceTags: null,
    connectionTags: null,
    tagsAreRequired: false,
    regionId: 'eu',
  })
})

test.each([
  ['{id}', 'acme', 'acme'],
  ['my-{id}', 'acme', 'my-acme'],
  ['{id}/{id}', 'acme', 'acme/acme'],
  ['a-{id}', '$&-$1', 'a-$&-$1'],
])('the template %s makes of %s the workspace %s', (workspaceTemplate, customerId, name) => {
  expect(request({ customerId }, { workspaceTemplate }).workspaceName).toBe(name)
})

describe('the origin of a widget token', () => {
  test.each<[string, Partial<Asked>, readonly string[], string | null]>([
    ['the one that is named', { allowedOrigin: BETA }, [APP, BETA], BETA],
    [
      'the named one, before the page’s',
      { allowedOrigin: BETA, pageOrigin: APP },
      [APP, BETA],
      BETA,
    ],
    ['the page’s, if it is listed', { pageOrigin: BETA }, [APP, BETA], BETA],
    ['the only one, if the page’s is not', { pageOrigin: EVIL }, [APP], APP],
    ['the only one, if nothing is said', {}, [APP], APP],
    ['none, if there are several', {}, [APP, BETA], null],
    [
      'none, if the page’s is not listed, and there are several',
      { pageOrigin: EVIL },
      [APP, BETA],
      null,
    ],
    ['none, if there is none', {}, [], null],
  ])('is %s', (_what, asked, widgetOrigins, origin) => {
    expect(request(asked, { widgetOrigins }).allowedOrigin).toBe(origin)
  })

  test.each(['scoped', 'widget'] as const)(
    'that is named for a %s token must be listed',
    (type) => {
      const refused = () => request({ type, allowedOrigin: EVIL })

      expect(refused).toThrow(BrokerError)
      expect(refused).toThrow('allowed_origin is not one of the configured origins')
      try {
        refused()
      } catch (error) {
        expect(error).toMatchObject({ code: 'origin_not_allowed' })
      }
    },
  )

  test('is on no scoped token', () => {
    expect(request({ type: 'scoped', allowedOrigin: APP }).allowedOrigin).toBeNull()
  })
})

describe.each(['source', 'connection'] as const)('the %s tags', (side) => {
  const tags = `${side}Tags` as const
  const mode = `${side}TagsMode` as const
  const configured = { tags: ['standard'], mode: 'all' } as const

  test.each<[string, Partial<Asked>, RequestSettings['sourceTags'], object | null, boolean]>([
    ['none at all', {}, null, null, false],
    ['those that are configured', {}, configured, configured, false],
    [
      'those that are named, by the configured mode',
      { [tags]: ['gold'] },
      configured,
      { tags: ['gold'], mode: 'all' },
      true,
    ],
    [
      'those that are named, by any',
      { [tags]: ['gold'] },
      null,
      { tags: ['gold'], mode: 'any' },
      true,
    ],
    [
      'the configured ones by the named mode',
      { [mode]: 'any' },
      configured,
      { tags: ['standard'], mode: 'any' },
      true,
    ],
    ['none, if none are named', { [tags]: [] }, configured, null, true],
    ['none, by a mode without tags', { [mode]: 'all' }, null, null, true],
  ])('are %s', (_what, asked, set, chosen, required) => {
    const made = request(asked, { [tags]: set })

    expect(made[tags]).toEqual(chosen)
    expect(made[side === 'source' ? 'connectionTags' : 'sourceTags']).toBeNull()
    expect(made.tagsAreRequired).toBe(required)
  })
})

test('tags are required where the policy says so, whoever named them', () => {
  const asked: Asked = { customerId: 'acme', type: 'scoped' }

  expect(tokenRequest(settings(), asked, true).tagsAreRequired).toBe(true)
  expect(tokenRequest(settings(), asked, false).tagsAreRequired).toBe(false)
})
