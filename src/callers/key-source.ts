import type { LocalJWKSet } from 'jose'
import { createLocalJWKSet } from 'jose/jwks/local'
import { z } from 'zod'
import { type BoundedGet, isConfidential } from './bounded-get.ts'

/** Where the keys are that a token's signature is checked against: at `jwksUrl`, else where the issuer's discovery document says. */
export type KeySourceSettings = {
  readonly issuer: string | null
  readonly jwksUrl: string | null
  /** Clear text over any network; otherwise only where nobody can listen. */
  readonly allowInsecure: boolean
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5000
const LIMIT_BYTES = 256 * 1024
const MOST_KEYS = 100

const Discovery = z.looseObject({ issuer: z.string(), jwks_uri: z.string() })
const KeySetDocument = z.looseObject({
  keys: z.array(z.looseObject({ kty: z.string() })).max(MOST_KEYS),
})

/** Fetches the key set. Rejects with what went wrong, in words that name no URL. */
export type FetchKeys = () => Promise<LocalJWKSet>

export function createKeySource(settings: KeySourceSettings, http: BoundedGet): FetchKeys {
  const limits = { timeoutMs: settings.timeoutMs ?? TIMEOUT_MS, limitBytes: LIMIT_BYTES }

  async function getJson(url: string, what: string): Promise<unknown> {
    // Whoever can alter the keys on their way can be every caller.
    if (!settings.allowInsecure && !isConfidential(url))
      throw new Error(`the ${what} is not at https`)
    const { status, text } = await http.get(url, {}, limits)
    if (status !== 200) throw new Error(`the ${what} was answered with status ${status}`)
    try {
      return JSON.parse(text)
    } catch {
      throw new Error(`the ${what} is not JSON`)
    }
  }

  async function discover(): Promise<string> {
    const { issuer } = settings
    if (issuer === null) throw new Error('neither an issuer nor a key set is configured')
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = Discovery.safeParse(await getJson(url, 'discovery document'))
    if (!found.success) throw new Error('the discovery document lacks issuer or jwks_uri')
    if (found.data.issuer !== issuer)
      throw new Error(
        'the discovery document is of another issuer than JWT_ISSUER; they must be the same to the last slash',
      )
    return found.data.jwks_uri
  }

  return async () => {
    const url = settings.jwksUrl ?? (await discover())
    const document = KeySetDocument.safeParse(await getJson(url, 'key set'))
    if (!document.success) throw new Error('the key set is not a JWK set')
    return createLocalJWKSet(document.data)
  }
}
