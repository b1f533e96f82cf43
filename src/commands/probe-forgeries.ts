import { generateKeyPairSync, sign } from 'node:crypto'
import { decodeJwt, SignJWT } from 'jose'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** What a real token of this broker claims, where one is at hand: a forgery is the better for it. */
function claimsLike(real: string | undefined, customerId: string): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  const usual = { sub: 'probe', aud: 'token-broker', customer_id: customerId }
  return { ...usual, ...(real && decodeJwt(real)), exp: now + 600 }
}

/** JWTs that nobody has the right to make, each of which some verifier has once let pass. */
export async function forgeries(
  real: string | undefined,
  customerId: string,
): Promise<readonly (readonly [name: string, token: string])[]> {
  const claims = claimsLike(real, customerId)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  const bySelf = (header: object) => {
    const signed = `${part({ alg: 'ES256', typ: 'JWT', ...header })}.${part(claims)}`
    const signature = sign('sha256', Buffer.from(signed), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${signed}.${signature.toString('base64url')}`
  }
  const bySecret = (secret: string) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret))

  return [
    ['unsigned, alg none', `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`],
    ['unsigned, alg nOnE', `${part({ alg: 'nOnE', typ: 'JWT' })}.${part(claims)}.`],
    ['signed by a key of its own', bySelf({})],
    ['with its own key in the header jwk', bySelf({ jwk })],
    ['with a key id that is a path', bySelf({ kid: '../../../../dev/null' })],
    ['signed with an empty key', `${part({ alg: 'HS256' })}.${part(claims)}.`],
    ['signed with the secret of every tutorial', await bySecret('your-256-bit-secret')],
    ...(real ? tampered(real, claims) : []),
  ]
}

function tampered(real: string, claims: Record<string, unknown>): [string, string][] {
  const [header = '', payload = '', signature = ''] = real.split('.')
  const middle = Math.floor(signature.length / 2)
  const turned = signature[middle] === 'A' ? 'B' : 'A'
  return [
    [
      'the real one with other claims',
      `${header}.${part({ ...claims, probe: true })}.${signature}`,
    ],
    ['the real one without its signature', `${header}.${payload}.`],
    [
      'the real one with another signature',
      `${header}.${payload}.${signature.slice(0, middle)}${turned}${signature.slice(middle + 1)}`,
    ],
  ]
}
