import { describe, expect, test } from 'vitest'
import type { Dialect as SandboxDialect } from '../../src/sandbox/settings.ts'
import type { TokenRequest } from '../../src/tokens/token.ts'
import { startedUpstream, tokenRequest, widgetRequest } from './started.ts'

const auto = (dialects: SandboxDialect[]) =>
  startedUpstream({ sandbox: { dialects }, settings: { dialect: 'auto' } })

const EMBEDDED = '/api/v1/embedded/scoped-token'
const APPLICATIONS = '/api/v1/account/applications/scoped-token'

describe('auto', () => {
  test.each([
    ['embedded', ['external_id']],
    ['embedded-workspace', ['external_id', 'workspace_name']],
    ['applications', ['external_id', 'workspace_name', 'workspace_name']],
  ] as const)('finds %s, says so once, and stays with it', async (dialect, fields) => {
    const { upstream, sandbox, lines, mints } = await auto([dialect])

    await upstream.mint(tokenRequest(), 'caller')
    await upstream.mint(tokenRequest(), 'caller')

    const asked = sandbox.asked.filter(({ kind }) => kind !== 'exchange')
    expect(asked.map(({ json }) => Object.keys(Object(json))[0])).toEqual([
      ...fields,
      fields.at(-1),
    ])
    expect(lines.filter(({ message }) => message === 'the API speaks this dialect')).toMatchObject([
      { level: 'info', fields: { dialect } },
    ])
    expect(mints.map((event) => event.dialect)).toEqual([dialect, dialect])
  })

  test('is found out once, however many come first', async () => {
    const { upstream, sandbox } = await auto(['applications'])
    const hold = sandbox.hold('any')
    const mints = Array.from({ length: 10 }, () => upstream.mint(tokenRequest(), 'caller'))
    await hold.reached(1)

    hold.release()
    await Promise.all(mints)

    expect(sandbox.counts.mints.total + sandbox.counts.others).toBe(12)
  })

  test.each([400, 403])('stays where it was refused with %d', async (status) => {
    const { upstream, sandbox, mints } = await auto(['embedded', 'applications'])
    sandbox.fail({ on: 'mint', what: 'status', status })

    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({ code: 'upstream_rejected' })
    expect(sandbox.counts.mints.total).toBe(1)
    expect(mints).toMatchObject([{ dialect: 'unknown', outcome: 'rejected' }])
  })

  test.each([301, 302, 404, 405, 410, 422])('moves on from a %d', async (status) => {
    const { upstream, sandbox } = await auto(['embedded', 'applications'])
    sandbox.fail({ on: 'mint', what: 'status', status })

    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.asked.filter(({ kind }) => kind === 'mint').map(({ path }) => path)).toEqual([
      EMBEDDED,
      EMBEDDED,
      APPLICATIONS,
    ])
  })

  test('says what each dialect was refused with when all were', async () => {
    const { upstream, lines } = await auto([])

    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({ code: 'upstream_rejected' })
    const refused = { status: 404, upstreamSays: 'Not Found' }
    expect(lines.at(-1)).toMatchObject({
      level: 'warn',
      fields: {
        answers: [
          { dialect: 'embedded', ...refused },
          { dialect: 'embedded-workspace', ...refused },
          { dialect: 'applications', ...refused },
        ],
      },
    })
  })

  test('takes nothing for an answer that is not a token', async () => {
    const { upstream, sandbox } = await auto(['embedded'])
    sandbox.fail({ on: 'mint', what: 'html' })

    const first = upstream.mint(tokenRequest(), 'caller')

    await expect(first).rejects.toMatchObject({ code: 'upstream_invalid' })
    await expect(upstream.mint(tokenRequest(), 'caller')).resolves.toBeDefined()
  })

  test('a 422 after the dialect is known is a refusal', async () => {
    const { upstream, sandbox } = await auto(['embedded'])
    await upstream.mint(tokenRequest(), 'caller')
    sandbox.forget()
    sandbox.fail({ on: 'mint', what: 'status', status: 422 })

    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({ code: 'upstream_rejected' })
    expect(sandbox.counts.mints.total).toBe(1)
  })

  test('those who wait for the outcome share an outage, not a request of its own', async () => {
    const { upstream, sandbox } = await auto(['applications'])
    const hold = sandbox.hold('exchange')
    const withoutOrigin = upstream.mint(widgetRequest({ allowedOrigin: null }), 'caller')
    const fine = upstream.mint(tokenRequest(), 'caller')
    const outcomes = Promise.allSettled([withoutOrigin, fine])
    await hold.reached(1)

    hold.release()

    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'origin_required' } },
      { status: 'fulfilled' },
    ])
  })
})

describe('what a dialect cannot do', () => {
  test.each(['embedded-workspace', 'applications'] as const)(
    '%s: a widget token needs an origin, and nothing is asked without one',
    async (dialect) => {
      const { upstream, sandbox, mints } = await startedUpstream({ settings: { dialect } })

      const mint = upstream.mint(widgetRequest({ allowedOrigin: null }), 'caller')

      await expect(mint).rejects.toMatchObject({ code: 'origin_required' })
      expect(sandbox.counts.mints.total).toBe(0)
      expect(mints).toMatchObject([{ outcome: 'refused_here' }])
    },
  )

  test('embedded: a widget token needs no origin', async () => {
    const { upstream } = await startedUpstream({ settings: { dialect: 'embedded' } })

    const mint = upstream.mint(widgetRequest({ allowedOrigin: null }), 'caller')

    await expect(mint).resolves.toMatchObject({ type: 'widget' })
  })

  const crm = { tags: ['crm', 'gold'], mode: 'all' } as const
  test.each<[string, 'applications' | 'embedded', Partial<TokenRequest>]>([
    ['tags on a scoped token', 'applications', { sourceTags: crm }],
    ['all of the tags', 'embedded', { connectionTags: crm }],
  ])(
    '%s are refused to a caller, and dropped with one warning for the configured ones',
    async (_, dialect, tags) => {
      const { upstream, sandbox, complaints } = await startedUpstream({ settings: { dialect } })

      const insisting = upstream.mint(tokenRequest({ ...tags, tagsAreRequired: true }), 'caller')
      await expect(insisting).rejects.toMatchObject({ code: 'invalid_request' })
      expect(sandbox.counts.mints.total).toBe(0)

      await upstream.mint(tokenRequest(tags), 'caller')
      await upstream.mint(tokenRequest(tags), 'caller')
      expect(complaints()).toEqual(['the dialect cannot apply a configured field'])
    },
  )
})
