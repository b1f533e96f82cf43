import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisClient } from './link.ts'

/** The library's type allows itself an `undefined` that its constructors do not take. */
type Options = Omit<RedisOptions, 'replyMapping'>

export type RedisEndpoint = { readonly host: string; readonly port: number }

/** Exactly one of `url`, `clusterNodes` and `sentinels` is set. */
export type RedisSettings = {
  readonly url: string | null
  readonly clusterNodes: readonly RedisEndpoint[] | null
  readonly sentinels: { readonly nodes: readonly RedisEndpoint[]; readonly name: string } | null
  /** Rather than what the URL says; so is the password. */
  readonly username: string | null
  readonly password: string | null
  readonly tls: boolean
  readonly keyPrefix: string
  /** How long a call waits for Redis; 100 when left out. */
  readonly commandTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 2_000
/** A socket that owes an answer this long is dead, whatever the network says. */
const SILENCE_LIMIT_MS = 3_000
const LONGEST_PAUSE_MS = 2_000

/** Until the next attempt to connect; for ever, and not in step with the other replicas. */
export function reconnectPauseMs(attempt: number): number {
  const ceiling = Math.min(LONGEST_PAUSE_MS, 25 * 2 ** Math.min(attempt, 10))
  return Math.round(ceiling / 2 + (Math.random() * ceiling) / 2)
}

function commonOptions(settings: RedisSettings): Options {
  return {
    ...(settings.username === null ? {} : { username: settings.username }),
    ...(settings.password === null ? {} : { password: settings.password }),
    ...(settings.tls ? { tls: {} } : {}),
    lazyConnect: true,
    connectionName: 'token-broker',
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_LIMIT_MS,
    // How long a socket that we close may take to close.
    ...{ disconnectTimeout: 200 },
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // A command that met a broken connection has failed: its caller went on without it long ago.
    maxRetriesPerRequest: 0,
    // A former master that still answers: connect again, and find the new one.
    reconnectOnError: (error) => /(^|-)READONLY/.test(error.message),
  }
}

function sentinelOptions(settings: RedisSettings): Options {
  if (settings.sentinels === null) return {}
  return {
    sentinels: settings.sentinels.nodes.map(({ host, port }) => ({ host, port })),
    name: settings.sentinels.name,
    sentinelRetryStrategy: (attempt) => Math.min(500, reconnectPauseMs(attempt)),
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    failoverDetector: true,
    ...(settings.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  }
}

function createSingle(settings: RedisSettings, options: Options): Redis {
  if (settings.url === null) return new Redis(options)
  // The library prefers what the URL says; a password that is set by itself is the newer one.
  const url = new URL(settings.url)
  if (settings.username !== null) url.username = encodeURIComponent(settings.username)
  if (settings.password !== null) url.password = encodeURIComponent(settings.password)
  return new Redis(url.href, options)
}

/** A client that is not connected yet; `connect` may be called once. */
export function createClient(settings: RedisSettings): RedisClient {
  const common = commonOptions(settings)
  if (settings.clusterNodes !== null) {
    const cluster = new Cluster(
      settings.clusterNodes.map(({ host, port }) => ({ host, port })),
      {
        lazyConnect: true,
        enableOfflineQueue: false,
        enableAutoPipelining: true,
        clusterRetryStrategy: reconnectPauseMs,
        retryDelayOnFailover: 20,
        retryDelayOnClusterDown: 50,
        retryDelayOnTryAgain: 20,
        slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
        slotsRefreshInterval: 5_000,
        redisOptions: common,
      },
    )
    // Otherwise a node is connected by the first command that needs it, and all that come
    // before it is ready are turned away.
    cluster.on('+node', (node: Redis) => {
      if (node.status === 'wait') node.connect().catch(() => {})
    })
    return cluster
  }
  const options: Options = {
    ...common,
    ...sentinelOptions(settings),
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    retryStrategy: reconnectPauseMs,
  }
  return createSingle(settings, options)
}

/** A connection for messages alone, to any one node; it does not reconnect by itself. */
export function createMessageConnection(settings: RedisSettings, client: RedisClient): Redis {
  const options: Options = {
    ...commonOptions(settings),
    ...sentinelOptions(settings),
    enableOfflineQueue: false,
    retryStrategy: null,
  }
  if (client instanceof Cluster) {
    const known = client.nodes('master').map((node) => node.options)
    const nodes = known.length > 0 ? known : (settings.clusterNodes ?? [])
    const node = nodes[Math.floor(Math.random() * nodes.length)]
    return new Redis({ ...options, host: node?.host ?? '', port: node?.port ?? 0 })
  }
  return createSingle(settings, options)
}
