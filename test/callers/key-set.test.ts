import { expect, test } from 'vitest'
import { bearer, jwtSettings, startAuthenticator } from './authenticating.ts'
import { type Answer, answers, startIdentityProvider } from './identity-provider.ts'

async function start() {
  const idp = await startIdentityProvider()
  const auth = startAuthenticator({ jwt: jwtSettings({ issuer: idp.url }) })
  const fetches = () => idp.asked.filter((path) => path === '/keys').length
  return { idp, ...auth, fetches }
}

test('keys that are rotated count at once, without a restart', async () => {
  const { idp, outcome, fetches } = await start()
  await outcome(bearer(await idp.token()))

  await idp.rotateTo('second')

  expect(await outcome(bearer(await idp.token()))).toMatchObject({ kind: 'user' })
  expect(fetches()).toBe(2)
})

test('a flood of unknown key ids costs the provider one fetch per cool-down', async () => {
  const { idp, outcome, fetches, clock } = await start()
  const strange = async (name: string) =>
    bearer(await idp.token({ jti: name }, { kid: name }, 'first'))
  await outcome(bearer(await idp.token()))

  const atOnce = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => outcome(await strange(`kid-${n}`))),
  )
  const afterwards = await outcome(await strange('one-more'))

  expect(new Set([...atOnce, afterwards])).toEqual(new Set(['unauthenticated (sent)']))
  expect(fetches()).toBe(2)
  clock.ms += 10_000
  await outcome(await strange('later'))
  expect(fetches()).toBe(3)
})

test('callers whose keys are known are not locked out while the provider is away', async () => {
  const { idp, outcome, clock, logged } = await start()
  await outcome(bearer(await idp.token({ jti: '1' })))
  idp.answer('/keys', answers.json({}, 500))

  for (const minutes of [11, 60, 600]) {
    clock.ms += minutes * 60_000
    const exp = Math.floor(clock.ms / 1000) + 600
    expect(await outcome(bearer(await idp.token({ exp, jti: String(minutes) })))).toMatchObject({
      kind: 'user',
    })
  }
  expect(logged.join()).toContain('"keysKept":true')
})

test('a key that was withdrawn stops to count within ten minutes', async () => {
  const { idp, outcome, recognise, clock } = await start()
  await idp.addKey('leaked')
  const exp = Math.floor(clock.ms / 1000) + 86_400
  const token = bearer(await idp.token({ exp }, { kid: 'leaked' }))
  expect(await outcome(token)).toMatchObject({ kind: 'user' })

  idp.withdraw('leaked')
  clock.ms += 10 * 60_000 + 1

  expect(recognise(token)).toBeUndefined()
  expect(await outcome(token)).toBe('unauthenticated (sent)')
})

test('an unknown key id while the provider is away is not said to be a wrong credential', async () => {
  const { idp, outcome } = await start()
  await outcome(bearer(await idp.token()))
  idp.answer('/keys', answers.dropped())
  await idp.rotateTo('second')

  expect(await outcome(bearer(await idp.token({ jti: '1' })))).toBe('caller_check_unavailable')
  expect(await outcome(bearer(await idp.token({ jti: '2' })))).toBe('caller_check_unavailable')
})

const discovery = '/.well-known/openid-configuration'
const useless: [string, string, Answer][] = [
  ['the discovery document is not there', discovery, answers.json({}, 404)],
  [
    'the discovery document is of another issuer',
    discovery,
    answers.json({ issuer: 'https://x.example', jwks_uri: 'https://x.example/keys' }),
  ],
  ['the discovery document redirects', discovery, answers.redirect('/elsewhere')],
  ['the discovery document is HTML', discovery, answers.json('<html></html>')],
  ['the key set redirects', '/keys', answers.redirect('/other-keys')],
  ['the key set is not JSON', '/keys', answers.json('keys')],
  ['the key set is a list', '/keys', answers.json([])],
  ['the key set has no keys in it that are objects', '/keys', answers.json({ keys: ['x'] })],
  ['the key set never ends', '/keys', answers.endless()],
  ['the connection drops', '/keys', answers.dropped()],
]

test.each(useless)('nobody passes, and nobody is blamed, when %s', async (_what, path, answer) => {
  const { idp, outcome, clock } = await start()
  const token = bearer(await idp.token())
  idp.answer(path, answer)

  expect(await outcome(token)).toBe('caller_check_unavailable')

  const askedBefore = idp.asked.length
  expect(await outcome(token)).toBe('caller_check_unavailable')
  expect(idp.asked.length).toBe(askedBefore)
  idp.answerAgain(path)
  clock.ms += 1000
  expect(await outcome(token)).toMatchObject({ kind: 'user' })
})

test.each([
  ['does not answer', answers.never()],
  ['stops in the middle', answers.stalls()],
])('a provider that %s is given up after the time limit', async (_what, answer) => {
  const idp = await startIdentityProvider()
  idp.answer('/keys', answer)
  const { outcome, logged } = startAuthenticator({
    jwt: jwtSettings({ jwksUrl: idp.keysUrl, timeoutMs: 100 }),
  })

  expect(await outcome(bearer(await idp.token()))).toBe('caller_check_unavailable')
  expect(logged.join()).toContain('TIMEOUT')
})

test('a key set that never ends is given up at its size, not at the time limit', async () => {
  const { idp, outcome, logged } = await start()
  idp.answer('/keys', answers.endless())

  expect(await outcome(bearer(await idp.token()))).toBe('caller_check_unavailable')
  expect(logged.join()).toContain('TOO_LARGE')
})

test('keys are not fetched in clear text over a network', async () => {
  const { idp, outcome, logged } = await start()
  idp.answer(discovery, answers.json({ issuer: idp.url, jwks_uri: 'http://idp.example.com/keys' }))

  expect(await outcome(bearer(await idp.token()))).toBe('caller_check_unavailable')
  expect(logged.join()).toContain('the key set is not at https')
})

test('keys that are no use beside good ones do no harm', async () => {
  const { idp, outcome } = await start()
  idp.answer(
    '/keys',
    answers.json({
      keys: [
        { kty: 'oct', kid: 'first', k: 'c2VjcmV0', alg: 'HS256' },
        { kty: 'EC', crv: 'P-256', kid: 'first', use: 'enc' },
        { kty: 'future', kid: 'first' },
        idp.publicJwk('first'),
      ],
    }),
  )

  expect(await outcome(bearer(await idp.token()))).toMatchObject({ kind: 'user' })
})

test('fifty callers who come first wait for one fetch', async () => {
  const { idp, outcome, fetches } = await start()
  const tokens = await Promise.all(
    Array.from({ length: 50 }, (_, n) => idp.token({ jti: String(n) })),
  )

  const callers = await Promise.all(tokens.map((token) => outcome(bearer(token))))

  expect(callers.every((caller) => typeof caller === 'object')).toBe(true)
  expect(fetches()).toBe(1)
})

test('other keys, audiences and secrets are taken while running', async () => {
  const { idp, outcome, recognise, reload, fetches } = await start()
  const token = bearer(await idp.token())
  await outcome(token)

  reload({ jwt: jwtSettings({ issuer: idp.url }) })
  expect(recognise(token)).toMatchObject({ kind: 'user' })
  expect(fetches()).toBe(1)

  reload({ jwt: jwtSettings({ issuer: idp.url, audiences: ['another'] }) })
  expect(recognise(token)).toBeUndefined()
  expect(await outcome(token)).toBe('unauthenticated (sent)')

  reload({ jwt: null })
  expect(await outcome(token)).toBe('unauthenticated (sent)')
})
