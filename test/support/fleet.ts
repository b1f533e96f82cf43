import { Agent, request } from 'undici'
import { onTestFinished } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'
import { keepEvidence } from './evidence.ts'
import { freePort, until } from './private-redis.ts'
import { spawnBroker } from './process.ts'
import { environment, SERVICE_KEY } from './service.ts'

export type Answer = {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly header: (name: string) => string | undefined
}

export type FleetBroker = {
  readonly url: string
  ask(customerId: string, options?: AskOptions): Promise<Answer>
  isUp(): Promise<boolean>
  seesRedis(): Promise<boolean>
  /** At once, in the middle of whatever it does. */
  kill(): Promise<void>
  stop(): Promise<number | string>
}

export type AskOptions = {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly query?: Record<string, string>
  readonly body?: Record<string, unknown>
}

export type FleetOptions = {
  /** `REDIS_URL` and its like. */
  readonly redis: Record<string, string>
  readonly replicas?: number
  readonly env?: Record<string, string>
  readonly sandbox?: SandboxChange
}

export type BrokerFleet = {
  readonly upstream: Sandbox
  readonly brokers: readonly FleetBroker[]
  /** Another replica, as after a crash. */
  start(): Promise<FleetBroker>
}

/** Replicas as processes of their own, on one Redis and one stand-in upstream. All end with the test. */
export async function startFleet(options: FleetOptions): Promise<BrokerFleet> {
  const upstream = await startSandbox({ remembers: 100_000, ...options.sandbox })
  const agent = new Agent({ connections: 400, keepAliveTimeout: 60_000 })
  onTestFinished(async () => {
    await agent.destroy()
    // The tokens are too many to search for each; those of the smaller tests stand for them.
    keepEvidence({ secrets: [SERVICE_KEY, upstream.clientSecret], texts: [] })
    await upstream.close()
  })

  async function start(): Promise<FleetBroker> {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const broker = spawnBroker({
      ...environment(upstream, { AUDIT_LOG: '/dev/null', LOG_LEVEL: 'warn' }),
      ...options.redis,
      RATE_LIMIT_MAX: '1000000',
      SHUTDOWN_DELAY: '0ms',
      PORT: `${port}`,
      ...options.env,
    })
    const get = async (path: string) => {
      try {
        const reply = await request(`${url}${path}`, { dispatcher: agent })
        return { status: reply.statusCode, text: await reply.body.text() }
      } catch {
        return { status: 0, text: '' }
      }
    }
    const isUp = async () => (await get('/health/ready')).status === 200
    await until(isUp, 'a broker that is ready', 20_000)

    return {
      url,
      isUp,
      seesRedis: async () => (await get('/health')).text.includes('"redis":{"status":"ok"'),
      async ask(customerId, { method = 'GET', query = {}, body } = {}) {
        const reply = await request(`${url}/customers/${encodeURIComponent(customerId)}/token`, {
          method,
          query,
          dispatcher: agent,
          headers: {
            authorization: `Bearer ${SERVICE_KEY}`,
            ...(body && { 'content-type': 'application/json' }),
          },
          ...(body && { body: JSON.stringify(body) }),
        })
        const text = await reply.body.text()
        const header = (name: string) => {
          const value = reply.headers[name]
          return Array.isArray(value) ? value[0] : value
        }
        return { status: reply.statusCode, body: text === '' ? {} : JSON.parse(text), header }
      },
      async kill() {
        broker.child.kill('SIGKILL')
        await broker.exit
      },
      async stop() {
        broker.child.kill('SIGTERM')
        return broker.exit
      },
    }
  }

  const brokers = await Promise.all(Array.from({ length: options.replicas ?? 3 }, start))
  return { upstream, brokers, start }
}
