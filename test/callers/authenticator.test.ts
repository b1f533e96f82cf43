import { expect, test } from 'vitest'
import type { Caller, Credentials } from '../../src/callers/caller.ts'
import {
  bearer,
  credentials,
  jwtSettings,
  serviceKey,
  startAuthenticator,
} from './authenticating.ts'
import { startIdentityProvider } from './identity-provider.ts'

const key = 'a-service-key-of-32-characters!!'
const billing: Caller = { kind: 'service', name: 'billing' }
const keys = { serviceKeys: [serviceKey('billing', key)] }

const ways: [string, Partial<Credentials>, Caller | string][] = [
  ['a key as a bearer token', { authorization: `Bearer ${key}` }, billing],
  ['the scheme in small letters', { authorization: `bearer ${key}` }, billing],
  ['the scheme in capitals', { authorization: `BEARER ${key}` }, billing],
  ['several blanks', { authorization: `Bearer   ${key}` }, billing],
  ['a key in X-API-Key', { apiKey: key }, billing],
  ['a key, and a cookie that does not count', { apiKey: key, cookie: 'sid=1' }, billing],
  ['a wrong key', { authorization: 'Bearer nobody-knows-this-key-here' }, 'unauthenticated (sent)'],
  ['a wrong key in X-API-Key', { apiKey: 'nobody-knows-this-key-here' }, 'unauthenticated (sent)'],
  ['a key with a letter less', { apiKey: key.slice(0, -1) }, 'unauthenticated (sent)'],
  ['a key with a letter more', { apiKey: `${key}x` }, 'unauthenticated (sent)'],
  ['a key in other case', { apiKey: key.toUpperCase() }, 'unauthenticated (sent)'],
  [
    'the digest in place of the key',
    { apiKey: keys.serviceKeys[0]?.digest.toString('hex') },
    'unauthenticated (sent)',
  ],
  ['name and key', { apiKey: `billing:${key}` }, 'unauthenticated (sent)'],
  ['8 KiB of key', { apiKey: key.repeat(256) }, 'unauthenticated (sent)'],
  ['both headers', { authorization: `Bearer ${key}`, apiKey: key }, 'invalid_request'],
  ['both headers, one of them empty', { authorization: '', apiKey: key }, 'invalid_request'],
  ['nothing', {}, 'unauthenticated'],
  ['a cookie, where no sessions are checked', { cookie: 'sid=1' }, 'unauthenticated'],
  ['another scheme', { authorization: `Basic ${btoa(`billing:${key}`)}` }, 'unauthenticated'],
  ['no scheme', { authorization: key }, 'unauthenticated'],
  ['the scheme alone', { authorization: 'Bearer' }, 'unauthenticated'],
  ['the scheme and a blank', { authorization: 'Bearer ' }, 'unauthenticated'],
  ['an empty header', { authorization: '' }, 'unauthenticated'],
  ['an empty X-API-Key', { apiKey: '' }, 'unauthenticated'],
  ['the scheme without a blank', { authorization: `Bearer${key}` }, 'unauthenticated'],
]

test.each(ways)('service keys alone: %s', async (_what, over, expected) => {
  const { outcome, recognise } = startAuthenticator(keys)
  const asked = credentials(over)

  expect(recognise(asked)).toEqual(typeof expected === 'string' ? undefined : expected)
  expect(await outcome(asked)).toEqual(expected)
})

test('two keys count for one name while they are rotated, and the old one stops when it is taken out', async () => {
  const next = 'the-next-key-of-32-characters!!!'
  const { outcome, reload } = startAuthenticator({
    serviceKeys: [...keys.serviceKeys, serviceKey('billing', next)],
  })

  expect(await outcome(bearer(key))).toEqual(billing)
  expect(await outcome(bearer(next))).toEqual(billing)
  reload({ serviceKeys: [serviceKey('billing', next)] })
  expect(await outcome(bearer(key))).toBe('unauthenticated (sent)')
  expect(await outcome(bearer(next))).toEqual(billing)
})

test('AUTH=none: everybody is anyone, whatever is sent', async () => {
  const { outcome, recognise } = startAuthenticator({ anyone: true })

  expect(recognise(credentials({}))).toEqual({ kind: 'anyone' })
  expect(await outcome(bearer('x'))).toEqual({ kind: 'anyone' })
  expect(await outcome(credentials({ authorization: 'Bearer x', apiKey: 'y' }))).toEqual({
    kind: 'anyone',
  })
})

test('keys, JWTs and sessions side by side: a header keeps the cookie out, and each credential finds its way', async () => {
  const idp = await startIdentityProvider()
  const session = {
    checkUrl: `${idp.url}/session`,
    ttlMs: 1000,
    cookieNames: null,
    allowedOrigins: [],
  }
  const dotted = 'a.key.with-two-dots-in-itself'
  const { outcome, recognise } = startAuthenticator({
    serviceKeys: [...keys.serviceKeys, serviceKey('dotted', dotted)],
    jwt: jwtSettings({ issuer: idp.url }),
    session,
  })
  const cookie = { cookie: 'sid=1', requestedWith: 'x' }
  const jwt = await idp.token()

  expect(await outcome(bearer(key))).toEqual(billing)
  expect(await outcome(bearer(dotted))).toEqual({ kind: 'service', name: 'dotted' })
  expect(await outcome(bearer(jwt))).toMatchObject({ kind: 'user' })
  expect(await outcome(credentials({ ...cookie, authorization: 'Bearer wrong' }))).toBe(
    'unauthenticated (sent)',
  )
  expect(await outcome(credentials({ ...cookie, authorization: 'Basic eDp5' }))).toBe(
    'unauthenticated',
  )
  expect(await outcome(credentials({ ...cookie, apiKey: jwt }))).toBe('unauthenticated (sent)')
  expect(idp.asked).not.toContain('/session')
  expect(await outcome(credentials(cookie))).toBe('caller_check_unavailable')
  expect(idp.asked).toContain('/session')
  expect(recognise(bearer(jwt))).toMatchObject({ kind: 'user' })
})

test('a verified JWT is recognised until it expires, not for the leeway', async () => {
  const idp = await startIdentityProvider()
  const { outcome, recognise, clock } = startAuthenticator({
    jwt: jwtSettings({ issuer: idp.url }),
  })
  const exp = Math.floor(clock.ms / 1000) + 60
  const token = bearer(await idp.token({ exp }))

  expect(recognise(token)).toBeUndefined()
  const caller = await outcome(token)
  expect(recognise(token)).toBe(caller)
  clock.ms = exp * 1000 - 1
  expect(recognise(token)).toBe(caller)
  clock.ms = exp * 1000
  expect(recognise(token)).toBeUndefined()
  expect(await outcome(token)).toMatchObject({ kind: 'user' })
  clock.ms = (exp + 30) * 1000
  expect(await outcome(token)).toBe('unauthenticated (sent)')
})

test('who the caller is does not tell the subject', async () => {
  const idp = await startIdentityProvider()
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })

  const one = await outcome(bearer(await idp.token({ sub: 'ada@example.com' })))
  const again = await outcome(bearer(await idp.token({ sub: 'ada@example.com', jti: '2' })))
  const other = await outcome(bearer(await idp.token({ sub: 'bob@example.com' })))

  expect(JSON.stringify([one, again, other])).not.toContain('example.com')
  expect(again).toEqual(one)
  expect(other).not.toEqual(one)
})

test('no credential, right or wrong, is in the log or in an error', async () => {
  const idp = await startIdentityProvider()
  const { verify, logged } = startAuthenticator({ ...keys, jwt: jwtSettings({ issuer: idp.url }) })
  const secrets = [
    await idp.token({ aud: 'other', sub: 'ada@example.com' }),
    `${key}-nearly`,
    'a.b.c',
  ]

  for (const secret of secrets) {
    const error: unknown = await verify(bearer(secret)).catch((failure: unknown) => failure)
    const { cause, message } = error instanceof Error ? error : new Error('passed')
    const told = `${message} ${JSON.stringify(cause)} ${logged.join()}`
    expect(told).not.toContain(secret)
    expect(told).not.toContain('ada@')
  }
})
