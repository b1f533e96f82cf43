import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { startIdentityProvider } from '../callers/identity-provider.ts'
import { newCustomer, startService } from '../support/service.ts'
import { healthOf, linesThatSay, matrix, metric, untilSaid } from './matrix.ts'

const { row, isWhatTheDocumentSays } = matrix('The checks of callers')

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'token-broker-test-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

/** A backend that says 200 and these words, until it is told to fail. */
async function startBackend(words: unknown) {
  const backend = { status: 200 }
  const server = createServer((_request, response) => {
    response.writeHead(backend.status).end(JSON.stringify(words))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { backend, url: `http://127.0.0.1:${port}` }
}

async function startWithProvider() {
  const idp = await startIdentityProvider()
  const service = await startService({ env: { JWT_ISSUER: idp.url, JWT_AUDIENCE: 'broker' } })
  const customer = newCustomer()
  const user = { authorization: `Bearer ${await idp.token({ customer_id: customer })}` }
  await service.ask(customer, { headers: user })
  idp.answer('/.well-known/openid-configuration', (response) => response.writeHead(503).end())
  idp.answer('/keys', (response) => response.writeHead(503).end())
  await idp.addKey('newer')
  const another = {
    authorization: `Bearer ${await idp.token({ customer_id: customer }, { kid: 'newer' })}`,
  }
  return { ...service, customer, user, another }
}

row(
  'The identity provider is away',
  [
    'JWTs by keys that are known: 200. By others: 503 `caller_check_unavailable` with `Retry-After`. Service keys: 200',
    async () => {
      const { ask, customer, user, another } = await startWithProvider()

      const known = await ask(customer, { headers: user })
      const unknown = await ask(customer, { headers: another })
      const asService = await ask(customer)

      expect([known.statusCode, asService.statusCode]).toEqual([200, 200])
      expect([unknown.statusCode, unknown.json().code]).toEqual([503, 'caller_check_unavailable'])
      expect(Number(unknown.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    },
  ],
  [
    'A `warn` line for each try, of which there is one in a while; still ready',
    async () => {
      const service = await startWithProvider()
      for (let time = 0; time < 5; time++)
        await service.ask(service.customer, { headers: service.another })

      const said = linesThatSay(service, 'the key set for JWTs cannot be fetched')
      expect(said.map(({ level }) => level)).toEqual(['warn'])
      expect((await healthOf(service)).ready).toBe(200)
    },
  ],
)

const asUser = (sid: string) => ({ cookie: `sid=${sid}`, 'x-requested-with': 'fetch' })

async function startWithSessions() {
  const customer = newCustomer()
  const { backend, url } = await startBackend({ customer_ids: [customer] })
  const service = await startService({ env: { SESSION_CHECK_URL: url } })
  await service.ask(customer, { headers: asUser('known') })
  backend.status = 500
  return { ...service, customer }
}

row(
  'The session check is away, or answers nonsense',
  [
    'Sessions checked within `SESSION_CHECK_TTL`: 200. Others: 503 `caller_check_unavailable` with `Retry-After`. Service keys: 200',
    async () => {
      const { ask, customer } = await startWithSessions()

      const known = await ask(customer, { headers: asUser('known') })
      const unknown = await ask(customer, { headers: asUser('unknown') })

      expect([known.statusCode, (await ask(customer)).statusCode]).toEqual([200, 200])
      expect([unknown.statusCode, unknown.json().code]).toEqual([503, 'caller_check_unavailable'])
      expect(Number(unknown.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    },
  ],
  [
    '`token_requests_total{outcome="failed"}` rises, a `warn` line each; still ready',
    async () => {
      const service = await startWithSessions()
      await service.ask(service.customer, { headers: asUser('unknown') })

      const failed = 'token_requests_total{type="scoped",outcome="failed"}'
      expect(await metric(service, failed)).toBe(1)
      const said = service.logged().filter(({ code }) => code === 'caller_check_unavailable')
      expect(said.map(({ level }) => level)).toContain('warn')
      expect((await healthOf(service)).ready).toBe(200)
    },
  ],
)

async function startWithKnownCustomers() {
  const { backend, url } = await startBackend({})
  const path = join(await folder(), 'policy.yaml')
  await writeFile(path, `known_customers: { url: "${url}/customers/{id}", ttl: 1m }\n`)
  const service = await startService({ env: { POLICY_FILE: path } })
  const customer = newCustomer()
  await service.ask(customer)
  backend.status = 500
  return { ...service, customer }
}

row(
  'The check of known customers (policy file) is away',
  [
    'Customers checked within its `ttl`: 200. Others: 503 `caller_check_unavailable` with `Retry-After`',
    async () => {
      const { ask, customer } = await startWithKnownCustomers()

      const unknown = await ask(newCustomer())

      expect((await ask(customer)).statusCode).toBe(200)
      expect([unknown.statusCode, unknown.json().code]).toEqual([503, 'caller_check_unavailable'])
    },
  ],
  [
    '`token_requests_total{outcome="failed"}` rises, a `warn` line each; still ready',
    async () => {
      const service = await startWithKnownCustomers()
      await service.ask(newCustomer())

      const failed = 'token_requests_total{type="scoped",outcome="failed"}'
      expect(await metric(service, failed)).toBe(1)
      expect((await healthOf(service)).ready).toBe(200)
    },
  ],
)

async function startWithBrokenPolicy() {
  const path = join(await folder(), 'policy.yaml')
  await writeFile(path, 'services:\n  backend: { customers: [acme] }\n')
  const service = await startService({ env: { POLICY_FILE: path } })
  await writeFile(path, 'services: [\n')
  await service.app.rereadFiles()
  return service
}

row(
  'The policy file becomes wrong',
  [
    'What the last good one says',
    async () => {
      const { ask } = await startWithBrokenPolicy()

      expect((await ask('acme')).statusCode).toBe(200)
      expect((await ask('another')).statusCode).toBe(403)
    },
  ],
  [
    'An `error` line that names the mistake',
    async () => {
      const service = await startWithBrokenPolicy()

      await untilSaid(service, 'the last good one stays in force')
      const [line] = linesThatSay(service, 'the last good one stays in force')
      expect(line?.level).toBe('error')
      expect(line?.problems).toHaveLength(1)
    },
  ],
)

isWhatTheDocumentSays()
