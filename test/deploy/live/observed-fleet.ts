import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startSandbox } from '../../../src/sandbox/sandbox.ts'
import { freePort, startPrivateRedis, until } from '../../support/private-redis.ts'

const START = fileURLToPath(new URL('../../../src/start.js', import.meta.url))
const SERVICE_KEY = 'observed-fleet-service-key'

export type ObservedBroker = {
  readonly opsUrl: string
  /** The status of the reply. */
  ask(customer: string, query?: string, key?: string): Promise<number>
  stop(): Promise<void>
  /** Again, on the same ports. */
  start(): Promise<void>
}

type Environment = Readonly<Record<string, string>>

/** Brokers as processes of their own, a Redis and a sandbox, to be looked at from outside. */
export async function startObservedFleet() {
  const sandbox = await startSandbox()
  const redis = await startPrivateRedis()
  const brokers: ObservedBroker[] = []

  const shared = {
    HOST: '127.0.0.1',
    AIRBYTE_API_URL: sandbox.url,
    AIRBYTE_TOKEN_URL: `${sandbox.url}/v1/applications/token`,
    AIRBYTE_CLIENT_ID: sandbox.clientId,
    AIRBYTE_CLIENT_SECRET: sandbox.clientSecret,
    API_KEYS: `observer:${SERVICE_KEY}`,
    RATE_LIMIT_MAX: '1000000',
    RATE_LIMIT_AUTH_FAILURES: '5',
    WIDGET_ALLOWED_ORIGINS: 'https://app.example.com',
    REDIS_URL: redis.url,
    LOG_LEVEL: 'silent',
    AUDIT_LOG: '/dev/null',
    SHUTDOWN_DELAY: '0s',
  }

  return {
    sandbox,
    redis,
    /** `env` comes on top of what all have in common; an empty value takes something away. */
    async broker(env: Environment = {}): Promise<ObservedBroker> {
      const ports = { PORT: `${await freePort()}`, OPS_PORT: `${await freePort()}` }
      const broker = observedBroker({ ...shared, ...ports, ...env })
      brokers.push(broker)
      await broker.start()
      return broker
    },
    async stop() {
      await Promise.all(brokers.map((broker) => broker.stop()))
      await redis.stop()
      await sandbox.close()
    },
  }
}

function observedBroker(env: Environment): ObservedBroker {
  const url = `http://127.0.0.1:${env.PORT}`
  const opsUrl = `http://127.0.0.1:${env.OPS_PORT}`
  let child: ChildProcess | undefined

  return {
    opsUrl,
    async ask(customer, query = '', key = SERVICE_KEY) {
      const reply = await fetch(`${url}/customers/${customer}/token${query}`, {
        headers: { 'x-api-key': key },
      })
      await reply.arrayBuffer()
      return reply.status
    },
    async start() {
      const started = spawn(process.execPath, [START], {
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      child = started
      await until(() => lives(opsUrl, started), 'a broker that lives', 30_000)
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
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
