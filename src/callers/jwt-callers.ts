import { hash } from 'node:crypto'
import * as errors from 'jose/errors'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BoundedGet } from './bounded-get.ts'
import type { Caller } from './caller.ts'
import { claimedCustomers } from './customer-claim.ts'
import { createVerifyClaims, RuleBroken } from './jwt-rules.ts'
import { createKeySet } from './key-set.ts'
import { createKeySource, type KeySourceSettings } from './key-source.ts'
import { createMemory } from './memory.ts'
import { createSharedWork } from './shared-work.ts'

export type JwtSettings = KeySourceSettings & {
  /** With a secret: HS256, and nothing else. */
  readonly secret: Uint8Array | null
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[]
  /** Asymmetric ones; not looked at with a secret. */
  readonly algorithms: readonly string[]
  readonly customerClaim: string
}

export type JwtDeps = {
  readonly log: Log
  readonly now: () => number
  readonly http: BoundedGet
}

/**
 * A signature by a key of a key set is checked again after this time, so that one that was withdrawn stops to
 * count. A secret changes with a reload alone, and that forgets who was known by the old one.
 */
const MOST_REMEMBERED_MS = 10 * 60_000

/** Users by their JWT. What was verified is remembered under the token's digest. */
export function createJwtCallers(settings: JwtSettings, deps: JwtDeps) {
  const { now, log } = deps
  const { secret } = settings
  const rememberedMs = secret ? Number.POSITIVE_INFINITY : MOST_REMEMBERED_MS
  const verifyClaims = createVerifyClaims(
    {
      algorithms: secret ? ['HS256'] : settings.algorithms,
      audiences: settings.audiences,
      issuer: settings.issuer,
    },
    secret ?? createKeySet(createKeySource(settings, deps.http), deps),
    now,
  )
  const memory = createMemory<Extract<Caller, { kind: 'user' | 'session' }>>(
    now,
    ({ customerIds }) => 1 + customerIds.size,
  )
  const share = createSharedWork<Caller>()

  async function verified(token: string, digest: string): Promise<Caller> {
    const claims = await verifyClaims(token).catch((cause: unknown) => {
      throw asRefusal(cause, log)
    })
    const caller = {
      kind: 'user',
      subjectDigest: hash('sha256', JSON.stringify([claims.iss ?? null, claims.sub ?? null])),
      customerIds: claimedCustomers(claims, settings.customerClaim),
    } as const
    const expiresAt = (claims.exp ?? 0) * 1000
    memory.keep(digest, caller, Math.min(expiresAt, now() + rememberedMs))
    return caller
  }

  return {
    remembered: (digest: string): Caller | undefined => memory.get(digest),
    /** @throws BrokerError `unauthenticated`, `caller_check_unavailable` */
    verify: (token: string, digest: string): Promise<Caller> =>
      share(digest, () => verified(token, digest)),
  }
}

/** What the token is wrong in goes to the log alone: an answer that tells helps whoever forges one. */
function asRefusal(cause: unknown, log: Log): BrokerError {
  if (cause instanceof BrokerError) return cause
  if (!(cause instanceof errors.JOSEError || cause instanceof RuleBroken))
    log.warn({ err: cause }, 'a JWT could not be checked')
  return new BrokerError('unauthenticated', 'the credential is not valid', {
    credentialSent: true,
    // Not the error itself: jose's carry the token's claims.
    cause: cause instanceof Error ? `${cause.name}: ${cause.message}` : 'unknown',
  })
}
