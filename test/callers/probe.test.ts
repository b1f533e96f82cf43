import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { runProbe } from '../../src/commands/probe-run.ts'
import { newCustomer, SERVICE_KEY, startService } from '../support/service.ts'
import { page, startSaas } from './saas.ts'

async function probe(url: string, env: Record<string, string> = {}) {
  const lines: string[] = []
  const status = await runProbe([url], env, (line) => void lines.push(line))
  return { status, lines, failures: lines.filter((line) => line.startsWith('FAIL')) }
}

const ports = { PORT: '0', HOST: '127.0.0.1' }

test('on a broker as it must be, every check passes and only the named customer gets a token', async () => {
  const saas = await startSaas(ports)
  const { url } = await saas.app.listen()
  const customer = newCustomer()
  const jwt = (await saas.asUser(customer)).authorization.slice('Bearer '.length)

  const { status, failures, lines } = await probe(url, {
    PROBE_CUSTOMER: customer,
    PROBE_API_KEY: SERVICE_KEY,
    PROBE_JWT: jwt,
    PROBE_COOKIE: saas.asSession(customer).cookie,
    PROBE_ORIGIN: page,
  })

  expect(failures).toEqual([])
  expect(status).toBe(0)
  expect(lines.filter((line) => line.startsWith('skip'))).toEqual([])
  expect(new Set(saas.upstream.minted.map((minted) => minted.customer))).toEqual(
    new Set([customer]),
  )
  expect(lines.join()).not.toContain(jwt.slice(-20))
})

test('without credentials it checks the refusals, and mints nothing', async () => {
  const saas = await startSaas(ports)
  const { url } = await saas.app.listen()

  const { status, lines } = await probe(`${url}/`)

  expect(status).toBe(0)
  expect(lines.filter((line) => line.startsWith('skip'))).toHaveLength(3)
  expect(saas.upstream.counts.mints.total).toBe(0)
})

test('a broker that lets everybody in fails at once, before it mints anything', async () => {
  const service = await startService({ env: { AUTH: 'none', API_KEYS: undefined, ...ports } })
  const { url } = await service.app.listen()

  const { status, lines } = await probe(url)

  expect(status).toBe(1)
  expect(lines).toEqual(['FAIL  no credential, DELETE: answered 204, not 401 or 429'])
  expect(service.upstream.counts.mints.total).toBe(0)
})

test('a limit on failures that is low does not look like a hole', async () => {
  const saas = await startSaas({ ...ports, RATE_LIMIT_AUTH_FAILURES: '2' })
  const { url } = await saas.app.listen()

  expect((await probe(url)).failures).toEqual([])
})

test('a broker that believes what a JWT says of itself is found out', async () => {
  const server = createServer((request, response) => {
    const believed = request.headers.authorization?.includes('.') ?? false
    response.writeHead(believed ? 200 : 401, {
      'content-type': 'application/problem+json',
      'www-authenticate': 'Bearer',
    })
    response.end(JSON.stringify(believed ? { token: 'x' } : { code: 'unauthenticated' }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo

  const { status, failures } = await probe(`http://127.0.0.1:${port}`)

  expect(status).toBe(1)
  expect(failures.join('\n')).toContain('a JWT: unsigned, alg none: answered 200, not 401 or 429')
})

test('no broker there, no URL, or a credential without a customer', async () => {
  expect((await probe('http://127.0.0.1:1')).lines[0]).toMatch(
    /^FAIL {2}no credential, DELETE: no answer/,
  )
  expect((await probe('ftp://x')).status).toBe(2)
  expect((await probe('http://127.0.0.1:1', { PROBE_API_KEY: 'k' })).status).toBe(2)
  expect(await runProbe([], {}, () => undefined)).toBe(2)
})
