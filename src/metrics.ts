import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { TOKEN_TYPES } from './tokens/token.ts'

/** How a request for a token ended. */
export const TOKEN_OUTCOMES = [
  'hit',
  'miss',
  'collapsed',
  'refreshed',
  'denied',
  'limited',
  'failed',
] as const
export type TokenOutcome = (typeof TOKEN_OUTCOMES)[number]

/** Which of the two limits refused: the customer's, or the address's for failed authentications. */
export const LIMIT_TIERS = ['customer', 'address'] as const
export type LimitTier = (typeof LIMIT_TIERS)[number]

/** The label sets that other rooms own. They are closed: a label never takes a value from a request. */
export type LabelSets = {
  readonly dialects: readonly string[]
  readonly mintOutcomes: readonly string[]
  readonly exchangeOutcomes: readonly string[]
  readonly refreshOutcomes: readonly string[]
  readonly cacheTiers: readonly string[]
  readonly cacheOps: readonly string[]
  readonly cacheOutcomes: readonly string[]
  readonly refusalReasons: readonly string[]
  readonly refusalOutcomes: readonly string[]
}

export type Metrics = ReturnType<typeof createMetrics>

/** All that is counted. Every series exists from the start, so that a rate over its first increment is seen. */
export function createMetrics(version: string, sets: LabelSets) {
  const registry = new Registry()
  const shared = { registers: [registry] }
  const seconds = (buckets: number[]) => ({ ...shared, buckets })

  const metrics = {
    registry,
    httpRequestDuration: new Histogram({
      name: 'token_broker_http_request_duration_seconds',
      help: 'Time from a request to the end of its reply',
      // The route, not the URL: a label per customer would never stop growing.
      labelNames: ['method', 'route', 'status'] as const,
      ...seconds([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
    }),
    tokenRequests: new TalliedCounter({
      name: 'token_broker_token_requests_total',
      help: 'Requests for a token, by how they ended',
      labelNames: ['type', 'outcome'] as const,
      ...shared,
    }),
    mints: new Counter({
      name: 'token_broker_mints_total',
      help: 'Tokens asked of the upstream',
      labelNames: ['type', 'dialect', 'outcome'] as const,
      ...shared,
    }),
    mintDuration: new Histogram({
      name: 'token_broker_mint_duration_seconds',
      help: 'Time to mint a token, retries included',
      labelNames: ['type'] as const,
      ...seconds([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]),
    }),
    orgTokenExpiresAt: new Gauge({
      name: 'token_broker_org_token_expires_at_seconds',
      help: 'When the org token in use expires, epoch seconds; 0: there is none, or nothing tells',
      ...shared,
    }),
    orgTokenExchanges: new Counter({
      name: 'token_broker_org_token_exchanges_total',
      help: 'Exchanges of the org credential for an org token',
      labelNames: ['outcome'] as const,
      ...shared,
    }),
    cacheOperations: new TalliedCounter({
      name: 'token_broker_cache_operations_total',
      help: 'Look-ups, stores and evictions in the two tiers of the cache',
      labelNames: ['tier', 'op', 'outcome'] as const,
      ...shared,
    }),
    cacheEntries: new Gauge({
      name: 'token_broker_cache_entries',
      help: 'Tokens kept in this process',
      labelNames: ['tier'] as const,
      ...shared,
    }),
    rateLimited: new Counter({
      name: 'token_broker_rate_limited_total',
      help: 'Requests refused by a limit',
      labelNames: ['tier'] as const,
      ...shared,
    }),
    redisUp: new Gauge({
      name: 'token_broker_redis_up',
      help: '1 while Redis answers; stays 0 where none is configured',
      ...shared,
    }),
    upstreamInFlight: new Gauge({
      name: 'token_broker_upstream_in_flight',
      help: 'Calls to the upstream under way',
      ...shared,
    }),
    policyRefusals: new Counter({
      name: 'token_broker_policy_refusals_total',
      help: 'What callers were refused, or in audit mode would have been',
      labelNames: ['reason', 'outcome'] as const,
      ...shared,
    }),
    backgroundRefreshes: new Counter({
      name: 'token_broker_background_refreshes_total',
      help: 'Renewals of cached tokens ahead of their expiry',
      labelNames: ['outcome'] as const,
      ...shared,
    }),
  }
  const build = new Gauge({
    name: 'token_broker_build_info',
    help: 'The version that runs',
    labelNames: ['version'] as const,
    ...shared,
  })
  build.labels(version).set(1)
  collectDefaultMetrics({ register: registry })

  for (const type of TOKEN_TYPES) {
    for (const outcome of TOKEN_OUTCOMES) metrics.tokenRequests.labels(type, outcome).inc(0)
    for (const dialect of sets.dialects)
      for (const outcome of sets.mintOutcomes) metrics.mints.labels(type, dialect, outcome).inc(0)
    metrics.mintDuration.zero({ type })
  }
  for (const outcome of sets.exchangeOutcomes) metrics.orgTokenExchanges.labels(outcome).inc(0)
  for (const outcome of sets.refreshOutcomes) metrics.backgroundRefreshes.labels(outcome).inc(0)
  for (const tier of LIMIT_TIERS) metrics.rateLimited.labels(tier).inc(0)
  for (const tier of sets.cacheTiers)
    for (const op of sets.cacheOps)
      for (const outcome of sets.cacheOutcomes)
        metrics.cacheOperations.labels(tier, op, outcome).inc(0)
  metrics.cacheEntries.labels('memory').set(0)
  for (const reason of sets.refusalReasons)
    for (const outcome of sets.refusalOutcomes)
      metrics.policyRefusals.labels(reason, outcome).inc(0)
  return metrics
}

/**
 * A counter that adds up in plain numbers, and tells the library when somebody reads it: that one looks for the
 * series anew with each increment, which takes longer than all else about it.
 */
export class TalliedCounter<Label extends string> extends Counter<Label> {
  readonly #tallies: { readonly labels: readonly string[]; count: number }[] = []

  /** One series, to be asked for once. */
  tally(...labels: string[]): { add(): void } {
    const tally = { labels, count: 0 }
    this.#tallies.push(tally)
    return { add: () => void tally.count++ }
  }

  override get(): ReturnType<Counter<Label>['get']> {
    for (const tally of this.#tallies) {
      if (tally.count > 0) this.labels(...tally.labels).inc(tally.count)
      tally.count = 0
    }
    return super.get()
  }
}
