import { createHmac } from 'node:crypto'
import { exportSPKI, importJWK, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { bearer, jwtSettings, startAuthenticator } from './authenticating.ts'
import { startIdentityProvider } from './identity-provider.ts'

const now = Math.floor(Date.now() / 1000)
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

type Provider = Awaited<ReturnType<typeof startIdentityProvider>>
type MakeToken = (provider: Provider) => Promise<string>

const accepted: [string, MakeToken][] = [
  ['one that is right', (idp) => idp.token()],
  ['our audience among others', (idp) => idp.token({ aud: ['other', 'broker', 'third'] })],
  ['expired within the leeway', (idp) => idp.token({ exp: now - 20 })],
  ['valid from within the leeway on', (idp) => idp.token({ nbf: now + 20 })],
  ['typ JWT', (idp) => idp.token({}, { typ: 'JWT' })],
  ['typ at+jwt', (idp) => idp.token({}, { typ: 'at+jwt' })],
  ['typ application/AT+JWT', (idp) => idp.token({}, { typ: 'application/AT+JWT' })],
  ['no subject', (idp) => idp.token({ sub: undefined })],
  ['8 KiB of claims', (idp) => idp.token({ filler: 'x'.repeat(8192) })],
  ['a jku that points elsewhere', (idp) => idp.token({}, { jku: 'http://127.0.0.1:1/keys' })],
]

test.each(accepted)('a JWT passes: %s', async (_what, make) => {
  const idp = await startIdentityProvider()
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })

  const caller = await outcome(bearer(await make(idp)))

  expect(caller).toMatchObject({ kind: 'user', customerIds: new Set(['acme']) })
  expect(idp.asked).toEqual(['/.well-known/openid-configuration', '/keys'])
})

/** By a key of its own, offered along in the header. */
async function selfSigned(idp: Provider, field: 'jwk' | 'x5c' | 'jku') {
  const stranger = await startIdentityProvider()
  const header = {
    jwk: stranger.publicJwk('first'),
    x5c: ['MIIB'],
    jku: stranger.keysUrl,
  }
  return stranger.token({ iss: idp.url }, { kid: 'first', [field]: header[field] })
}

/** The public key as the secret of an HMAC. */
async function confused(idp: Provider, format: 'pem' | 'jwk') {
  const jwk = idp.publicJwk('first') ?? {}
  const key = await importJWK(jwk, 'ES256', { extractable: true })
  const text =
    format === 'jwk' || key instanceof Uint8Array ? JSON.stringify(jwk) : await exportSPKI(key)
  const signed = `${part({ alg: 'HS256', kid: 'first' })}.${part({ iss: idp.url, aud: 'broker', exp: now + 600, customer_id: 'acme' })}`
  return `${signed}.${createHmac('sha256', text).update(signed).digest('base64url')}`
}

const withPart = (token: string, index: number, value: string) =>
  token
    .split('.')
    .map((old, at) => (at === index ? value : old))
    .join('.')

const refused: [string, MakeToken][] = [
  ['expired', (idp) => idp.token({ exp: now - 31 })],
  ['without exp', (idp) => idp.token({ exp: undefined })],
  ['exp as text', (idp) => idp.token({ exp: String(now + 600) })],
  ['not yet valid', (idp) => idp.token({ nbf: now + 60 })],
  ['another issuer', (idp) => idp.token({ iss: 'https://evil.example' })],
  ['the issuer with a slash behind', (idp) => idp.token({ iss: `${idp.url}/` })],
  ['no issuer', (idp) => idp.token({ iss: undefined })],
  ['the issuer in a list', (idp) => idp.token({ iss: [idp.url] })],
  ['another audience', (idp) => idp.token({ aud: 'other' })],
  ['many audiences without ours', (idp) => idp.token({ aud: ['*', 'broker2', 'BROKER'] })],
  ['no audience', (idp) => idp.token({ aud: undefined })],
  ['a logout token', (idp) => idp.token({}, { typ: 'logout+jwt' })],
  ['a DPoP proof', (idp) => idp.token({}, { typ: 'dpop+jwt' })],
  ['bound to a key of its holder', (idp) => idp.token({ cnf: { jkt: 'x' } })],
  ['an unknown critical header', (idp) => unknownCritical(idp)],
  [
    'alg none',
    async (idp) => withPart(withPart(await idp.token(), 0, part({ alg: 'none' })), 2, ''),
  ],
  [
    'alg None',
    async (idp) => withPart(withPart(await idp.token(), 0, part({ alg: 'None' })), 2, ''),
  ],
  ['HMAC by the public key in PEM', (idp) => confused(idp, 'pem')],
  ['HMAC by the public key as JWK', (idp) => confused(idp, 'jwk')],
  ['an algorithm that is not listed', (idp) => otherAlgorithm(idp, 'ES384')],
  ['a key of its own in jwk', (idp) => selfSigned(idp, 'jwk')],
  ['a key of its own in x5c', (idp) => selfSigned(idp, 'x5c')],
  ['a key set of its own in jku', (idp) => selfSigned(idp, 'jku')],
  [
    'other claims under the signature',
    async (idp) =>
      withPart(
        await idp.token(),
        1,
        part({ iss: idp.url, aud: 'broker', exp: now + 600, customer_id: 'other' }),
      ),
  ],
  [
    'a signature with a bit turned',
    async (idp) => {
      const token = await idp.token()
      const at = token.lastIndexOf('.') + 5
      return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    },
  ],
  ['no signature', async (idp) => withPart(await idp.token(), 2, '')],
  ['claims that are no object', async (idp) => withPart(await idp.token(), 1, part('x'))],
  ['a header that is no JSON', async (idp) => withPart(await idp.token(), 0, 'eyJ')],
  ['two parts', async (idp) => (await idp.token()).split('.').slice(0, 2).join('.')],
  ['five parts', async (idp) => `${await idp.token()}.a.b`],
  ['8 KiB of nothing', async () => 'x'.repeat(8192)],
  ['8 KiB of dots', async () => '.'.repeat(8192)],
]

async function unknownCritical(idp: Provider) {
  const { publicJwk } = idp
  expect(publicJwk('first')).toBeDefined()
  return withPart(await idp.token(), 0, part({ alg: 'ES256', kid: 'first', crit: ['x'], x: 1 }))
}

async function otherAlgorithm(idp: Provider, alg: string) {
  await idp.addKey('second', alg)
  return idp.token({}, { kid: 'second' })
}

test.each(refused)('a JWT is refused: %s', async (_what, make) => {
  const idp = await startIdentityProvider()
  const { outcome, recognise } = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })
  const token = await make(idp)

  expect(await outcome(bearer(token))).toBe('unauthenticated (sent)')
  expect(recognise(bearer(token))).toBeUndefined()
})

test('every asymmetric algorithm of the default list works', async () => {
  const idp = await startIdentityProvider()
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) await idp.addKey(alg, alg)

  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA'])
    expect(await outcome(bearer(await idp.token({}, { kid: alg })))).toMatchObject({ kind: 'user' })
})

test('a token without a key id is tried with every key that fits, and only with those', async () => {
  const idp = await startIdentityProvider()
  await idp.addKey('second')
  await idp.addKey('third')
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })
  // Dropped when the header is written.
  const noKid: object = { kid: undefined }
  const stranger = await startIdentityProvider()

  for (const key of ['first', 'second', 'third'])
    expect(await outcome(bearer(await idp.token({}, noKid, key)))).toMatchObject({ kind: 'user' })
  expect(await outcome(bearer(await stranger.token({ iss: idp.url }, noKid)))).toBe(
    'unauthenticated (sent)',
  )
})

test('with a shared secret, HS256 by it passes and nothing else', async () => {
  const secret = Buffer.from('a secret of thirty-two bytes or more')
  const idp = await startIdentityProvider()
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ secret }) })
  const sign = (alg: string, key: Uint8Array) =>
    new SignJWT({ aud: 'broker', sub: 'ada', exp: now + 600, customer_id: ['acme', 'globex'] })
      .setProtectedHeader({ alg })
      .sign(key)

  expect(await outcome(bearer(await sign('HS256', secret)))).toMatchObject({
    customerIds: new Set(['acme', 'globex']),
  })
  expect(await outcome(bearer(await sign('HS512', Buffer.concat([secret, secret]))))).toBe(
    'unauthenticated (sent)',
  )
  expect(await outcome(bearer(await sign('HS256', Buffer.from('x'.repeat(40)))))).toBe(
    'unauthenticated (sent)',
  )
  expect(await outcome(bearer(await idp.token()))).toBe('unauthenticated (sent)')
})

test('with a shared secret, a JWT is verified once for as long as it lives, or the secret does', async () => {
  const secret = Buffer.from('a secret of thirty-two bytes or more')
  const settings = { jwt: jwtSettings({ secret }) }
  const { outcome, recognise, reload, clock } = startAuthenticator(settings)
  const exp = now + 3 * 3600
  const token = bearer(
    await new SignJWT({ aud: 'broker', sub: 'ada', exp, customer_id: 'acme' })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret),
  )
  const caller = await outcome(token)

  clock.ms = exp * 1000 - 1
  expect(recognise(token)).toBe(caller)
  reload({ jwt: jwtSettings({ secret: Buffer.from(secret) }) })
  expect(recognise(token)).toBe(caller)
  reload({ jwt: jwtSettings({ secret: Buffer.from(String(secret).toUpperCase()) }) })
  expect(recognise(token)).toBeUndefined()
  expect(await outcome(token)).toBe('unauthenticated (sent)')
  clock.ms = exp * 1000
  reload(settings)
  expect(recognise(token)).toBeUndefined()
})

test('a key set alone accepts any issuer, and still asks for the audience', async () => {
  const idp = await startIdentityProvider()
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ jwksUrl: idp.keysUrl }) })

  expect(await outcome(bearer(await idp.token({ iss: 'https://any.example' })))).toMatchObject({
    kind: 'user',
  })
  expect(await outcome(bearer(await idp.token({ aud: 'other' })))).toBe('unauthenticated (sent)')
  expect(idp.asked).toEqual(['/keys'])
})

test('with an issuer and a key set, the keys come from the set and the issuer must match', async () => {
  const idp = await startIdentityProvider()
  const issuer = 'https://login.example.com/'
  const { outcome } = startAuthenticator({ jwt: jwtSettings({ issuer, jwksUrl: idp.keysUrl }) })

  expect(await outcome(bearer(await idp.token({ iss: issuer })))).toMatchObject({ kind: 'user' })
  expect(await outcome(bearer(await idp.token()))).toBe('unauthenticated (sent)')
  expect(idp.asked).toEqual(['/keys'])
})
