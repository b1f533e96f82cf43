import { describe, expect, test } from 'vitest'
import { earliestEnd, LifetimeFields, renewalMarginMs } from '../../src/upstream/lifetimes.ts'
import { startedUpstream, tokenRequest, widgetRequest } from './started.ts'

describe('whatever the reply looks like', () => {
  test.each(['full', 'token', 'access_token'] as const)(
    '%s: the token, its end and its workspace are read',
    async (mintReply) => {
      const { upstream, sandbox } = await startedUpstream({ sandbox: { mintReply } })

      const token = await upstream.mint(tokenRequest(), 'caller')

      const [minted] = sandbox.minted
      expect(token).toEqual({
        value: minted?.token,
        type: 'scoped',
        workspaceId: minted?.workspaceId,
        expiresAt: minted?.expiresAt,
        receivedAt: expect.any(Number),
      })
    },
  )

  test.each(['base64', 'base64-unpadded', 'base64url', 'base64url-unpadded'] as const)(
    'a widget token in %s comes through byte for byte',
    async (widgetEncoding) => {
      const { upstream, sandbox } = await startedUpstream({
        sandbox: { widgetEncoding },
        settings: { dialect: 'applications' },
      })

      const token = await upstream.mint(widgetRequest(), 'caller')

      const [minted] = sandbox.minted
      expect(token).toMatchObject({
        value: minted?.token,
        workspaceId: minted?.workspaceId,
        expiresAt: minted?.expiresAt,
      })
    },
  )

  test('a widget token of the guide’s generation may be any string', async () => {
    const { upstream, sandbox } = await startedUpstream({ sandbox: { widgetEncoding: 'opaque' } })

    const token = await upstream.mint(widgetRequest(), 'caller')

    expect(token.value).toBe(sandbox.minted[0]?.token)
  })

  test('a token that tells nothing of its end is taken to live five minutes, with a warning', async () => {
    const { upstream, sandbox, complaints } = await startedUpstream()
    sandbox.fail({ on: 'mint', what: 'reply', json: { token: 'opaque' }, times: 2 })

    await upstream.mint(tokenRequest(), 'caller')
    const { expiresAt, receivedAt, workspaceId } = await upstream.mint(tokenRequest(), 'caller')

    expect(expiresAt - receivedAt).toBe(300_000)
    expect(workspaceId).toBeNull()
    expect(complaints()).toEqual([
      'nothing tells how long minted tokens live: assuming five minutes',
    ])
  })

  test('fields that make no sense are passed over', async () => {
    const { upstream, sandbox } = await startedUpstream()
    const json = { token: 'opaque', workspace_id: 7, expires_at: 'soon', expires_in: -5, more: {} }
    sandbox.fail({ on: 'mint', what: 'reply', json })

    const { expiresAt, receivedAt, workspaceId } = await upstream.mint(tokenRequest(), 'caller')

    expect(expiresAt - receivedAt).toBe(300_000)
    expect(workspaceId).toBeNull()
  })

  test('a widget page without https will do on this machine only', async () => {
    const { upstream, sandbox } = await startedUpstream({ settings: { dialect: 'applications' } })

    const local = upstream.mint(widgetRequest(), 'caller')
    await expect(local).resolves.toBeDefined()

    sandbox.configure({ widgetUrl: 'http://widget.example.com/' })
    const remote = upstream.mint(widgetRequest(), 'caller')
    await expect(remote).rejects.toMatchObject({ code: 'upstream_invalid' })
  })
})

describe('of all that tells of an end, the earliest counts', () => {
  const receivedAt = Date.parse('2026-11-22T12:00:00Z')
  const at = (time: string) => Date.parse(`2026-11-22T${time}Z`)

  test.each<[string, Record<string, unknown>, number | null, number | null]>([
    ['nothing', {}, null, null],
    ['the JWT alone', {}, at('12:03:00'), at('12:03:00')],
    ['expires_in against the JWT', { expires_in: 900 }, at('12:03:00'), at('12:03:00')],
    ['the JWT against expires_in', { expires_in: 60 }, at('12:03:00'), at('12:01:00')],
    ['expires_in as text', { expires_in: '60' }, null, at('12:01:00')],
    ['expires_at', { expires_at: '2026-11-22T12:05:00Z' }, null, at('12:05:00')],
    ['expires_at in a zone', { expires_at: '2026-11-22T13:05:00+01:00' }, null, at('12:05:00')],
    ['expires_at without a zone', { expires_at: '2026-11-22T12:05:00.5' }, null, at('12:05:00.5')],
    ['expires_at in seconds', { expires_at: at('12:05:00') / 1000 }, null, at('12:05:00')],
    ['expires_at in milliseconds', { expires_at: at('12:05:00') }, null, at('12:05:00')],
    ['nonsense', { expires_at: 'tomorrow', expires_in: 'soon' }, null, null],
    ['zero', { expires_in: 0 }, null, receivedAt],
  ])('%s', (_, said, jwtExpiresAt, end) => {
    const fields = LifetimeFields.parse(said)

    expect(earliestEnd({ receivedAt, fields, jwtExpiresAt })).toBe(end)
  })

  test('an end that no date can hold is brought near', () => {
    const fields = LifetimeFields.parse({ expires_in: 1e300 })

    const end = earliestEnd({ receivedAt, fields, jwtExpiresAt: null })

    expect(() => new Date(end ?? Number.NaN).toISOString()).not.toThrow()
  })

  test('the margin of renewal is a fifth of the life, two minutes at most', () => {
    expect([renewalMarginMs(180_000), renewalMarginMs(900_000)]).toEqual([36_000, 120_000])
  })
})

describe('token info', () => {
  test.each(['guide', 'current'] as const)('the %s reply is read', async (infoReply) => {
    const { upstream, sandbox } = await startedUpstream({ sandbox: { infoReply } })
    const request = tokenRequest()
    const { value, workspaceId } = await upstream.mint(request, 'caller')

    const info = await upstream.tokenInfo(value)

    expect(info).toEqual({
      type: 'scoped',
      workspaceId,
      workspaceName: infoReply === 'current' ? request.workspaceName : null,
      expiresAt: sandbox.minted[0]?.expiresAt,
    })
  })

  test('a widget token is asked about by the scoped one inside', async () => {
    const { upstream, sandbox } = await startedUpstream({ settings: { dialect: 'applications' } })
    const { value, workspaceId } = await upstream.mint(widgetRequest(), 'caller')

    const info = await upstream.tokenInfo(value)

    expect(info).toMatchObject({ type: 'widget', workspaceId })
    expect(sandbox.asked.at(-1)?.headers.authorization).toBe(`Bearer ${sandbox.minted[0]?.inner}`)
  })

  test('while the dialect is unknown, every place is asked', async () => {
    const { upstream, sandbox } = await startedUpstream({
      sandbox: { dialects: ['applications'] },
      settings: { dialect: 'auto' },
    })

    expect(await upstream.tokenInfo('unknown')).toBeNull()
    expect(sandbox.asked.map(({ path }) => path)).toEqual([
      '/api/v1/embedded/scoped-token/info',
      '/api/v1/account/applications/scoped-token/info',
    ])
  })

  test.each(['', 'a b', 'a\r\nx-injected: 1', 'ü', 'x'.repeat(10_000)])(
    'what cannot be a token is none, and nobody is asked: %j',
    async (token) => {
      const { upstream, sandbox } = await startedUpstream()

      expect(await upstream.tokenInfo(token)).toBeNull()
      expect(sandbox.asked).toEqual([])
    },
  )

  test.each([
    [{ what: 'status', status: 500, times: 'always' }, 'upstream_unavailable'],
    [{ what: 'status', status: 429 }, 'upstream_rate_limited'],
    [{ what: 'html' }, 'upstream_invalid'],
  ] as const)(
    'an upstream that does not answer the question is not a no: %j',
    async (fault, code) => {
      const { upstream, sandbox } = await startedUpstream()
      sandbox.fail({ ...fault, on: 'info' })

      await expect(upstream.tokenInfo('some-token')).rejects.toMatchObject({ code })
    },
  )

  test('a custom dialect without a place for it says so', async () => {
    const { upstream } = await startedUpstream({
      settings: {
        dialect: 'custom',
        custom: {
          scopedTokenPath: '/a',
          widgetTokenPath: '/b',
          tokenInfoPath: null,
          customerField: 'id',
          tagsOn: 'none',
        },
      },
    })

    await expect(upstream.tokenInfo('t')).rejects.toMatchObject({ code: 'upstream_rejected' })
  })
})
