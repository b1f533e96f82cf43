import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'
import { keepEvidence } from './evidence.ts'
import { freePort, until } from './private-redis.ts'
import { environment, type LogLine, SERVICE_KEY } from './service.ts'

/** Neither starting nor without the Redis that every fleet has. */
const READY = '"status":"ok","checks"'
const START = fileURLToPath(new URL('../../src/start.js', import.meta.url))

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
  logged(): LogLine[]
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
  /** Another replica. */
  start(): Promise<FleetBroker>
  /** Ends all of it. */
  end(): Promise<void>
}

/** Replicas as processes of their own, on one Redis and one stand-in upstream. */
export async function startFleet(options: FleetOptions): Promise<BrokerFleet> {
  const upstream = await startSandbox({ remembers: 100_000, ...options.sandbox })
  const agent = new Agent({ connections: 400, keepAliveTimeout: 60_000 })
  const endings: (() => Promise<unknown>)[] = []

  async function start(): Promise<FleetBroker> {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const child = spawn(process.execPath, [START], {
      env: {
        PATH: process.env.PATH,
        ...environment(upstream, { AUDIT_LOG: '/dev/null', LOG_LEVEL: 'warn' }),
        ...options.redis,
        RATE_LIMIT_MAX: '1000000',
        SHUTDOWN_DELAY: '0ms',
        HOST: '127.0.0.1',
        PORT: `${port}`,
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk
      })
    const exit = once(child, 'exit').then(([code, signal]): number | string => code ?? signal)
    const end = async (signal: NodeJS.Signals) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return exit
    }
    endings.push(async () => {
      await end('SIGKILL')
      // The tokens are too many to look for each: those of the smaller tests stand for them.
      keepEvidence({ secrets: [SERVICE_KEY, upstream.clientSecret], texts: [output] })
    })
    const get = async (path: string) => {
      try {
        const reply = await request(`${url}${path}`, { dispatcher: agent })
        return { status: reply.statusCode, text: await reply.body.text() }
      } catch {
        return { status: 0, text: '' }
      }
    }
    async function askOnce(customerId: string, options: AskOptions): Promise<Answer> {
      const { method = 'GET', query = {}, body } = options
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
    }
    const isUp = async () => (await get('/health/ready')).status === 200
    await until(async () => (await get('/health')).text.includes(READY), 'a ready broker', 30_000)

    return {
      url,
      isUp,
      seesRedis: async () => (await get('/health')).text.includes(READY),
      async ask(customerId, options = {}) {
        for (;;) {
          const answer = await askOnce(customerId, options)
          // On a machine that has too much to do the replicas say so, and callers come again.
          if (answer.body.code !== 'overloaded') return answer
          await setTimeout(200)
        }
      },
      kill: async () => {
        await end('SIGKILL')
      },
      stop: () => end('SIGTERM'),
      logged: () =>
        output
          .split('\n')
          .filter((line) => line.startsWith('{'))
          .map((line): LogLine => JSON.parse(line)),
    }
  }

  const brokers = await Promise.all(Array.from({ length: options.replicas ?? 3 }, start))
  return {
    upstream,
    brokers,
    start,
    async end() {
      await Promise.all(endings.map((each) => each()))
      await agent.destroy()
      await upstream.close()
    },
  }
}
