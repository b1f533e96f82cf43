import { expect, test } from 'vitest'
import { ask, bearer, claimsOf, mint, PATHS, sandboxWith, scopedFor } from './talk.ts'

const ORIGIN = 'https://app.example.com'

/** The rules of the browser widget: pad, undo the URL alphabet, `atob`, `JSON.parse`. */
function decodedByTheWidget(token: string): { token?: string; widgetUrl?: string } {
  const padded = token.padEnd(token.length + ((4 - (token.length % 4)) % 4), '=')
  return JSON.parse(atob(padded.replace(/-/g, '+').replace(/_/g, '/')))
}

test.each([
  ['base64', /[+/]/, true],
  ['base64-unpadded', /[+/]/, false],
  ['base64url', /[-_]/, true],
  ['base64url-unpadded', /[-_]/, false],
] as const)(
  'the browser widget reads a token in %s, which differs from the others',
  async (widgetEncoding, sign, padded) => {
    const sandbox = await sandboxWith({ widgetEncoding, widgetLifeMs: 60_000 })

    for (const customer of ['a', 'bb', 'ccc', 'dddd']) {
      const reply = await mint(sandbox, `${PATHS.applications}/widget-token`, {
        workspace_name: customer,
        allowed_origin: `${ORIGIN}:8${customer.length}`,
      })

      const token = String(reply.json.token)
      expect(token).toMatch(sign)
      expect(token.endsWith('=')).toBe(padded)
      const decoded = decodedByTheWidget(token)
      expect(sandbox.verify(String(decoded.token))).toMatchObject({ customer })
      const url = new URL(String(decoded.widgetUrl))
      expect(url.origin).toBe(sandbox.url)
      expect(url.searchParams.get('workspaceId')).toBe(sandbox.verify(token)?.workspaceId)
      expect(url.searchParams.get('allowedOrigin')).toBe(`${ORIGIN}:8${customer.length}`)
    }
  },
)

test('a widget token in the guide\u2019s generation may be any string, and names no origin', async () => {
  const sandbox = await sandboxWith({ widgetUrl: 'https://cloud.example.com/embedded-widget' })
  const send = () => mint(sandbox, `${PATHS.guide}/widget-token`, { external_id: 'acme' })

  const blob = decodedByTheWidget(String((await send()).json.token))
  sandbox.configure({ widgetEncoding: 'opaque' })
  const opaque = await send()

  expect(blob.widgetUrl).toMatch(/^https:\/\/cloud\.example\.com\/embedded-widget\?workspaceId=/)
  expect(blob.widgetUrl).not.toContain('allowedOrigin')
  expect(opaque.json.token).toMatch(/^opaque/)
  expect(sandbox.verify(String(opaque.json.token))).toMatchObject({ customer: 'acme' })
})

test.each([
  'bare-jwt',
  'not-base64',
  'not-json',
  'no-token',
  'no-url',
  'plain-http-url',
  'other-origin',
  'no-origin',
] as const)('a widget token can be made that is wrong by %s', async (flaw) => {
  const sandbox = await sandboxWith()
  const send = async () => {
    const reply = await mint(sandbox, `${PATHS.applications}/widget-token`, {
      workspace_name: 'acme',
      allowed_origin: ORIGIN,
    })
    return String(reply.json.token)
  }
  const isSound = (token: string) => {
    try {
      const { token: inner, widgetUrl } = decodedByTheWidget(token)
      const url = new URL(widgetUrl ?? '')
      return (
        typeof inner === 'string' &&
        (url.protocol === 'https:' || url.hostname === '127.0.0.1') &&
        url.searchParams.get('allowedOrigin') === ORIGIN
      )
    } catch {
      return false
    }
  }
  sandbox.fail({ on: 'mint', what: 'widget', flaw })

  const flawed = await send()
  const sound = await send()

  expect(isSound(flawed)).toBe(false)
  expect(isSound(sound)).toBe(true)
})

test('what it issued or accepts is known as secret, the tokens inside others too', async () => {
  const sandbox = await sandboxWith()
  const exchanged = await ask(sandbox, '/v1/applications/token', {
    json: { client_id: sandbox.clientId, client_secret: sandbox.clientSecret },
  })
  await mint(sandbox, `${PATHS.guide}/widget-token`, { external_id: 'acme' })

  const [minted] = sandbox.minted
  expect(sandbox.secrets).toEqual(
    expect.arrayContaining([
      sandbox.clientSecret,
      sandbox.orgToken,
      exchanged.json.access_token,
      minted?.token,
      minted?.inner,
    ]),
  )
  expect(minted?.inner).not.toBe(minted?.token)
})

test('token info tells the guide\u2019s way or the current one, each on its path', async () => {
  const sandbox = await sandboxWith()
  const { json } = await scopedFor(sandbox, 'acme')
  const headers = bearer(json.token)

  const guide = await ask(sandbox, `${PATHS.guide}/scoped-token/info`, { headers })
  const current = await ask(sandbox, `${PATHS.applications}/scoped-token/info`, { headers })
  sandbox.configure({ dialects: ['embedded-workspace'] })
  const later = await ask(sandbox, `${PATHS.guide}/scoped-token/info`, { headers })
  const gone = await ask(sandbox, `${PATHS.applications}/scoped-token/info`, { headers })

  const { workspace_id, expires_at } = json
  expect(guide.json).toEqual({ workspace_id, expires_at })
  expect(current.json).toEqual({
    organization_id: sandbox.settings.organizations[0],
    workspace_id,
    workspace_name: 'acme',
  })
  expect(later.json).toEqual(current.json)
  expect(gone.status).toBe(404)
  expect(sandbox.counts.infos).toBe(4)
})

test('token info refuses what is no live scoped token', async () => {
  let now = 1_800_000_000_000
  const sandbox = await sandboxWith({ now: () => now, scopedLifeMs: 60_000 })
  const { json } = await scopedFor(sandbox, 'acme')
  const widget = await mint(sandbox, `${PATHS.guide}/widget-token`, { external_id: 'acme' })
  const status = async (token: unknown) =>
    (await ask(sandbox, `${PATHS.guide}/scoped-token/info`, { headers: bearer(token) })).status

  const inTime = await status(json.token)
  const others = [await status('wrong'), await status(widget.json.token), await status('')]
  now += 60_000
  const late = await status(json.token)

  expect(inTime).toBe(200)
  expect(others).toEqual([401, 401, 401])
  expect(late).toBe(401)
  expect(sandbox.verify(String(json.token))).toBeNull()
})

test('a page on any origin can use its scoped token, on its own workspace', async () => {
  const sandbox = await sandboxWith()
  const { json } = await scopedFor(sandbox, 'acme')
  const path = `/api/v1/workspaces/${String(json.workspace_id)}`

  const own = await ask(sandbox, path, { headers: bearer(json.token) })
  const other = await ask(sandbox, '/api/v1/workspaces/other', { headers: bearer(json.token) })
  const stranger = await ask(sandbox, path, { headers: bearer('wrong') })
  const preflight = await fetch(sandbox.url + path, { method: 'OPTIONS' })

  expect(own.json).toMatchObject({ workspaceId: json.workspace_id, name: 'acme' })
  expect([other.status, stranger.status, preflight.status]).toEqual([403, 401, 204])
  for (const { headers } of [own, other, stranger, preflight]) {
    expect(headers.get('access-control-allow-origin')).toBe('*')
  }
  expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
})

test('its clock can be ahead, in the tokens and in the Date header', async () => {
  const now = 1_800_000_000_000
  const sandbox = await sandboxWith({ now: () => now, clockSkewMs: 90_000, scopedLifeMs: 60_000 })

  const reply = await scopedFor(sandbox, 'acme')

  expect(claimsOf(reply.json.token).exp).toBe((now + 150_000) / 1000)
  expect(Date.parse(reply.headers.get('date') ?? '')).toBe(now + 90_000)
})

test('the widget\u2019s page is there', async () => {
  const sandbox = await sandboxWith()

  const page = await ask(sandbox, '/embedded-widget?workspaceId=x')

  expect(page.headers.get('content-type')).toMatch(/^text\/html/)
  expect(page.text).toContain('auth_token_request')
})
