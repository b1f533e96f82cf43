import { randomBytes } from 'node:crypto'
import { inject, onTestFinished } from 'vitest'
import type { RedisSettings } from '../../src/redis/client.ts'
import { createRedisLink, type ReloadableRedisLink } from '../../src/redis/redis-link.ts'
import { type Broker, type BrokerSettings, createBroker } from '../../src/tokens/broker.ts'
import type { CacheEvent, RefreshOutcome } from '../../src/tokens/observers.ts'
import type { Demand, Token, TokenRequest } from '../../src/tokens/token.ts'
import type { Urgency } from '../../src/upstream/upstream.ts'
import { until } from './private-redis.ts'

export const MINUTE = 60_000
export const LIFE_MS = 20 * MINUTE
export const ANY: Demand = { minTtlMs: 0, refresh: false }
export const REFRESH: Demand = { minTtlMs: 0, refresh: true }

let customers = 0
export const newCustomerId = () => `customer-${process.pid}-${++customers}`

export function requestFor(customerId: string, change: Partial<TokenRequest> = {}): TokenRequest {
  return {
    customerId,
    workspaceName: customerId,
    type: 'scoped',
    allowedOrigin: null,
    sourceTags: null,
    connectionTags: null,
    tagsAreRequired: false,
    regionId: null,
    ...change,
  }
}

export function redisSettings(change: Partial<RedisSettings> = {}): RedisSettings {
  return {
    url: null,
    clusterNodes: null,
    sentinels: null,
    username: null,
    password: null,
    tls: false,
    keyPrefix: newPrefix(),
    ...change,
  }
}

export const newPrefix = () => `test-${randomBytes(6).toString('hex')}:`

export type LogLine = { readonly level: string; readonly message: string; readonly fields: object }

export function createTestLog() {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields })
  }
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A link that is connected, unless `redis` cannot be; closed with the test. */
export async function startLink(settings: RedisSettings, log = createTestLog()) {
  const link = createRedisLink(settings, { log })
  onTestFinished(() => link.close())
  return link
}

export async function startSharedLink(keyPrefix: string): Promise<ReloadableRedisLink> {
  const link = await startLink(redisSettings({ url: inject('redisUrl'), keyPrefix }))
  await until(() => link.up, 'Redis')
  return link
}

/** An upstream that counts, and answers when the test lets it. */
export function createTestUpstream(now: () => number = Date.now) {
  const name = randomBytes(3).toString('hex')
  const minted: TokenRequest[] = []
  const urgencies: Urgency[] = []
  let lifeMs = LIFE_MS
  let failure: unknown = null
  let gate: Promise<void> = Promise.resolve()
  let open: () => void = () => {}
  let inAir = 0
  let mostInAir = 0

  async function mint(request: TokenRequest, urgency: Urgency): Promise<Token> {
    minted.push(request)
    urgencies.push(urgency)
    const number = minted.length
    inAir++
    mostInAir = Math.max(mostInAir, inAir)
    try {
      await gate
      if (failure !== null) throw failure
    } finally {
      inAir--
    }
    const receivedAt = now()
    return {
      value: `token-${name}-${number}-of-${request.customerId}-${request.type}`,
      type: request.type,
      workspaceId: `workspace-of-${request.customerId}`,
      receivedAt,
      expiresAt: receivedAt + lifeMs,
    }
  }

  return {
    mint,
    minted,
    urgencies,
    get mostInAir() {
      return mostInAir
    },
    mintsOf: (customerId: string) => minted.filter((each) => each.customerId === customerId).length,
    live: (ms: number) => {
      lifeMs = ms
    },
    fail: (error: unknown) => {
      failure = error
    },
    work: () => {
      failure = null
    },
    hold: () => {
      gate = new Promise((resolve) => {
        open = resolve
      })
    },
    release: () => {
      open()
      gate = Promise.resolve()
    },
  }
}

export type TestUpstream = ReturnType<typeof createTestUpstream>

export type TestBroker = Broker & {
  readonly cacheEvents: CacheEvent[]
  readonly refreshes: RefreshOutcome[]
  /** The value of the token that is issued now. */
  token(request: TokenRequest, demand?: Demand): Promise<string>
}

export const settingsFor = (change: Partial<BrokerSettings> = {}): BrokerSettings => ({
  identity: ['https://api.test', 'embedded'],
  orgSecret: 'the-org-secret-of-the-test',
  encryptionKeys: null,
  maxEntries: 1_000,
  maxBytes: 10_000_000,
  mintTimeLimitMs: 3_000,
  ...change,
})

export function startBroker(
  upstream: { mint: TestUpstream['mint'] },
  options: {
    readonly redis?: ReloadableRedisLink | null
    readonly settings?: Partial<BrokerSettings>
    readonly now?: () => number
    readonly uptime?: () => number
  } = {},
): TestBroker {
  const cacheEvents: CacheEvent[] = []
  const refreshes: RefreshOutcome[] = []
  const broker = createBroker(settingsFor(options.settings), {
    mint: upstream.mint,
    redis: options.redis ?? null,
    log: createTestLog(),
    observers: {
      onCache: (event) => cacheEvents.push(event),
      onEntries: () => {},
      onRefresh: (outcome) => refreshes.push(outcome),
    },
    ...(options.now && { now: options.now }),
    ...(options.uptime && { uptime: options.uptime }),
  })
  onTestFinished(() => broker.close())
  return {
    ...broker,
    cacheEvents,
    refreshes,
    token: async (request, demand = ANY) => (await broker.issue(request, demand)).token.value,
  }
}
