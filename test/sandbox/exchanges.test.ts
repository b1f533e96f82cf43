import { expect, test } from 'vitest'
import { ask, bearer, claimsOf, mint, PATHS, sandboxWith } from './talk.ts'

const CLOUD = '/v1/applications/token'
const AGENTS = '/api/v1/account/applications/token'
const BEYOND = '/v1/tenants/t1/realms/r1/applications/a1/token'
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

test.each([CLOUD, '/api/public/v1/applications/token', '/api/v1/applications/token', AGENTS])(
  '%s turns client credentials in JSON into an org token that mints',
  async (path) => {
    const sandbox = await sandboxWith()
    const { clientId: client_id, clientSecret: client_secret } = sandbox

    const reply = await ask(sandbox, path, { json: { client_id, client_secret } })
    const minted = await mint(
      sandbox,
      `${PATHS.guide}/scoped-token`,
      { external_id: 'acme' },
      bearer(reply.json.access_token),
    )

    expect(reply.status).toBe(200)
    expect(minted.status).toBe(200)
    expect(sandbox.counts.exchanges).toEqual({ total: 1, byCredential: { [client_id]: 1 } })
    expect(sandbox.counts.mints.byCredential).toEqual({ [client_id]: 1 })
    expect(sandbox.asked[1]?.orgToken).toBe('org-1')
  },
)

test('each exchange words its reply as the real one does', async () => {
  const sandbox = await sandboxWith()
  const { clientId: client_id, clientSecret: client_secret } = sandbox
  const json = { client_id, client_secret }

  const cloud = await ask(sandbox, CLOUD, {
    json: { ...json, 'grant-type': 'client_credentials' },
  })
  const old = await ask(sandbox, '/api/v1/applications/token', { json })
  const agents = await ask(sandbox, AGENTS, { json })

  expect(cloud.json).toMatchObject({ token_type: 'Bearer', expires_in: 900 })
  expect(Object.keys(old.json)).toEqual(['access_token'])
  expect(agents.json).toMatchObject({ token_type: 'bearer', expires_in: 900 })
})

test('an org token is a JWT that carries its end and no iat', async () => {
  const now = 1_800_000_000_500
  const sandbox = await sandboxWith({ now: () => now, orgTokenLifeMs: 180_000 })
  const { clientId: client_id, clientSecret: client_secret } = sandbox

  const reply = await ask(sandbox, CLOUD, { json: { client_id, client_secret } })

  const claims = claimsOf(reply.json.access_token)
  expect(claims.exp).toBe(1_800_000_180)
  expect(claims).not.toHaveProperty('iat')
  expect(reply.headers.get('date')).toBe(new Date(now).toUTCString())
})

test('a form is refused by Airbyte\u2019s own exchanges, and a wrong secret by all', async () => {
  const sandbox = await sandboxWith()
  const { clientId: client_id, clientSecret: client_secret } = sandbox

  const form = await ask(sandbox, CLOUD, { form: { client_id, client_secret } })
  const wrong = await ask(sandbox, CLOUD, { json: { client_id, client_secret: 'wrong' } })
  const wrongAgent = await ask(sandbox, AGENTS, { json: { client_id, client_secret: 'wrong' } })

  expect([form.status, wrong.status, wrongAgent.status]).toEqual([401, 401, 401])
  expect(form.json).toMatchObject({ status: 401, title: 'unauthorized', data: {} })
  expect(sandbox.counts.exchanges.byCredential).toEqual({ [client_id]: 3 })
})

test('the agents exchange takes the two fields and nothing else', async () => {
  const sandbox = await sandboxWith()
  const { clientId: client_id, clientSecret: client_secret } = sandbox
  const json = { client_id, client_secret, 'grant-type': 'client_credentials' }

  const strict = await ask(sandbox, AGENTS, { json })
  sandbox.configure({ strict: false })
  const lenient = await ask(sandbox, AGENTS, { json })

  expect(strict.status).toBe(422)
  expect(strict.json.detail).toMatchObject([{ loc: ['body', 'grant-type'] }])
  expect(lenient.status).toBe(200)
})

test('an agents org token is bound to the organisation that was asked for', async () => {
  const sandbox = await sandboxWith({ organizations: ['org-a', 'org-b'] })
  const { clientId: client_id, clientSecret: client_secret } = sandbox
  const json = { client_id, client_secret }
  const path = `${PATHS.guide}/scoped-token`

  const bound = await ask(sandbox, AGENTS, { json, headers: { 'x-organization-id': 'org-b' } })
  const unknown = await ask(sandbox, AGENTS, { json, headers: { 'x-organization-id': 'org-c' } })
  const minted = await mint(sandbox, path, { external_id: 'acme' }, bearer(bound.json.access_token))

  expect(bound.json.organization_id).toBe('org-b')
  expect(unknown.status).toBe(400)
  expect(minted.status).toBe(200)
  expect(sandbox.minted[0]?.organization).toBe('org-b')
})

test('Beyond Identity takes Basic and a form, and says errors by RFC 6749', async () => {
  const sandbox = await sandboxWith({
    scopes: ['mint', 'read'],
    beyondIdentity: { tenant: 't1', realm: 'r1', application: 'a1' },
    orgTokenLifeMs: 7_776_000_000,
    opaqueOrgTokens: true,
  })
  const headers = basic(sandbox.clientId, sandbox.clientSecret)
  const grant_type = 'client_credentials'

  const good = await ask(sandbox, BEYOND, { headers, form: { grant_type } })
  const scoped = await ask(sandbox, BEYOND, { headers, form: { grant_type, scope: 'mint' } })
  const scope = await ask(sandbox, BEYOND, { headers, form: { grant_type, scope: 'nonsense' } })
  const grant = await ask(sandbox, BEYOND, { headers, form: { grant_type: 'password' } })
  const wrong = await ask(sandbox, BEYOND, { headers: basic('x', 'y'), form: { grant_type } })
  const elsewhere = await ask(sandbox, BEYOND.replace('t1', 't2'), {
    headers,
    form: { grant_type },
  })

  expect(good.json).toMatchObject({
    token_type: 'Bearer',
    expires_in: 7_776_000,
    scope: 'mint read',
  })
  expect(good.json.access_token).toMatch(/^opaque/)
  expect(scoped.json.scope).toBe('mint')
  expect([scope.status, scope.json.error]).toEqual([400, 'invalid_scope'])
  expect([grant.status, grant.json.error]).toEqual([400, 'unsupported_grant_type'])
  expect([wrong.status, wrong.json.error]).toEqual([401, 'invalid_client'])
  expect(wrong.headers.get('www-authenticate')).toMatch(/^Basic/)
  expect(elsewhere.status).toBe(404)
})

test('OAuth 2.0 takes the client in the header or in the body, as it is set', async () => {
  const secret = 'a b+c%d:e/ä'
  const sandbox = await sandboxWith({ clients: [{ id: 'cli:ent', secret }] })
  const grant_type = 'client_credentials'
  const encoded = (text: string) => new URLSearchParams({ x: text }).toString().slice(2)
  const header = { headers: basic(encoded('cli:ent'), encoded(secret)), form: { grant_type } }
  const body = { form: { grant_type, client_id: 'cli:ent', client_secret: secret } }
  const raw = { headers: basic('cli:ent', secret), form: { grant_type } }
  const both = { ...body, headers: header.headers }
  const status = async (init: Parameters<typeof ask>[2]) =>
    (await ask(sandbox, '/oauth2/token', init)).status

  const lenient = [await status(header), await status(body), await status(raw), await status(both)]
  sandbox.configure({ oauth2ClientAuth: 'basic' })
  const onlyBasic = [await status(header), await status(body)]
  sandbox.configure({ oauth2ClientAuth: 'post' })
  const onlyPost = [await status(header), await status(body)]

  expect(lenient).toEqual([200, 200, 401, 400])
  expect(onlyBasic).toEqual([200, 401])
  expect(onlyPost).toEqual([401, 200])
})

test('what is announced may be a lie, or nothing at all', async () => {
  const sandbox = await sandboxWith({ orgTokenLifeMs: 180_000, announcedExpiresIn: 900 })
  const { clientId: client_id, clientSecret: client_secret } = sandbox
  const exchange = () => ask(sandbox, CLOUD, { json: { client_id, client_secret } })

  const lie = await exchange()
  sandbox.configure({ omitExpiresIn: true })
  const silence = await exchange()

  expect(lie.json.expires_in).toBe(900)
  expect(silence.json).not.toHaveProperty('expires_in')
})

test('an exchange that is not served, a doubled /v1 and a slash at the end are all 404', async () => {
  const sandbox = await sandboxWith({ exchanges: ['agents'] })
  const json = { client_id: sandbox.clientId, client_secret: sandbox.clientSecret }

  const replies = await Promise.all(
    [CLOUD, '/v1/v1/applications/token', `${AGENTS}/`].map((path) => ask(sandbox, path, { json })),
  )

  expect(replies.map(({ status }) => status)).toEqual([404, 404, 404])
})

test('a client that changes at run time: the old secret is refused, the old token lives on', async () => {
  const sandbox = await sandboxWith()
  const json = { client_id: sandbox.clientId, client_secret: sandbox.clientSecret }
  const before = await ask(sandbox, CLOUD, { json })

  sandbox.configure({ clients: [{ id: 'second', secret: 'second-secret-77' }] })
  const after = await ask(sandbox, CLOUD, { json })
  const minted = await mint(
    sandbox,
    `${PATHS.guide}/scoped-token`,
    { external_id: 'acme' },
    bearer(before.json.access_token),
  )

  expect([after.status, minted.status]).toEqual([401, 200])
  expect(sandbox.secrets).toContain(json.client_secret)
  expect(sandbox.secrets).toContain('second-secret-77')
})
