import { isDeepStrictEqual } from 'node:util'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import { createBoundedGet, type EgressSettings } from './bounded-get.ts'
import type { Authenticate, Caller, Credentials } from './caller.ts'
import { createJwtCallers, type JwtSettings } from './jwt-callers.ts'
import { type Presented, presented } from './presented.ts'
import { createServiceKeys, type ServiceKey } from './service-keys.ts'
import { createSessionCallers, type SessionSettings } from './session-callers.ts'

export type CallersSettings = {
  /** `AUTH=none`: nobody is asked who they are. */
  readonly anyone: boolean
  readonly serviceKeys: readonly ServiceKey[]
  readonly jwt: JwtSettings | null
  readonly session: SessionSettings | null
  /** Not changed by a reload. */
  readonly egress?: EgressSettings
}

export type CallersDeps = { readonly log: Log; readonly now?: () => number }

export type Authenticator = Authenticate & {
  /** Takes other keys and secrets from here on; what was found out under settings that stay is kept. */
  reload(settings: CallersSettings): void
  close(): void
}

const ANYONE: Caller = { kind: 'anyone' }

/** Tells who sends a request: services by key, users by JWT or by session cookie. */
export function createAuthenticator(settings: CallersSettings, deps: CallersDeps): Authenticator {
  const now = deps.now ?? Date.now
  const http = createBoundedGet(settings.egress ?? { proxyUrl: null })

  const ways = (next: CallersSettings) => ({
    settings: next,
    service: createServiceKeys(next.serviceKeys),
    jwt: next.jwt && createJwtCallers(next.jwt, { log: deps.log, now, http }),
    session: next.session && createSessionCallers(next.session, { now, http }),
  })
  let current = ways(settings)

  // What `recognise` found in a request is not hashed and read a second time by `verify`.
  const seen = new WeakMap<Credentials, Presented>()

  const look = (credentials: Credentials): Presented =>
    presented(credentials, current.settings.session?.cookieNames)

  function known(credentials: Credentials, shown: Presented): Caller | undefined {
    if (shown.way === 'key') return current.service(shown.digest)
    if (shown.way === 'bearer')
      return current.jwt?.remembered(shown.digest) ?? current.service(shown.digest)
    if (shown.way !== 'cookie' || crossSite(credentials, current.settings.session)) return undefined
    return current.session?.remembered(shown.cookie, credentials.customerId)
  }

  return {
    recognise(credentials) {
      if (current.settings.anyone) return ANYONE
      const shown = look(credentials)
      const caller = known(credentials, shown)
      if (caller === undefined) seen.set(credentials, shown)
      return caller
    },

    async verify(credentials) {
      const { settings: set, jwt, session } = current
      if (set.anyone) return ANYONE
      const shown = seen.get(credentials) ?? look(credentials)
      if (shown.way === 'contradiction')
        throw new BrokerError('invalid_request', 'send Authorization or X-API-Key, not both')
      if (shown.way === 'nothing')
        throw new BrokerError('unauthenticated', 'a credential is needed')
      const caller = known(credentials, shown)
      if (caller) return caller

      if (shown.way === 'cookie' && session) {
        const refusal = crossSite(credentials, set.session)
        if (refusal) throw refusal
        return session.verify(shown.cookie, credentials.customerId)
      }
      if (shown.way === 'bearer' && jwt && hasThreeParts(shown.token))
        return jwt.verify(shown.token, shown.digest)
      throw new BrokerError('unauthenticated', 'the credential is not valid', {
        credentialSent: true,
      })
    },

    reload(next) {
      const last = current
      current = ways(next)
      const { settings: old } = last
      if (isDeepStrictEqual(old.jwt, next.jwt)) current.jwt = last.jwt
      if (isDeepStrictEqual(old.session, next.session)) current.session = last.session
    },

    close: () => http.close(),
  }
}

const hasThreeParts = (token: string) => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)

/**
 * A browser adds the cookie to any page's requests. A header of one's own takes a preflight across origins,
 * so whoever sends it is a page that CORS lets in, or no browser.
 */
function crossSite(
  { requestedWith, origin }: Credentials,
  settings: SessionSettings | null,
): BrokerError | undefined {
  if (requestedWith === undefined)
    return new BrokerError('csrf', 'a request with a session cookie needs X-Requested-With')
  if (origin === undefined || settings?.allowedOrigins.includes(origin)) return undefined
  return new BrokerError('origin_not_allowed', 'the origin may not use a session cookie')
}
