import { SignJWT } from 'jose'
import { JWT_SECRET } from './service.ts'

/** An end user's JWT as the SaaS product would sign it; `claims` are added or replace the usual ones. */
export const userToken = (claims: Record<string, unknown>, secret = JWT_SECRET, lifetime = '5m') =>
  new SignJWT({ sub: 'user-1', aud: 'token-broker', ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt()
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(secret))
