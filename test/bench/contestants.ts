import { JWT_AUDIENCE, JWT_SECRET, SERVICE_KEY } from './load/credentials.ts'
import type { Job } from './load/load.ts'
import type { Environment, Processes, Server } from './processes.ts'

export type Contestant = Pick<Job, 'customers' | 'firstCustomer' | 'credential'> & {
  readonly name: string
  readonly server: Server
}

export type Surroundings = { readonly upstreamUrl: string; readonly redisUrl: string }

const ORG_TOKEN = 'bench-org-token-0123456789'
const FEW = 1000
const MANY = 100_000

/** The broker with all that it does by default, and limits that nobody reaches. */
export const brokerEnvironment = ({ upstreamUrl }: Surroundings, redisUrl?: string) => ({
  AIRBYTE_API_URL: upstreamUrl,
  AIRBYTE_DIALECT: 'applications',
  AIRBYTE_ACCESS_TOKEN: ORG_TOKEN,
  API_KEYS: `bench:${SERVICE_KEY}`,
  JWT_SECRET,
  JWT_AUDIENCE,
  RATE_LIMIT_MAX: '1000000000',
  CACHE_MAX_ENTRIES: '200000',
  ...(redisUrl && { REDIS_URL: redisUrl }),
})

export const startBroker = (processes: Processes, env: Environment) =>
  processes.server('../../src/start.js', env, { probe: '/health/ready' })

/** Those to compare with, and the broker in its ways; `few` leaves out the many customers. */
export async function startContestants(
  processes: Processes,
  around: Surroundings,
  which: 'all' | 'few',
): Promise<Contestant[]> {
  const others = { AIRBYTE_API_URL: around.upstreamUrl, AIRBYTE_ACCESS_TOKEN: ORG_TOKEN }
  const few = { customers: FEW, credential: 'jwt' } as const
  const contestants: Contestant[] = []
  for (const [name, file, env] of [
    ['node:http, ready reply', 'bare-http', {}],
    ['Fastify, ready reply', 'bare-fastify', {}],
    ['Fastify + rate-limit + Redis', 'plain-build', { REDIS_URL: around.redisUrl }],
    ['Express + rate-limit + Map', 'express-guide', {}],
  ] as const) {
    const server = await processes.server(`./contestants/${file}.ts`, { ...others, ...env })
    contestants.push({ name, server, ...few })
  }

  for (const customers of which === 'all' ? [FEW, MANY] : [FEW])
    for (const [cache, redisUrl] of [
      ['memory', undefined],
      ['Redis', around.redisUrl],
    ] as const) {
      const env = {
        ...brokerEnvironment(around, redisUrl),
        REDIS_KEY_PREFIX: `bench-${customers}:`,
      }
      const server = await startBroker(processes, env)
      for (const credential of ['jwt', 'key'] as const) {
        const name = `broker, ${cache}, ${credential === 'jwt' ? 'JWT' : 'API key'}${customers === MANY ? ', 100,000 customers' : ''}`
        contestants.push({ name, server, customers, credential })
      }
    }
  return contestants
}
