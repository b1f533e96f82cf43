import type { Config } from './config.ts'
import type { BrokerSettings } from './tokens/broker.ts'
import { upstreamIdentity } from './upstream/settings.ts'

/** The most a token and its entry are reckoned to take; the cache is bounded by entries and by bytes. */
const BYTES_PER_ENTRY = 8 * 1024

/** The token broker's settings, for whoever has to find the same tokens: the service, and the command that evicts them. */
export const brokerSettings = (config: Config): BrokerSettings => ({
  identity: upstreamIdentity(config.upstream),
  ...config.cache,
  maxBytes: config.cache.maxEntries * BYTES_PER_ENTRY,
  mintTimeLimitMs: config.upstream.timeoutMs,
})
