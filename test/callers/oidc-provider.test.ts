import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import Provider from 'oidc-provider'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { bearer, jwtSettings, startAuthenticator } from './authenticating.ts'

const TokenReply = z.looseObject({ access_token: z.string() })
const audience = 'https://broker.example.com'

async function signingKey(kid: string, alg: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' }
}

/** A certified OpenID provider, whose signing keys can be exchanged while it runs. */
async function startProvider() {
  let handle: RequestListener = () => undefined
  const server = createServer((request, response) => handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`

  const signWith = (keys: JWK[]) => {
    const alg = keys[0]?.alg === 'PS256' ? 'PS256' : 'ES256'
    const provider = new Provider(issuer, {
      jwks: { keys },
      clients: [
        {
          client_id: 'shop',
          client_secret: 'a-client-secret-that-is-long-enough',
          grant_types: ['client_credentials'],
          redirect_uris: [],
          response_types: [],
          id_token_signed_response_alg: alg,
        },
      ],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context, resource) => ({
            scope: 'tokens',
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: 600,
            jwt: { sign: { alg } },
          }),
        },
      },
      extraTokenClaims: () => ({ app: { customers: ['acme', 'globex'] } }),
    })
    handle = provider.callback()
  }

  return {
    issuer,
    signWith,
    stop: () => {
      handle = (_request, response) => void response.destroy()
    },
    async token(resource = audience) {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa('shop:a-client-secret-that-is-long-enough')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope: 'tokens' }),
      })
      const reply: unknown = await response.json()
      return TokenReply.parse(reply).access_token
    },
  }
}

test('tokens of a real OpenID provider pass, through a rotation of its keys and while it is away', async () => {
  const provider = await startProvider()
  const [first, second] = [await signingKey('one', 'ES256'), await signingKey('two', 'PS256')]
  provider.signWith([first])
  const { outcome, clock } = startAuthenticator({
    jwt: jwtSettings({
      issuer: provider.issuer,
      audiences: [audience],
      customerClaim: 'app.customers',
    }),
  })
  const before = await provider.token()

  expect(await outcome(bearer(before))).toMatchObject({
    kind: 'user',
    customerIds: new Set(['acme', 'globex']),
  })
  expect(await outcome(bearer(await provider.token('https://other.example.com')))).toBe(
    'unauthenticated (sent)',
  )

  // The usual way: the new key signs, the old one stays in the set for a while, and then goes.
  provider.signWith([second, first])
  expect(await outcome(bearer(await provider.token()))).toMatchObject({ kind: 'user' })
  expect(await outcome(bearer(before))).toMatchObject({ kind: 'user' })
  provider.signWith([second])
  const last = [await provider.token(), await provider.token()]
  clock.ms += 9 * 60_000
  expect(await outcome(bearer(last[0] ?? ''))).toMatchObject({ kind: 'user' })

  provider.stop()
  expect(await outcome(bearer(last[1] ?? ''))).toMatchObject({ kind: 'user' })
})
