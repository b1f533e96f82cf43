import { z } from 'zod'

const Parameter = z.object({
  in: z.string(),
  name: z.string(),
  description: z.string().optional(),
})

const Operation = z.object({
  operationId: z.string().optional(),
  summary: z.string().optional(),
  tags: z.array(z.string()).default([]),
  parameters: z.array(Parameter).default([]),
  security: z.array(z.unknown()).default([]),
  requestBody: z.unknown().optional(),
  responses: z.record(z.string(), z.unknown()),
})

/** As much of an OpenAPI document as the collection is made from. */
export const OpenApi = z.object({
  info: z.object({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
})

/** What a request may carry, where the schema alone would leave it empty. */
const BODIES: Readonly<Record<string, unknown>> = {
  requestToken: { type: 'scoped', min_ttl: 60 },
  introspectToken: { token: '{{token}}' },
}

/** In an order in which each request finds what it needs: tokens are made before they are looked at. */
const METHODS = ['get', 'post', 'delete']

type Saved = Readonly<Record<string, string>>

const script = (statuses: readonly number[], saved: Saved = {}) => [
  {
    listen: 'test',
    script: {
      type: 'text/javascript',
      exec: [
        `pm.test('answers as documented', () => pm.expect(pm.response.code).to.be.oneOf(${JSON.stringify(statuses)}))`,
        ...Object.entries(saved).map(
          ([variable, field]) =>
            `pm.environment.set('${variable}', pm.response.json()['${field}'])`,
        ),
      ],
    },
  },
]

const bearer = (variable: string) => ({
  type: 'bearer',
  bearer: [{ key: 'token', value: `{{${variable}}}`, type: 'string' }],
})

const json = (value: unknown) => ({
  header: [{ key: 'Content-Type', value: 'application/json' }],
  body: { mode: 'raw', raw: JSON.stringify(value, null, 2) },
})

function brokerRequest(path: string, method: string, operation: z.output<typeof Operation>) {
  const statuses = Object.keys(operation.responses).map(Number)
  const query = operation.parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, description }) => ({ key: name, value: '', description, disabled: true }))
  const segments = path.replace('{id}', '{{customer_id}}').slice(1).split('/')
  const body = operation.requestBody ? BODIES[operation.operationId ?? ''] : undefined
  return {
    name: operation.summary ?? `${method.toUpperCase()} ${path}`,
    event: script(
      statuses.filter((status) => status < 300),
      operation.operationId === 'getToken' ? { token: 'token' } : {},
    ),
    request: {
      method: method.toUpperCase(),
      url: {
        raw: `{{broker_url}}/${segments.join('/')}`,
        host: ['{{broker_url}}'],
        path: segments,
        ...(query.length > 0 && { query }),
      },
      ...(body !== undefined && json(body)),
      ...(operation.security.length === 0 && { auth: { type: 'noauth' } }),
    },
  }
}

/** The broker's own operations come out of its description, folder by folder. */
function brokerFolders(document: z.output<typeof OpenApi>) {
  const folders = new Map<string, ReturnType<typeof brokerRequest>[]>()
  for (const method of METHODS)
    for (const [path, operations] of Object.entries(document.paths)) {
      const operation = operations[method]
      if (!operation) continue
      const name = operation.tags[0] ?? 'others'
      folders.set(name, [...(folders.get(name) ?? []), brokerRequest(path, method, operation)])
    }
  return [...folders].map(([name, item]) => ({ name: `Broker: ${name}`, item }))
}

const refusal = (name: string, path: string, status: number, auth: object) => ({
  name,
  event: script([status]),
  request: {
    method: 'GET',
    auth,
    url: { raw: `{{broker_url}}${path}`, host: ['{{broker_url}}'], path: path.slice(1).split('/') },
  },
})

const upstream = (name: string, path: string, auth: object, body: unknown, saved: Saved = {}) => ({
  name,
  event: script([200], saved),
  request: {
    method: body === undefined ? 'GET' : 'POST',
    auth,
    url: {
      raw: `{{airbyte_url}}${path}`,
      host: ['{{airbyte_url}}'],
      path: path.slice(1).split('/'),
    },
    ...(body !== undefined && json(body)),
  },
})

const APPLICATIONS = '/api/v1/account/applications'

/** The broker's calls, those that it refuses, and what it asks the upstream itself. */
export function postmanCollection(document: z.output<typeof OpenApi>) {
  const mint = { workspace_name: '{{customer_id}}' }
  return {
    info: {
      name: document.info.title,
      version: document.info.version,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: bearer('service_key'),
    item: [
      ...brokerFolders(document),
      {
        name: 'Broker: what it refuses',
        item: [
          refusal('Nobody', '/customers/{{customer_id}}/token', 401, { type: 'noauth' }),
          refusal('No customer id', '/customers/default/token', 400, bearer('service_key')),
          refusal('No such path', '/nothing', 404, bearer('service_key')),
        ],
      },
      {
        name: 'Airbyte: what the broker does for you',
        item: [
          upstream(
            'Client credentials for an organisation token',
            `${APPLICATIONS}/token`,
            { type: 'noauth' },
            { client_id: '{{client_id}}', client_secret: '{{client_secret}}' },
            { org_token: 'access_token' },
          ),
          upstream('A scoped token', `${APPLICATIONS}/scoped-token`, bearer('org_token'), mint, {
            scoped_token: 'token',
          }),
          upstream('A widget token', `${APPLICATIONS}/widget-token`, bearer('org_token'), {
            ...mint,
            allowed_origin: '{{page_origin}}',
          }),
          upstream(
            'Whose token it is',
            `${APPLICATIONS}/scoped-token/info`,
            bearer('scoped_token'),
            undefined,
          ),
        ],
      },
    ],
  }
}

/** Set for `docker compose up`, whose credentials are demo values; tokens are filled in as requests run. */
export function postmanEnvironment(name: string) {
  const values = {
    broker_url: 'http://127.0.0.1:8080',
    service_key: 'demo-key-not-a-secret-000',
    customer_id: 'acme-rockets',
    airbyte_url: 'http://127.0.0.1:8090',
    client_id: 'demo-client',
    client_secret: 'demo-client-secret-not-a-secret',
    page_origin: 'http://localhost:5173',
    token: '',
    org_token: '',
    scoped_token: '',
  }
  const secrets = ['service_key', 'client_secret', 'token', 'org_token', 'scoped_token']
  return {
    name,
    values: Object.entries(values).map(([key, value]) => ({
      key,
      value,
      type: secrets.includes(key) ? 'secret' : 'default',
      enabled: true,
    })),
    _postman_variable_scope: 'environment',
  }
}
