import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose'
import { onTestFinished } from 'vitest'

export type Answer = (response: ServerResponse) => void

/** A key set, a discovery document and tokens by its keys, over real HTTP; every answer can be bent. */
export async function startIdentityProvider() {
  let keys: { kid: string; jwk: JWK; key: CryptoKey; alg: string }[] = []
  const asked: string[] = []
  const answers = new Map<string, Answer>()

  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const bent = answers.get(path)
    if (bent) return bent(response)
    const body =
      path === '/.well-known/openid-configuration'
        ? { issuer: url, jwks_uri: `${url}/keys` }
        : path === '/keys'
          ? { keys: keys.map(({ jwk }) => jwk) }
          : undefined
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })

  async function addKey(kid: string, alg = 'ES256', jwkFields: JWK = {}) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig', ...jwkFields }
    keys.push({ kid, jwk, key: privateKey, alg })
  }
  await addKey('first')

  return {
    url,
    keysUrl: `${url}/keys`,
    asked,
    addKey,
    /** The next set has this key alone. */
    async rotateTo(kid: string) {
      keys = []
      await addKey(kid)
    },
    withdraw(kid: string) {
      keys = keys.filter((key) => key.kid !== kid)
    },
    answer: (path: string, how: Answer) => void answers.set(path, how),
    answerAgain: (path: string) => void answers.delete(path),
    publicJwk: (kid: string) => keys.find((key) => key.kid === kid)?.jwk,

    /** `undefined` in `claims` or `header` leaves the field out. */
    async token(
      claims: Record<string, unknown> = {},
      header: Partial<JWTHeaderParameters> = {},
      signedBy = header.kid ?? keys[0]?.kid,
    ) {
      const now = Math.floor(Date.now() / 1000)
      const key = keys.find(({ kid }) => kid === signedBy) ?? keys[0]
      if (!key) throw new Error('the provider has no key')
      const payload = {
        iss: url,
        aud: 'broker',
        sub: 'ada',
        exp: now + 600,
        customer_id: 'acme',
        ...claims,
      }
      return new SignJWT(payload)
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(key.key)
    },
  }
}

export const answers = {
  json:
    (body: unknown, status = 200): Answer =>
    (response) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    },
  redirect:
    (to: string): Answer =>
    (response) => {
      response.writeHead(302, { location: to })
      response.end()
    },
  never: (): Answer => () => undefined,
  endless: (): Answer => (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const more = () => {
      if (!response.destroyed) response.write('x'.repeat(65_536), () => setImmediate(more))
    }
    more()
  },
  /** Headers and half a body, and then nothing. */
  stalls: (): Answer => (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"keys":[')
  },
  dropped: (): Answer => (response) => response.destroy(),
}
