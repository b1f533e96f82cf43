import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readOpenapi } from '../support/conformity.ts'
import { startService } from '../support/service.ts'

test('openapi.yaml is what the routes say of themselves', async () => {
  const { app } = await startService()

  const served = await app.server.inject('/openapi.yaml')

  const committed = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')
  expect(served.body, 'run `npm run openapi`').toBe(committed)
  expect((await app.server.inject('/openapi.json')).json()).toEqual(readOpenapi())
})

test('every route of the contract is described, and nothing else', () => {
  const operations = Object.entries(readOpenapi().paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )

  expect(operations.sort()).toEqual([
    'DELETE /customers/{id}/token',
    'GET /client.js',
    'GET /customers/{id}/token',
    'GET /health',
    'GET /health/live',
    'GET /health/ready',
    'GET /metrics',
    'GET /openapi.json',
    'GET /openapi.yaml',
    'GET /version',
    'POST /customers/{id}/token',
    'POST /customers/{id}/token/introspect',
  ])
})

test('the page to try it and the client for browsers are served', async () => {
  const { app } = await startService()

  const docs = await app.server.inject('/docs')
  const script = await app.server.inject('/client.js')
  const again = await app.server.inject({
    url: '/client.js',
    headers: { 'if-none-match': String(script.headers.etag) },
  })

  expect(docs.statusCode).toBe(200)
  expect(docs.headers['content-security-policy']).toContain("script-src 'self'")
  expect(script.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'access-control-allow-origin': '*',
  })
  expect(script.body).toContain('createTokenClient')
  expect([again.statusCode, again.body]).toEqual([304, ''])
})
