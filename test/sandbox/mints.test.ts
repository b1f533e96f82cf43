import { describe, expect, test } from 'vitest'
import { ask, bearer, claimsOf, mint, PATHS, sandboxWith, scopedFor } from './talk.ts'

const ORIGIN = 'https://app.example.com'
const tags = {
  selected_source_template_tags: ['crm'],
  selected_connection_template_tags: ['daily'],
}
const modes = {
  selected_source_template_tags_mode: 'all',
  selected_connection_template_tags_mode: 'any',
}

describe.each([
  ['embedded', PATHS.guide, 'external_id'],
  ['embedded-workspace', PATHS.guide, 'workspace_name'],
  ['applications', PATHS.applications, 'workspace_name'],
] as const)('the dialect %s', (dialect, path, field) => {
  const isGuide = dialect === 'embedded'
  const replyKeys = isGuide ? ['token', 'expires_at', 'workspace_id'] : ['token']
  const needs = isGuide ? {} : { allowed_origin: ORIGIN }

  test('mints a scoped token', async () => {
    const sandbox = await sandboxWith({ dialects: [dialect] })

    const reply = await mint(sandbox, `${path}/scoped-token`, { [field]: 'acme' })

    expect(reply.status).toBe(200)
    expect(Object.keys(reply.json)).toEqual(replyKeys)
    expect(sandbox.minted).toMatchObject([{ customer: 'acme', type: 'scoped' }])
    expect(sandbox.asked).toMatchObject([
      {
        method: 'POST',
        kind: 'mint',
        tokenType: 'scoped',
        customer: 'acme',
        credential: 'static-1',
        json: { [field]: 'acme' },
        status: 200,
      },
    ])
  })

  test('mints a widget token with tags', async () => {
    const sandbox = await sandboxWith({ dialects: [dialect] })

    const reply = await mint(sandbox, `${path}/widget-token`, {
      [field]: 'acme',
      ...tags,
      ...(isGuide ? {} : modes),
      ...needs,
    })

    expect(reply.status).toBe(200)
    expect(sandbox.minted[0]).toMatchObject({
      type: 'widget',
      allowedOrigin: isGuide ? null : ORIGIN,
      sourceTags: { tags: ['crm'], mode: isGuide ? 'any' : 'all' },
      connectionTags: { tags: ['daily'], mode: 'any' },
    })
  })

  test.each([
    ['no customer', 'scoped', {}, field],
    ['a customer that is no string', 'scoped', { [field]: 7 }, field],
    ['an empty customer', 'scoped', { [field]: '' }, field],
    ['a field it does not know', 'scoped', { [field]: 'acme', nonsense: 1 }, 'nonsense'],
    [
      'tags that are no list',
      'widget',
      { [field]: 'acme', ...needs, selected_source_template_tags: 'crm' },
      'selected_source_template_tags',
    ],
  ])('refuses %s', async (_, type, json, named) => {
    const sandbox = await sandboxWith({ dialects: [dialect] })

    const reply = await mint(sandbox, `${path}/${type}-token`, json)

    expect(reply.status).toBe(422)
    expect(reply.json.detail).toMatchObject([{ loc: ['body', named] }])
    expect(sandbox.minted).toEqual([])
  })
})

test.each([
  [PATHS.guide, 'embedded-workspace'],
  [PATHS.applications, 'applications'],
] as const)(
  'at %s, %s wants an origin for a widget, and tags for nothing else',
  async (path, dialect) => {
    const sandbox = await sandboxWith({ dialects: [dialect] })
    const workspace_name = 'acme'
    const status = async (type: string, json: object) =>
      (await mint(sandbox, `${path}/${type}-token`, { workspace_name, ...json })).status

    const strict = [
      await status('widget', {}),
      await status('scoped', tags),
      await status('scoped', { allowed_origin: ORIGIN }),
      await status('widget', {
        allowed_origin: ORIGIN,
        selected_source_template_tags_mode: 'some',
      }),
    ]
    sandbox.configure({ strict: false })
    const lenient = [await status('widget', {}), await status('scoped', tags)]

    expect(strict).toEqual([422, 422, 422, 422])
    expect(lenient).toEqual([422, 200])
    expect(sandbox.minted[0]?.sourceTags).toBeNull()
  },
)

test('the guide knows neither modes nor origins', async () => {
  const sandbox = await sandboxWith({ dialects: ['embedded'] })
  const path = `${PATHS.guide}/widget-token`

  const withModes = await mint(sandbox, path, { external_id: 'acme', ...modes })
  const withOrigin = await mint(sandbox, path, { external_id: 'acme', allowed_origin: ORIGIN })

  expect([withModes.status, withOrigin.status]).toEqual([422, 422])
})

test('a generation that is not served: 404 on its path, 422 on the field of another', async () => {
  const guide = await sandboxWith({ dialects: ['embedded'] })
  const later = await sandboxWith({ dialects: ['embedded-workspace'] })
  const current = await sandboxWith({ dialects: ['applications'] })

  const statuses = [
    await mint(guide, `${PATHS.applications}/scoped-token`, { workspace_name: 'acme' }),
    await mint(guide, `${PATHS.guide}/scoped-token`, { workspace_name: 'acme' }),
    await mint(later, `${PATHS.guide}/scoped-token`, { external_id: 'acme' }),
    await mint(current, `${PATHS.guide}/scoped-token`, { workspace_name: 'acme' }),
    await ask(current, `${PATHS.applications}/scoped-token`),
  ].map(({ status }) => status)

  expect(statuses).toEqual([404, 422, 422, 404, 405])
})

test('one path serves both of its generations, told apart by the customer\u2019s field', async () => {
  const sandbox = await sandboxWith()
  const path = `${PATHS.guide}/scoped-token`

  const guide = await mint(sandbox, path, { external_id: 'acme' })
  const later = await mint(sandbox, path, { workspace_name: 'acme' })

  expect(guide.json).toHaveProperty('workspace_id')
  expect(Object.keys(later.json)).toEqual(['token'])
})

test('the older names of the customer are taken where they are set', async () => {
  const sandbox = await sandboxWith({ customerFields: ['external_user_id', 'customer_name'] })
  const path = `${PATHS.applications}/scoped-token`

  const statuses = [
    await mint(sandbox, path, { external_user_id: 'acme' }),
    await mint(sandbox, path, { customer_name: 'acme' }),
    await mint(sandbox, path, { workspace_name: 'acme' }),
  ].map(({ status }) => status)

  expect(statuses).toEqual([200, 200, 422])
})

test.each([
  ['full', ['token', 'expires_at', 'workspace_id']],
  ['token', ['token']],
  ['access_token', ['access_token']],
] as const)('a reply can be had as %s', async (mintReply, keys) => {
  const sandbox = await sandboxWith({ mintReply })

  const reply = await mint(sandbox, `${PATHS.applications}/scoped-token`, {
    workspace_name: 'acme',
  })

  expect(Object.keys(reply.json)).toEqual(keys)
})

test('a mint needs a live org token that is entitled', async () => {
  let now = 1_800_000_000_000
  const sandbox = await sandboxWith({ now: () => now, orgTokenLifeMs: 3000 })
  sandbox.configure({ clients: [{ id: 'poor', secret: 'poor-secret', mayMint: false }] })
  const poor = await ask(sandbox, '/v1/applications/token', {
    json: { client_id: 'poor', client_secret: 'poor-secret' },
  })
  const live = await sandbox.issueOrgToken()
  const status = async (headers: Record<string, string>) =>
    (await mint(sandbox, `${PATHS.guide}/scoped-token`, { external_id: 'acme' }, headers)).status

  const none = await status({ authorization: '' })
  const wrong = await status(bearer('wrong'))
  const notEntitled = await status(bearer(poor.json.access_token))
  const inTime = await status(bearer(live))
  now += 3000
  const late = await status(bearer(live))
  const other = await sandbox.issueOrgToken()
  sandbox.revoke(other)
  const revoked = await status(bearer(other))

  expect([none, wrong, notEntitled, inTime, late, revoked]).toEqual([401, 401, 403, 200, 401, 401])
})

test('with several organisations the header says which', async () => {
  const sandbox = await sandboxWith({ organizations: ['org-a', 'org-b'] })
  const send = (headers: Record<string, string>) =>
    mint(sandbox, `${PATHS.guide}/scoped-token`, { external_id: 'acme' }, headers)

  const none = await send({})
  const wrong = await send({ 'x-organization-id': 'org-c' })
  const a = await send({ 'x-organization-id': 'org-a' })
  const b = await send({ 'x-organization-id': 'org-b' })

  expect([none.status, wrong.status, a.status, b.status]).toEqual([400, 400, 200, 200])
  expect(a.json.workspace_id).not.toBe(b.json.workspace_id)
})

test('a client of one organisation does not reach the others', async () => {
  const client = { id: 'one', secret: 'one-secret', organization: 'org-b' }
  const sandbox = await sandboxWith({ organizations: ['org-a', 'org-b'], clients: [client] })
  const { json } = await ask(sandbox, '/v1/applications/token', {
    json: { client_id: client.id, client_secret: client.secret },
  })
  const send = (headers: Record<string, string>) =>
    mint(
      sandbox,
      `${PATHS.guide}/scoped-token`,
      { external_id: 'acme' },
      { ...bearer(json.access_token), ...headers },
    )

  const own = await send({})
  const other = await send({ 'x-organization-id': 'org-a' })

  expect([own.status, other.status]).toEqual([200, 400])
  expect(sandbox.minted[0]?.organization).toBe('org-b')
})

test('a workspace is made once, in the region that is required, and keeps its id', async () => {
  const sandbox = await sandboxWith({ requiredRegion: 'eu' })
  const path = `${PATHS.applications}/scoped-token`

  const nowhere = await mint(sandbox, path, { workspace_name: 'acme' })
  const eu = await mint(sandbox, path, { workspace_name: 'acme', region_id: 'eu' })
  const later = await mint(sandbox, path, { workspace_name: 'acme' })
  const elsewhere = await scopedFor(await sandboxWith(), 'acme')

  expect([nowhere.status, eu.status, later.status]).toEqual([400, 200, 200])
  const ids = sandbox.minted.map(({ workspaceId }) => workspaceId)
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(ids).toEqual([elsewhere.json.workspace_id, elsewhere.json.workspace_id])
})

test('two overlapping first mints break the customer for good, and nobody else', async () => {
  const sandbox = await sandboxWith()
  const hold = sandbox.hold('mint')

  const first = scopedFor(sandbox, 'acme')
  await hold.reached(1)
  const second = mint(sandbox, `${PATHS.applications}/widget-token`, {
    workspace_name: 'acme',
    allowed_origin: ORIGIN,
  })
  await hold.reached(2)
  hold.release()

  expect((await first).status).toBe(200)
  expect((await second).status).toBe(500)
  expect((await scopedFor(sandbox, 'acme')).status).toBe(500)
  expect((await scopedFor(sandbox, 'other')).status).toBe(200)
  expect(sandbox.broken).toEqual(['acme'])
})

test('without a hold too, first mints at the same time overlap; later ones may', async () => {
  const sandbox = await sandboxWith()
  const both = (customer: string) =>
    Promise.all([scopedFor(sandbox, customer), scopedFor(sandbox, customer)])

  const careless = await both('careless')
  await scopedFor(sandbox, 'careful')
  const careful = await both('careful')
  sandbox.configure({ breakOnOverlappingFirstMints: false })
  const forgiven = await both('forgiven')

  expect(careless.map(({ status }) => status).sort()).toEqual([200, 500])
  expect(careful.map(({ status }) => status)).toEqual([200, 200])
  expect(forgiven.map(({ status }) => status)).toEqual([200, 200])
})

test('a first mint that was refused has made nothing that could be broken', async () => {
  const sandbox = await sandboxWith()
  sandbox.fail({ on: 'mint', what: 'status', status: 503 })

  const refused = await scopedFor(sandbox, 'acme')
  const again = await scopedFor(sandbox, 'acme')

  expect([refused.status, again.status]).toEqual([503, 200])
})

test('the counts say how many of which kind, for whom, by whom, and how many at once', async () => {
  const sandbox = await sandboxWith({ breakOnOverlappingFirstMints: false })
  const hold = sandbox.hold({ on: 'mint', tokenType: 'scoped' })

  const held = [scopedFor(sandbox, 'a'), scopedFor(sandbox, 'b'), scopedFor(sandbox, '__proto__')]
  await hold.reached(3)
  await mint(sandbox, `${PATHS.guide}/widget-token`, { external_id: 'a' })
  hold.release()
  await Promise.all(held)
  await ask(sandbox, '/nowhere')

  expect(sandbox.counts).toMatchObject({
    mints: {
      total: 4,
      byType: { scoped: 3, widget: 1 },
      byCredential: { 'static-1': 4 },
      peak: 4,
    },
    others: 1,
    minted: 4,
  })
  expect(Object.entries(sandbox.counts.mints.byCustomer).sort()).toEqual([
    ['__proto__', 1],
    ['a', 2],
    ['b', 1],
  ])
})

test('mints that follow one another are one at a time', async () => {
  const sandbox = await sandboxWith()

  for (let round = 0; round < 50; round += 1) await scopedFor(sandbox, 'acme')

  expect(sandbox.counts.mints.peak).toBe(1)
})

test('a scoped token is a JWT with its end and its workspace, without iat, and never the same twice', async () => {
  const now = 1_800_000_000_000
  const sandbox = await sandboxWith({ now: () => now, scopedLifeMs: 20 * 60_000 })

  const first = await scopedFor(sandbox, 'acme')
  const second = await scopedFor(sandbox, 'acme')

  const claims = claimsOf(first.json.token)
  expect(claims).toMatchObject({
    exp: 1_800_001_200,
    'io.airbyte.auth.workspace_scope': { workspaceId: first.json.workspace_id },
  })
  expect(claims).not.toHaveProperty('iat')
  expect(first.json.expires_at).toBe('2027-01-15T08:20:00.000Z')
  expect(second.json.token).not.toBe(first.json.token)
})
