import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import { jwtClaims } from './jwt-claims.ts'
import type { OrgToken } from './org-token.ts'

/** So close to its end, a token that nobody renews is an operator's business. */
const NEAR_END_MS = 60_000

/**
 * A refusal counts this long. A replica that is not ready gets no traffic, so nothing would ever show it
 * that the refusal was a passing one: all of them would stay away until somebody restarts them.
 */
const REFUSAL_COUNTS_MS = 60_000

export type StaticTokenDeps = {
  readonly log: Log
  readonly now: () => number
  readonly onOrgToken: (expiresAt: number | null) => void
}

/** A token from the settings. It is often a JWT of a quarter of an hour, although the guide calls it long-lived. */
export function createStaticOrgToken(initial: string, deps: StaticTokenDeps): OrgToken {
  const { log, now } = deps
  let token = initial
  let expiresAt = jwtClaims(token)?.expiresAt ?? null
  let refusedAt: number | null = null

  const isRefused = () => refusedAt !== null && now() - refusedAt < REFUSAL_COUNTS_MS

  function trouble(): string | null {
    if (isRefused()) return 'AIRBYTE_ACCESS_TOKEN was refused by the API'
    if (expiresAt === null || expiresAt - now() > NEAR_END_MS) return null
    return expiresAt > now()
      ? 'AIRBYTE_ACCESS_TOKEN ends within a minute, and nothing here can renew it'
      : 'AIRBYTE_ACCESS_TOKEN has expired'
  }

  function announce(): void {
    deps.onOrgToken(expiresAt)
    const end = expiresAt === null ? null : new Date(expiresAt).toISOString()
    const problem = trouble()
    if (problem === null) log.info({ expiresAt: end }, 'using the static org token')
    else log.error({ expiresAt: end }, problem)
  }

  return {
    start: announce,
    async get() {
      if (expiresAt === null || expiresAt > now()) return token
      throw rejected('the static org token has expired')
    },
    async refused(which) {
      if (which !== token) return token
      if (!isRefused()) log.error({}, 'AIRBYTE_ACCESS_TOKEN was refused by the API')
      refusedAt = now()
      throw rejected('the static org token was refused')
    },
    accepted(which) {
      if (which === token) refusedAt = null
    },
    status() {
      const detail = trouble()
      return { state: detail === null ? 'ok' : 'failing', expiresAt, detail }
    },
    reload(settings) {
      if (settings.source !== 'static') return false
      if (settings.accessToken === token) return true
      token = settings.accessToken
      expiresAt = jwtClaims(token)?.expiresAt ?? null
      refusedAt = null
      announce()
      return true
    },
    close() {},
  }
}

const rejected = (reason: string) =>
  new BrokerError('upstream_rejected', 'the token service refused our credential', {
    cause: new Error(reason),
  })
