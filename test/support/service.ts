import { readFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import type { LightMyRequestResponse } from 'fastify'
import { inject, onTestFinished } from 'vitest'
import { type App, type AppDeps, createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/logger.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'
import { createConformity } from './conformity.ts'
import { keepEvidence } from './evidence.ts'

export const SERVICE_KEY = 'test-service-key-0123456789abcdef'
export const JWT_SECRET = 'test-jwt-secret-of-more-than-32-bytes'

const conforms = createConformity()

/** A customer that no other test has. */
export const newCustomer = () => `customer-${crypto.randomUUID()}`

export type LogLine = Record<string, unknown> & { readonly msg?: string; readonly level?: string }

export type Service = {
  readonly app: App
  readonly upstream: Sandbox
  /** The log's lines so far. */
  logged(): LogLine[]
  /** One request as a service caller, unless `headers` say otherwise. Its reply is held against `openapi.yaml`. */
  ask(customerId: string, options?: AskOptions): Promise<LightMyRequestResponse>
  /** Ends the service before the test does, and tells the lines of its audit. */
  stop(): Promise<Record<string, unknown>[]>
  reconfigure(change: Record<string, string | undefined>): void
}

export type AskOptions = {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path?: string
  readonly query?: Record<string, string>
  /** JSON; a string goes as it is. */
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

export type ServiceOptions = {
  readonly env?: Record<string, string | undefined>
  readonly sandbox?: SandboxChange
  /** A sandbox that is shared with another service. */
  readonly upstream?: Sandbox
  readonly now?: () => number
  readonly deps?: Pick<AppDeps, 'pressure' | 'bounds'>
}

/**
 * The real app over a stand-in upstream, spoken to with `inject`; it and the upstream end with the test.
 * The org token comes from client credentials of Cloud's endpoint, unless `env` sets another source.
 */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const upstream = options.upstream ?? (await startSandbox(options.sandbox ?? {}))
  let env = environment(upstream, options.env ?? {})
  const config = configFrom(env)

  const lines: string[] = []
  const log = createLogger(
    'debug',
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString())
        done()
      },
    }),
  )
  const app = await createApp(config, {
    log,
    ...(options.now && { now: options.now }),
    ...options.deps,
  })
  app.start()

  let stopped = false
  const stop = async () => {
    if (!stopped) {
      stopped = true
      const metrics = await app.ops.inject('/metrics')
      await app.close(1000)
      const secrets = [...upstream.secrets, SERVICE_KEY, JWT_SECRET]
      keepEvidence({ secrets, texts: [...lines, metrics.body] })
    }
    return linesOf(readFileSync(config.audit.destination, 'utf8'))
  }
  onTestFinished(async () => {
    await stop()
    if (!options.upstream) await upstream.close()
  })

  return {
    app,
    upstream,
    logged: () => linesOf(lines.join('')),
    stop,
    async ask(customerId, { method = 'GET', path = '', query, body, headers } = {}) {
      const reply = await app.server.inject({
        method,
        url: `/customers/${encodeURIComponent(customerId)}/token${path}`,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(headers ?? { authorization: `Bearer ${SERVICE_KEY}` }),
        },
        ...(query && { query }),
        ...(body !== undefined && {
          payload: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      })
      // What there is to log of a request is written once its reply is out.
      await new Promise(setImmediate)
      conforms(method, `/customers/{id}/token${path}`, reply)
      if (reply.statusCode >= 400) keepEvidence({ secrets: [], texts: [reply.body] })
      return reply
    },
    reconfigure(change) {
      env = { ...env, ...change }
      app.reconfigure(configFrom(env))
    },
  }
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

export function environment(upstream: Sandbox, change: Record<string, string | undefined>) {
  const ownSource = [
    'ORG_TOKEN_SOURCE',
    'AIRBYTE_ACCESS_TOKEN',
    'OAUTH2_CLIENT_ID',
    'BEYOND_IDENTITY_CLIENT_ID',
  ].some((name) => name in change)
  return {
    AIRBYTE_API_URL: upstream.url,
    ...(!ownSource && {
      AIRBYTE_CLIENT_ID: upstream.clientId,
      AIRBYTE_CLIENT_SECRET: upstream.clientSecret,
      AIRBYTE_TOKEN_URL: `${upstream.url}/v1/applications/token`,
    }),
    API_KEYS: `backend:${SERVICE_KEY}`,
    AUDIT_LOG: `${inject('evidenceFolder')}/audit-${crypto.randomUUID()}`,
    ...change,
  }
}

export function configFrom(env: Record<string, string | undefined>) {
  const loaded = loadConfig(env)
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return loaded.config
}
