import { createHmac } from 'node:crypto'

export const SERVICE_KEY = 'bench-service-key-0123456789abcdef'
export const JWT_SECRET = 'bench-jwt-secret-of-more-than-32-bytes'
export const JWT_AUDIENCE = 'token-broker'

const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url')

const HOUR_SECONDS = 3600

/**
 * A user's JWT as a SaaS product would sign it; signed here, because a hundred thousand are needed at once.
 * The same all through the hour: a page uses one for many requests, and so does each round of a run.
 */
export function userToken(customerId: string): string {
  const seconds = Math.floor(Date.now() / 1000 / HOUR_SECONDS) * HOUR_SECONDS
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
    sub: `user-of-${customerId}`,
    aud: JWT_AUDIENCE,
    customer_id: customerId,
    iat: seconds,
    exp: seconds + 3 * HOUR_SECONDS,
  })}`
  return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`
}
