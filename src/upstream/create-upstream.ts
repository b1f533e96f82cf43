import type { Log } from '../log.ts'
import { createApiCalls } from './api-calls.ts'
import { createBreaker } from './breaker.ts'
import { createClockWatch } from './clock-skew.ts'
import { sleep as realSleep, type Sleep } from './deadline.ts'
import { createDialectChoice } from './dialect-choice.ts'
import type { ExchangeOutcome } from './exchange-failure.ts'
import { createExchangedOrgToken } from './exchanged-org-token.ts'
import { createGate } from './gate.ts'
import { createHttpCalls } from './http-calls.ts'
import { createMint, type MintEvent } from './mint.ts'
import type { OrgToken } from './org-token.ts'
import { createRetryBudget } from './retry-budget.ts'
import type { OrgTokenSettings, UpstreamSettings } from './settings.ts'
import { createSignedCalls } from './signed-calls.ts'
import { createStaticOrgToken } from './static-org-token.ts'
import { createTokenInfo } from './token-info.ts'
import type { Upstream } from './upstream.ts'

export type UpstreamDeps = {
  readonly log: Log
  readonly now?: () => number
  readonly random?: () => number
  readonly sleep?: Sleep
  /** Headers that carry a trace on to the upstream; none unless tracing is on. */
  readonly outgoing?: () => Readonly<Record<string, string>>
  readonly onExchange?: (outcome: ExchangeOutcome) => void
  readonly onMint?: (event: MintEvent) => void
  /** Calls that are under way, exchanges included. */
  readonly onInFlight?: (count: number) => void
  /** Epoch ms of the org token's end; `null`: there is none, or nothing tells. */
  readonly onOrgToken?: (expiresAt: number | null) => void
}

export type RunningUpstream = Upstream & {
  /** Begins to get the first org token; it goes on until there is one. */
  start(): void
  /** Takes up new credentials. Everything else stays as it was at the start. */
  reload(settings: UpstreamSettings): void
}

const nothing = () => {}

export function createUpstream(settings: UpstreamSettings, deps: UpstreamDeps): RunningUpstream {
  const { log, now = Date.now, random = Math.random, sleep = realSleep } = deps
  const {
    onExchange = nothing,
    onMint = nothing,
    onInFlight = nothing,
    onOrgToken = nothing,
  } = deps
  const { timeoutMs, organizationId, maxConcurrency } = settings

  const clocks = createClockWatch({ log })
  let inFlight = 0
  const httpCalls = (connections: number) =>
    createHttpCalls(
      { ...settings, connections },
      {
        now,
        clocks,
        outgoing: deps.outgoing,
        onInFlight: (change) => {
          inFlight += change
          onInFlight(inFlight)
        },
      },
    )
  const http = httpCalls(maxConcurrency)
  // On its own connection: mints that wait for an org token must not keep it from being had.
  const exchangeHttp = httpCalls(1)

  const base = { log, now, random, sleep }
  const createOrgToken = (orgToken: OrgTokenSettings): OrgToken =>
    orgToken.source === 'static'
      ? createStaticOrgToken(orgToken.accessToken, { log, now, onOrgToken })
      : createExchangedOrgToken(orgToken, {
          ...base,
          http: exchangeHttp,
          clocks,
          timeoutMs,
          organizationId,
          onExchange,
          onOrgToken,
        })
  let orgToken = createOrgToken(settings.orgToken)

  const api = createApiCalls({
    ...base,
    http,
    gate: createGate({ maxConcurrency }, { now, sleep }),
    breaker: createBreaker({ log, now }),
    budget: createRetryBudget({ now }),
  })
  const choice = createDialectChoice(settings, { log })
  const calls = createSignedCalls(settings, { api, orgToken: () => orgToken })

  return {
    mint: createMint(settings, { log, clocks, calls, choice, onMint }),
    tokenInfo: createTokenInfo(settings, { log, api, choice }),
    orgTokenStatus: () => orgToken.status(),
    start: () => orgToken.start(),
    reload(next) {
      if (orgToken.reload(next.orgToken)) return
      orgToken.close()
      orgToken = createOrgToken(next.orgToken)
      orgToken.start()
    },
    async close() {
      orgToken.close()
      await Promise.all([http.close(), exchangeHttp.close()])
    },
  }
}
