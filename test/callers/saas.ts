import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { SERVICE_KEY, startService } from '../support/service.ts'
import { startIdentityProvider } from './identity-provider.ts'

export const page = 'https://app.example.com'

/** The broker as a SaaS product has it: keys for backends, an identity provider, and sessions. */
export async function startSaas(env: Record<string, string> = {}) {
  const idp = await startIdentityProvider()
  const sessions = await startSessions()
  const service = await startService({
    env: {
      JWT_ISSUER: idp.url,
      JWT_AUDIENCE: 'broker',
      SESSION_CHECK_URL: sessions,
      CORS_ALLOWED_ORIGINS: page,
      ...env,
    },
  })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  return {
    ...service,
    idp,
    bearer,
    asService: bearer(SERVICE_KEY),
    asUser: async (customers: unknown, claims: Record<string, unknown> = {}) =>
      bearer(await idp.token({ customer_id: customers, ...claims })),
    /** The cookie is the list of its customers, which this backend takes at its word. */
    asSession: (...customers: string[]) => ({
      cookie: `sid=${Buffer.from(JSON.stringify(customers)).toString('base64url')}`,
      'x-requested-with': 'fetch',
      origin: page,
    }),
    /** How many requests are left to a customer, once this one has been counted. */
    async remaining(customerId: string): Promise<number> {
      const reply = await service.ask(customerId)
      return Number(/r=(\d+)/.exec(String(reply.headers.ratelimit))?.[1])
    },
  }
}

async function startSessions(): Promise<string> {
  const server = createServer((request, response) => {
    const [, session] = /^sid=([\w-]+)$/.exec(request.headers.cookie ?? '') ?? []
    response.writeHead(session ? 200 : 401)
    const customers: unknown = session
      ? JSON.parse(Buffer.from(session, 'base64url').toString())
      : []
    response.end(JSON.stringify({ customer_ids: customers }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}/session`
}
