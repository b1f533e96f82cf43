import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { compact } from '../client/compact.ts'
import { tidied } from './openapi.ts'

const DESCRIPTION = `Hands a page or a backend a short-lived Airbyte Embedded token for one customer.
The organisation's own token never leaves the server. All failures are problem documents (RFC 9457).`

/** The page loads its own files, and calls this service alone. Over plain http too, as on a laptop. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Collects what the routes say of themselves; must be there before them. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Token broker',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'tokens', description: "Customers' tokens" },
        { name: 'operations', description: 'On OPS_PORT where it is set' },
        { name: 'documents', description: 'This description, and the browser client' },
      ],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: "A service key, or an end user's JWT",
          },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'A service key' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'session',
            description: "The SaaS product's session; needs the header X-Requested-With",
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
}

const documented = (operationId: string, summary: string, contentType: string) => ({
  tags: ['documents'],
  operationId,
  summary,
  response: { 200: { description: summary, content: { [contentType]: { schema: z.unknown() } } } },
})

const clientSchema = (() => {
  const schema = documented('getClient', 'The client for browsers, an ES module', 'text/javascript')
  const unchanged = z.undefined().describe('The copy named by If-None-Match is still good')
  return { ...schema, response: { ...schema.response, 304: unchanged } }
})()

/** `/openapi.yaml`, `/openapi.json`, a page to try them, and the client for browsers. */
export async function serveDocs(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    theme: { title: 'Token broker' },
    // The page keeps no credential: who reloads it types it again.
    uiConfig: { persistAuthorization: false, deepLinking: true },
    logLevel: 'warn',
    transformSpecification: (document) => tidied(document),
    transformSpecificationClone: false,
  })

  let document: unknown
  const described = () => (document ??= tidied(app.swagger()))
  app.get(
    '/openapi.yaml',
    { schema: documented('getOpenapiYaml', 'This description, as YAML', 'application/yaml') },
    async (_request, reply) => {
      const { stringify } = await import('yaml')
      reply.header('cache-control', 'no-cache').type('application/yaml; charset=utf-8')
      return stringify(described(), { aliasDuplicateObjects: false, lineWidth: 100 })
    },
  )
  app.get(
    '/openapi.json',
    { schema: documented('getOpenapiJson', 'This description, as JSON', 'application/json') },
    (_request, reply) => {
      reply.header('cache-control', 'no-cache').send(described())
    },
  )

  const script = compact(await readFile(new URL('../client/client.js', import.meta.url), 'utf8'))
  const etag = `"${createHash('sha256').update(script).digest('base64url').slice(0, 22)}"`
  app.get('/client.js', { schema: clientSchema }, (request, reply) => {
    // Any page may load the script; what it then asks for, CORS decides.
    reply.header('access-control-allow-origin', '*')
    reply.header('cross-origin-resource-policy', 'cross-origin')
    reply.header('cache-control', 'public, max-age=300, stale-while-revalidate=86400')
    reply.header('etag', etag)
    if (
      request.headers['if-none-match']
        ?.split(/,\s*/)
        .some((tag) => tag.replace(/^W\//, '') === etag)
    ) {
      reply.code(304).send()
      return
    }
    reply.type('text/javascript; charset=utf-8').send(script)
  })
}
