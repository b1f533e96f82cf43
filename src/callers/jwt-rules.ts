import type { CryptoKey, JWTPayload, LocalJWKSet } from 'jose'
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import * as errors from 'jose/errors'
import { jwtVerify } from 'jose/jwt/verify'
import type { KeySet } from './key-set.ts'

export type JwtRules = {
  readonly algorithms: readonly string[]
  readonly audiences: readonly string[]
  /** `null`: any issuer whose keys these are. */
  readonly issuer: string | null
}

const LEEWAY_SECONDS = 30
/** Access tokens, and JWTs that do not say what they are; not logout tokens, DPoP proofs and their like (RFC 8725, 3.11). */
const TYPES = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])

/** The claims of a token that passes every check. @throws unless it does */
export type VerifyClaims = (token: string) => Promise<JWTPayload>

/** A token broke a rule that the library leaves to us. */
export class RuleBroken extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RuleBroken'
  }
}

/**
 * Checks by RFC 8725 and RFC 9068. The algorithms are ours to choose and bound to the type of the key, and
 * the key comes from our set alone: `jku`, `x5u`, `x5c` and `jwk` in a token are never looked at.
 */
export function createVerifyClaims(
  rules: JwtRules,
  keys: KeySet | Uint8Array,
  now: () => number,
): VerifyClaims {
  const verified = async (token: string, key: LocalJWKSet | CryptoKey | Uint8Array) => {
    const options = {
      algorithms: [...rules.algorithms],
      audience: [...rules.audiences],
      ...(rules.issuer !== null && { issuer: rules.issuer }),
      requiredClaims: ['exp'],
      clockTolerance: LEEWAY_SECONDS,
      currentDate: new Date(now()),
    }
    const { protectedHeader, payload } =
      typeof key === 'function'
        ? await jwtVerify(token, key, options)
        : await jwtVerify(token, key, options)
    const { typ } = protectedHeader
    if (typ !== undefined && !(typeof typ === 'string' && TYPES.has(typ.toLowerCase())))
      throw new RuleBroken('the typ of the token is not that of an access token')
    // Bound to a key whose possession we cannot ask for: taken as a bearer token, a stolen one would do (RFC 9449).
    if (payload.cnf !== undefined) throw new RuleBroken('the token is bound to a key of its holder')
    return payload
  }

  /** Tokens without a key id, and sets that give one id to several keys: each that fits is tried. */
  const verifiedByAny = async (token: string, set: LocalJWKSet) => {
    try {
      return await verified(token, set)
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      for await (const key of error) {
        try {
          return await verified(token, key)
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
        }
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }

  if (keys instanceof Uint8Array) return (token) => verified(token, keys)
  return async (token) => {
    const set = await keys.current()
    try {
      return await verifiedByAny(token, set)
    } catch (error) {
      if (!mayBeOfANewKey(error, token)) throw error
      const newer = await keys.after(set)
      if (newer === undefined) throw error
      return verifiedByAny(token, newer)
    }
  }
}

function mayBeOfANewKey(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true
  return (
    error instanceof errors.JWSSignatureVerificationFailed &&
    decodeProtectedHeader(token).kid === undefined
  )
}
