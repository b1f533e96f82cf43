import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startSandbox } from '../../../src/sandbox/sandbox.ts'
import { freePort, startPrivateRedis, until } from '../../support/private-redis.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
export const SERVICE_KEY = 'observed-fleet-service-key'

export type ObservedBroker = {
  readonly url: string
  readonly opsUrl: string
  /** The status of the reply. */
  ask(customer: string, query?: string, key?: string): Promise<number>
  stop(): Promise<void>
}

type Environment = Readonly<Record<string, string>>

/** Brokers as processes of their own, a Redis and a sandbox, to be looked at from outside. */
export async function startObservedFleet() {
  const sandbox = await startSandbox()
  const redis = await startPrivateRedis()
  const brokers: ObservedBroker[] = []

  const shared = {
    AIRBYTE_API_URL: sandbox.url,
    AIRBYTE_TOKEN_URL: `${sandbox.url}/v1/applications/token`,
    AIRBYTE_CLIENT_ID: sandbox.clientId,
    AIRBYTE_CLIENT_SECRET: sandbox.clientSecret,
    ORG_TOKEN_SOURCE: 'airbyte-cloud',
    API_KEYS: `observer:${SERVICE_KEY}`,
    RATE_LIMIT_MAX: '1000000',
    RATE_LIMIT_AUTH_FAILURES: '5',
    WIDGET_ALLOWED_ORIGINS: 'https://app.example.com',
    REDIS_URL: redis.url,
    LOG_LEVEL: 'error',
    AUDIT_LOG: '/dev/null',
    SHUTDOWN_DELAY: '0s',
  }

  return {
    sandbox,
    redis,
    /** `env` comes on top of what all have in common; an empty value takes something away. */
    async start(env: Environment = {}): Promise<ObservedBroker> {
      const broker = await startBroker({ ...shared, ...env })
      brokers.push(broker)
      return broker
    },
    async stop() {
      await Promise.all(brokers.map((broker) => broker.stop()))
      await redis.stop()
      await sandbox.close()
    },
  }
}

async function startBroker(env: Environment): Promise<ObservedBroker> {
  const [port, opsPort] = [await freePort(), await freePort()]
  const child = spawn(process.execPath, [MAIN], {
    env: { HOST: '127.0.0.1', PORT: `${port}`, OPS_PORT: `${opsPort}`, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exit = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  const opsUrl = `http://127.0.0.1:${opsPort}`
  await until(() => lives(opsUrl, child), 'a broker that lives', 30_000)
  return {
    url,
    opsUrl,
    async ask(customer, query = '', key = SERVICE_KEY) {
      const reply = await fetch(`${url}/customers/${customer}/token${query}`, {
        headers: { 'x-api-key': key },
      })
      await reply.arrayBuffer()
      return reply.status
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await exit
    },
  }
}

async function lives(opsUrl: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`the broker ended with ${child.exitCode}`)
  const reply = await fetch(`${opsUrl}/health/live`).catch(() => undefined)
  await reply?.arrayBuffer()
  return reply?.ok === true
}
