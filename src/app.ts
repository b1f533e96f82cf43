import { randomBytes } from 'node:crypto'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { brokerSettings } from './broker-settings.ts'
import { addressKey } from './callers/address.ts'
import { createAuditLog } from './callers/audit.ts'
import { createAuthenticator } from './callers/authenticator.ts'
import { callerName } from './callers/caller.ts'
import { createFingerprint } from './callers/fingerprint.ts'
import { createPermit, REFUSAL_OUTCOMES } from './callers/permit.ts'
import { REFUSAL_REASONS } from './callers/policy.ts'
import type { Config } from './config.ts'
import { serveAdmin } from './http/admin.ts'
import type { Bounds } from './http/bounds.ts'
import { corsFor } from './http/cors.ts'
import { type Audit, createCustomerChecks } from './http/customers.ts'
import { describeRoutes, serveDocs } from './http/docs.ts'
import { createExplain } from './http/explain.ts'
import { serveHealth } from './http/health.ts'
import { createLimitCounters } from './http/limit-counters.ts'
import { createLimits } from './http/limits.ts'
import { createPressure, type Pressure, underPressure } from './http/pressure.ts'
import { createServer, type Phase } from './http/server.ts'
import { serveTokens } from './http/tokens.ts'
import { traceRequests } from './http/trace-requests.ts'
import { serveUpkeep } from './http/upkeep.ts'
import type { Logger } from './logger.ts'
import { createMetrics } from './metrics.ts'
import type { Output } from './output.ts'
import { tracedLink } from './redis/traced-link.ts'
import { rememberedByTexts } from './remembered.ts'
import { type Broker, createBroker } from './tokens/broker.ts'
import { createHolders } from './tokens/holders.ts'
import { createIntrospection } from './tokens/introspect.ts'
import { CACHE_OPS, CACHE_OUTCOMES, CACHE_TIERS, REFRESH_OUTCOMES } from './tokens/observers.ts'
import { createSealer, derivedKey } from './tokens/seal.ts'
import { createStops } from './tokens/stops.ts'
import type { Tracing } from './tracing.ts'
import { createUpstream } from './upstream/create-upstream.ts'
import { EXCHANGE_OUTCOMES } from './upstream/exchange-failure.ts'
import { MINT_DIALECTS, MINT_OUTCOMES } from './upstream/mint.ts'
import { readVersion } from './version.ts'

export type AppDeps = {
  readonly log: Logger
  readonly now?: () => number
  /** Where tracing is on. */
  readonly tracing?: Tracing
  /** Standard output, where the audit goes unless it has a file; otherwise one of its own. */
  readonly output?: Output
  /** For the admin interface: the settings in force, without secrets. */
  readonly settings?: () => readonly object[]
  /** Otherwise this process's own. */
  readonly pressure?: Pressure
  readonly bounds?: Partial<Bounds>
}

export type App = {
  /** What callers reach. Tests speak to it with `inject`. */
  readonly server: FastifyInstance
  /** What operators reach: the same server, unless operations have a port of their own. */
  readonly ops: FastifyInstance
  /** Opens the ports and begins to get the org token; resolves to the URLs once connections are taken. */
  listen(): Promise<{ readonly url: string; readonly opsUrl: string }>
  /** Begins to get the org token; `listen` does it too. */
  start(): void
  /** Takes up keys, secrets and credentials that have changed; the rest needs a restart. */
  reconfigure(config: Config): void
  /** Opens the audit's file by its name again, and looks at the policy now. */
  rereadFiles(): Promise<void>
  /** Writes the audit's lines that are held back, before it returns: for a process that is about to end. */
  flushAudit(): void
  /** Not ready from now on. Requests are still served. */
  announceStop(): void
  /** No new requests; resolves when the running ones are answered, or cut off at the end of the grace. */
  close(graceMs: number): Promise<void>
}

/** Puts the parts together; the only place that knows them all. Opens nothing until `listen`. */
export async function createApp(config: Config, deps: AppDeps): Promise<App> {
  const { log, tracing, now = Date.now, pressure = createPressure({ log }) } = deps
  /** The part as it is, unless there is somebody to tell what it does and for how long. */
  const traced: Tracing['traced'] = tracing ? tracing.traced : (_name, work) => work
  const outgoing = tracing && { outgoing: tracing.outgoing }
  const version = readVersion()
  const metrics = createMetrics(version, {
    dialects: MINT_DIALECTS,
    mintOutcomes: MINT_OUTCOMES,
    exchangeOutcomes: EXCHANGE_OUTCOMES,
    refreshOutcomes: REFRESH_OUTCOMES,
    cacheTiers: CACHE_TIERS,
    cacheOps: CACHE_OPS,
    cacheOutcomes: CACHE_OUTCOMES,
    refusalReasons: REFUSAL_REASONS,
    refusalOutcomes: REFUSAL_OUTCOMES,
  })
  let phase: Phase = 'serving'
  const auditLog = createAuditLog(config.audit, {
    log,
    now,
    ...(deps.output && { stdout: deps.output }),
  })

  // Loaded only where there is a Redis: the start in memory alone is a tenth shorter.
  const redis =
    config.redis &&
    (await import('./redis/redis-link.ts')).createRedisLink(config.redis, {
      log,
      onUp: (up) => metrics.redisUp.set(up ? 1 : 0),
    })

  const upstream = createUpstream(config.upstream, {
    ...outgoing,
    log,
    now,
    onExchange: (outcome) => metrics.orgTokenExchanges.labels(outcome).inc(),
    onMint: ({ type, dialect, outcome, durationMs }) => {
      metrics.mints.labels(type, dialect, outcome).inc()
      metrics.mintDuration.labels(type).observe(durationMs / 1000)
    },
    onInFlight: (count) => metrics.upstreamInFlight.set(count),
    onOrgToken: (expiresAt) => metrics.orgTokenExpiresAt.set((expiresAt ?? 0) / 1000),
  })

  const cacheOperations = rememberedByTexts((tier: string, op: string, outcome: string) =>
    metrics.cacheOperations.tally(tier, op, outcome),
  )
  const broker = createBroker(brokerSettings(config), {
    mint: traced('mint', underPressure(upstream.mint, pressure)),
    redis: redis && tracedLink('cache.redis', redis, tracing),
    log,
    now,
    observers: {
      onCache: ({ tier, op, outcome }) => cacheOperations(tier, op, outcome).add(),
      onEntries: (count) => metrics.cacheEntries.labels('memory').set(count),
      onRefresh: (outcome) => metrics.backgroundRefreshes.labels(outcome).inc(),
    },
  })

  /** Synchronous where this process has the token; the wait for a flight is a span of its own. */
  const issue = traced('issue', (...asked: Parameters<Broker['issue']>) => {
    const issued = broker.issue(...asked)
    return issued instanceof Promise ? traced('flight.wait', () => issued)() : issued
  })

  let sealer = sealerOf(config)
  const shared = { link: redis, sealer: () => sealer, now }
  const stops = createStops({ ...shared, log })
  const fingerprint = createFingerprint(config.audit.fingerprintKey)
  const holders =
    config.adminTokenDigest && createHolders({ ...shared, hmacKey: config.counterKey, fingerprint })

  const authenticator = createAuthenticator(
    { ...config.callers, egress: { ...config.callers.egress, ...outgoing } },
    { log, now },
  )
  const { permit, ...policy } = createPermit(
    { requests: config.requests, ...config.policy },
    {
      log,
      now,
      isStopped: stops.include,
      onRefusal: (reason, outcome) => metrics.policyRefusals.labels(reason, outcome).inc(),
    },
  )

  const serverDeps = { log, metrics, phase: () => phase }
  const http = { ...config.http, ...(deps.bounds && { bounds: deps.bounds }) }
  const server = createServer(http, serverDeps)
  const ops = config.http.opsPort === null ? server : createServer(http, serverDeps)

  if (tracing)
    for (const each of new Set([server, ops]))
      traceRequests(each, tracing, config.tracing?.includeCustomer ?? false)

  const counted = createLimitCounters(
    { hmacKey: config.counterKey, onRedisError: config.limits.onRedisError },
    redis && tracedLink('limit.redis', redis, tracing),
    now,
  )
  const limits = createLimits(server, config.limits, {
    ...counted,
    addressKey,
    onLimited: (tier) => metrics.rateLimited.labels(tier).inc(),
  })

  await describeRoutes(server, version)
  const corsIsOn = config.http.corsOrigins.length > 0
  await server.register(async (scope) => {
    if (corsIsOn) await scope.register(cors, corsFor(config.http.corsOrigins))
    const audit: Audit = (request, customerId, type, decided) => {
      auditLog.record({
        decided,
        caller: request.caller,
        customerId,
        type,
        requestId: request.id,
        address: request.ip,
        userAgent: request.headers['user-agent'],
      })
      if (holders && request.caller && decided.event === 'token.issued')
        holders.note(customerId, decided.token, callerName(request.caller))
    }
    const checks = createCustomerChecks(
      { customerIdPattern: config.http.customerIdPattern, corsIsOn },
      {
        authenticate: { ...authenticator, verify: traced('authenticate', authenticator.verify) },
        limits,
        audit,
      },
    )
    serveTokens(scope, checks, config.http.defaultType, {
      permit,
      limits: { ...limits, spend: traced('limit', limits.spend) },
      broker: { issue },
      audit,
      metrics,
      now,
    })
    serveUpkeep(scope, checks, {
      permit,
      limits,
      broker,
      introspect: createIntrospection(upstream.tokenInfo, broker.knownWorkspace, now),
      audit,
    })
  })
  await server.register(serveDocs)
  serveHealth(ops, {
    version,
    metrics,
    orgToken: upstream.orgTokenStatus,
    redisUp: () => redis?.up ?? null,
    isStopping: () => phase !== 'serving',
  })
  let { adminTokenDigest } = config
  if (adminTokenDigest && holders)
    await ops.register((scope) =>
      serveAdmin(scope, {
        tokenDigest: () => adminTokenDigest ?? NOBODY,
        holders,
        stops,
        evict: (customerId) =>
          customerId === null ? broker.evictAll() : broker.evictCustomer(customerId),
        explain: createExplain(
          { ...config.http, ...config.limits },
          { permit, customers: counted.customers, held: broker.held, fingerprint },
        ),
        settings: () => deps.settings?.() ?? [],
      }),
    )
  await Promise.all([server.ready(), ops.ready()])

  const servers = [...new Set([server, ops])]
  return {
    server,
    ops,
    async listen() {
      // A replica that starts afresh must not issue what is stopped. Without Redis it cannot know.
      await stops.load().catch(() => undefined)
      const { host, port, opsPort } = config.http
      const url = await server.listen({ host, port })
      const opsUrl = opsPort === null ? url : await ops.listen({ host, port: opsPort })
      upstream.start()
      return { url, opsUrl }
    },
    start: () => upstream.start(),
    reconfigure(next) {
      authenticator.reload(next.callers)
      upstream.reload(next.upstream)
      broker.reload(brokerSettings(next))
      sealer = sealerOf(next)
      adminTokenDigest = next.adminTokenDigest
      if (next.redis) redis?.reload(next.redis)
    },
    rereadFiles() {
      auditLog.reopen()
      return policy.reloadPolicy()
    },
    flushAudit: () => auditLog.flush(),
    announceStop() {
      phase = 'stopping'
    },
    async close(graceMs) {
      phase = 'draining'
      const overdue = setTimeout(() => {
        for (const { server: http } of servers) http.closeAllConnections()
      }, graceMs)
      // Connections that were busy when the servers closed: Node lets them idle, and waits for them.
      const idle = setInterval(() => {
        for (const { server: http } of servers) http.closeIdleConnections()
      }, CLOSE_IDLE_EVERY_MS)
      await Promise.all(servers.map((each) => each.close()))
      clearTimeout(overdue)
      clearInterval(idle)
      pressure.close()
      await broker.close()
      authenticator.close()
      policy.close()
      stops.close()
      await auditLog.close()
      await Promise.all([upstream.close(), redis?.close()])
      await tracing?.close()
    },
  }
}

const CLOSE_IDLE_EVERY_MS = 50

/** What no token's digest is equal to, for all anybody knows. */
const NOBODY = randomBytes(32)

const sealerOf = ({ cache }: Config) =>
  createSealer(cache.encryptionKeys ?? [derivedKey(cache.orgSecret)])
