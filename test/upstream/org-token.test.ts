import { describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { OrgTokenSettings } from '../../src/upstream/settings.ts'
import { cloudToken, eventually, startedUpstream, tokenRequest } from './started.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const WRONG = 'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET were refused by the token exchange'

function testClock() {
  let at = Date.now()
  return {
    now: () => at,
    pass(ms: number) {
      at += ms
    },
  }
}

const withSecrets = (sandbox: Sandbox, ...secrets: [string, string?]): OrgTokenSettings => {
  const [first, second] = secrets
  const { clientId } = sandbox
  return {
    source: 'airbyte-cloud',
    tokenUrls: [`${sandbox.url}/v1/applications/token`],
    credentials: [
      { clientId, clientSecret: first },
      ...(second === undefined ? ([] as const) : ([{ clientId, clientSecret: second }] as const)),
    ],
  }
}

describe('the first org token', () => {
  test('is got before anybody asks', async () => {
    const ends: (number | null)[] = []
    const { upstream, sandbox, exchanges } = await startedUpstream({
      deps: { onOrgToken: (expiresAt) => ends.push(expiresAt) },
    })
    expect(upstream.orgTokenStatus()).toEqual({ state: 'starting', expiresAt: null, detail: null })

    upstream.start()
    await eventually(() => upstream.orgTokenStatus().state === 'ok')

    const { expiresAt } = upstream.orgTokenStatus()
    expect(expiresAt).toBeGreaterThan(Date.now() + 14 * MINUTE)
    expect(ends).toEqual([expiresAt])
    expect(exchanges).toEqual(['ok'])
    expect(sandbox.asked.map(({ kind }) => kind)).toEqual(['exchange'])
  })

  test('is tried for until the exchange is back', async () => {
    const { upstream, sandbox } = await startedUpstream({ deps: { random: () => 0 } })
    sandbox.fail({ on: 'exchange', what: 'status', status: 503, times: 4 })

    upstream.start()
    await eventually(() => upstream.orgTokenStatus().state === 'failing')
    expect(upstream.orgTokenStatus().detail).toBe(
      'the token exchange cannot be reached, or is in trouble: see AIRBYTE_TOKEN_URL',
    )
    await eventually(() => upstream.orgTokenStatus().state === 'ok')

    expect(sandbox.counts.exchanges.total).toBe(5)
  })

  test('cannot be had with a wrong secret: the settings are named, and mints fail without a call', async () => {
    const { upstream, sandbox, complaints } = await startedUpstream({
      settings: (s) => ({ orgToken: withSecrets(s, 'wrong-secret-0815') }),
    })

    upstream.start()
    await eventually(() => upstream.orgTokenStatus().state === 'failing')
    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({ code: 'upstream_rejected' })
    expect(upstream.orgTokenStatus()).toEqual({ state: 'failing', expiresAt: null, detail: WRONG })
    expect(complaints()).toContain(WRONG)
    expect(sandbox.counts.exchanges.total).toBe(1)
    expect(sandbox.counts.mints.total).toBe(0)
  })

  test('is asked for at the older place of a self-managed server, until that moves', async () => {
    const clock = testClock()
    const { upstream, sandbox } = await startedUpstream({
      sandbox: { exchanges: ['self-managed-old'], now: clock.now },
      settings: (s) => ({
        orgToken: {
          source: 'airbyte-self-managed',
          tokenUrls: [
            `${s.url}/api/public/v1/applications/token`,
            `${s.url}/api/v1/applications/token`,
          ],
          credentials: [{ clientId: s.clientId, clientSecret: s.clientSecret }],
        },
      }),
      deps: { now: clock.now },
    })

    await upstream.mint(tokenRequest(), 'caller')
    clock.pass(DAY)
    await upstream.mint(tokenRequest(), 'caller')

    const paths = sandbox.asked.filter(({ kind }) => kind === 'exchange').map(({ path }) => path)
    expect(paths.at(0)).toBe('/api/public/v1/applications/token')
    expect(paths.slice(1)).toEqual(Array(2).fill('/api/v1/applications/token'))

    sandbox.configure({ exchanges: ['self-managed'] })
    clock.pass(DAY)
    await upstream.mint(tokenRequest(), 'caller')
    expect(sandbox.asked.at(-2)?.path).toBe('/api/public/v1/applications/token')
  })
})

test('a token that is not for bearers is none', async () => {
  const { upstream, sandbox } = await startedUpstream()
  const json = { access_token: 'opaque', token_type: 'mac', expires_in: 900 }
  sandbox.fail({ on: 'exchange', what: 'reply', json })

  const mint = upstream.mint(tokenRequest(), 'caller')

  await expect(mint).rejects.toMatchObject({ code: 'upstream_invalid' })
  expect(sandbox.counts.mints.total).toBe(0)
})

describe('an org token in use', () => {
  test.each([
    ['a fifth of its life, if that is short', 3 * MINUTE, 36_000],
    ['two minutes, if it is long', DAY, 2 * MINUTE],
  ])('is renewed ahead of its end by %s', async (_, life, margin) => {
    const clock = testClock()
    const { upstream, sandbox } = await startedUpstream({
      sandbox: { orgTokenLifeMs: life, now: clock.now },
      deps: { now: clock.now, random: () => 0 },
    })
    await upstream.mint(tokenRequest(), 'caller')

    clock.pass(life - margin - 2_000)
    await upstream.mint(tokenRequest(), 'caller')
    expect(sandbox.counts.exchanges.total).toBe(1)

    clock.pass(4_000)
    await upstream.mint(tokenRequest(), 'caller')
    await eventually(() => sandbox.counts.exchanged === 2)
    expect(sandbox.asked.filter(({ kind }) => kind === 'mint').at(-1)?.orgToken).toBe('org-1')
  })

  test('is not renewed for nobody', async () => {
    const clock = testClock()
    const { upstream, sandbox } = await startedUpstream({
      sandbox: { now: clock.now },
      deps: { now: clock.now },
    })
    await upstream.mint(tokenRequest(), 'caller')

    clock.pass(DAY)

    expect(upstream.orgTokenStatus()).toMatchObject({ state: 'ok', detail: null })
    expect(sandbox.counts.exchanges.total).toBe(1)
  })

  test('is renewed by one exchange, whoever waits for it', async () => {
    const { upstream, sandbox } = await startedUpstream()
    const hold = sandbox.hold('exchange')
    const mints = Array.from({ length: 10 }, () => upstream.mint(tokenRequest(), 'caller'))
    await hold.reached(1)

    hold.release()
    await Promise.all(mints)

    expect(sandbox.counts.exchanges.total).toBe(1)
  })

  test('that dies early is replaced once for all who were refused with it', async () => {
    const { upstream, sandbox } = await startedUpstream()
    await upstream.mint(tokenRequest(), 'caller')
    const hold = sandbox.hold('mint')
    const mints = Array.from({ length: 10 }, () => upstream.mint(tokenRequest(), 'caller'))
    await hold.reached(10)
    const dead = sandbox.asked.at(-1)?.headers.authorization?.slice('Bearer '.length) ?? ''
    sandbox.revoke(dead)

    hold.release()
    await Promise.all(mints)
    sandbox.forget()
    sandbox.fail({ on: 'mint', what: 'revoke' })
    await Promise.all(Array.from({ length: 10 }, () => upstream.mint(tokenRequest(), 'caller')))

    expect(sandbox.counts.exchanges.total).toBe(1)
  })

  test('that is refused although it is new is not replaced over and over', async () => {
    const { upstream, sandbox } = await startedUpstream()
    sandbox.fail({ on: 'mint', what: 'status', status: 401, times: 'always' })
    const mint = () => upstream.mint(tokenRequest(), 'caller').catch(({ code }) => code)

    const codes = [await mint(), await mint(), await mint()]

    expect(codes).toEqual(Array(3).fill('upstream_rejected'))
    expect(sandbox.counts.exchanges.total).toBe(2)
    expect(sandbox.counts.mints.total).toBe(4)
  })

  test('may live longer than a timer can wait', async () => {
    const { upstream, sandbox } = await startedUpstream({ sandbox: { orgTokenLifeMs: 90 * DAY } })

    await upstream.mint(tokenRequest(), 'caller')
    await upstream.mint(tokenRequest(), 'caller')

    expect(upstream.orgTokenStatus().expiresAt).toBeGreaterThan(Date.now() + 89 * DAY)
    expect(sandbox.counts.exchanges.total).toBe(1)
  })

  test('that announces a longer life than it has is believed the shorter one', async () => {
    const { upstream } = await startedUpstream({
      sandbox: { orgTokenLifeMs: 180_000, announcedExpiresIn: 900 },
    })

    await upstream.mint(tokenRequest(), 'caller')

    expect(upstream.orgTokenStatus().expiresAt).toBeLessThanOrEqual(Date.now() + 180_000)
  })

  test('that tells nothing of its life is renewed as if it had three minutes', async () => {
    const clock = testClock()
    const { upstream, sandbox, complaints } = await startedUpstream({
      sandbox: { opaqueOrgTokens: true, omitExpiresIn: true, now: clock.now },
      deps: { now: clock.now },
    })
    await upstream.mint(tokenRequest(), 'caller')
    expect(upstream.orgTokenStatus()).toMatchObject({ state: 'ok', expiresAt: null })

    clock.pass(181_000)
    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.counts.exchanges.total).toBe(2)
    expect(complaints()).toContain(
      'nothing tells how long the org token lives: assuming the shortest seen',
    )
  })

  test('that cannot be renewed is used to its end, and only then the broker is not ready', async () => {
    const clock = testClock()
    const { upstream, sandbox } = await startedUpstream({
      sandbox: { now: clock.now },
      deps: { now: clock.now, random: () => 0 },
    })
    await upstream.mint(tokenRequest(), 'caller')
    sandbox.configure({ clients: [] })

    clock.pass(14 * MINUTE)
    await upstream.mint(tokenRequest(), 'caller')
    await eventually(() => sandbox.counts.exchanges.total === 2)
    expect(upstream.orgTokenStatus()).toMatchObject({ state: 'ok', detail: null })

    clock.pass(MINUTE)
    await upstream.mint(tokenRequest(), 'caller').catch(() => undefined)
    expect(upstream.orgTokenStatus()).toMatchObject({ state: 'failing', detail: WRONG })
  })
})

describe('while credentials change', () => {
  test('the previous one is tried when the first is refused, and that is logged and counted', async () => {
    const { upstream, complaints, exchanges } = await startedUpstream({
      settings: (s) => ({ orgToken: withSecrets(s, 'not-yet-known-secret', s.clientSecret) }),
    })

    await upstream.mint(tokenRequest(), 'caller')

    expect(exchanges).toEqual(['rejected', 'ok_previous'])
    expect(complaints()).toContain('the credential was refused, and the previous one is in use')
    expect(upstream.orgTokenStatus().state).toBe('ok')
  })

  test('the token of a credential that is gone is dropped', async () => {
    const { upstream, sandbox, settings } = await startedUpstream()
    await upstream.mint(tokenRequest(), 'caller')
    sandbox.configure({ clients: [{ id: sandbox.clientId, secret: 'the-new-secret-42' }] })

    upstream.reload({ ...settings, orgToken: withSecrets(sandbox, 'the-new-secret-42') })
    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.asked.at(-1)?.orgToken).toBe('org-2')
  })

  test('the token of a credential that stays as the previous one is kept', async () => {
    const { upstream, sandbox, settings } = await startedUpstream()
    await upstream.mint(tokenRequest(), 'caller')

    const orgToken = withSecrets(sandbox, 'the-new-secret-42', sandbox.clientSecret)
    upstream.reload({ ...settings, orgToken })
    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.counts.exchanges.total).toBe(1)
  })

  test('an exchange that is under way with the old one does not count', async () => {
    const { upstream, sandbox, settings } = await startedUpstream()
    const hold = sandbox.hold('exchange')
    const mint = upstream.mint(tokenRequest(), 'caller')
    await hold.reached(1)
    sandbox.configure({
      clients: [...sandbox.settings.clients, { id: sandbox.clientId, secret: 'the-new-secret-42' }],
    })

    upstream.reload({ ...settings, orgToken: withSecrets(sandbox, 'the-new-secret-42') })
    hold.release()
    await mint

    expect(sandbox.asked.filter(({ kind }) => kind === 'mint').map((m) => m.orgToken)).toEqual([
      'org-2',
    ])
  })

  test('a right secret is used at once, however long the wrong one was to rest', async () => {
    const { upstream, sandbox, settings } = await startedUpstream({
      settings: (s) => ({ orgToken: withSecrets(s, 'wrong-secret-0815') }),
    })
    upstream.start()
    await eventually(() => upstream.orgTokenStatus().state === 'failing')

    upstream.reload({ ...settings, orgToken: cloudToken(sandbox) })

    await expect(upstream.mint(tokenRequest(), 'caller')).resolves.toMatchObject({ type: 'scoped' })
  })

  test('a static token may give way to an exchange', async () => {
    const { upstream, sandbox, settings } = await startedUpstream({
      settings: { orgToken: { source: 'static', accessToken: 'unknown-to-the-upstream' } },
    })
    await upstream.mint(tokenRequest(), 'caller').catch(() => undefined)

    upstream.reload({ ...settings, orgToken: cloudToken(sandbox) })

    await expect(upstream.mint(tokenRequest(), 'caller')).resolves.toMatchObject({ type: 'scoped' })
  })
})

describe('a static org token', () => {
  async function withStaticToken(lifeMs: number) {
    const clock = testClock()
    const started = await startedUpstream({
      sandbox: { now: clock.now },
      deps: { now: clock.now },
    })
    const accessToken = await started.sandbox.issueOrgToken(lifeMs)
    started.upstream.reload({ ...started.settings, orgToken: { source: 'static', accessToken } })
    return { ...started, clock }
  }

  test('with a while to live is fine, and its end is reported', async () => {
    const { upstream } = await withStaticToken(15 * MINUTE)

    const { state, expiresAt } = upstream.orgTokenStatus()

    expect(state).toBe('ok')
    expect(expiresAt).toBeGreaterThan(Date.now() + 14 * MINUTE)
  })

  test('near its end makes the broker not ready, and is used to the last', async () => {
    const { upstream, clock } = await withStaticToken(15 * MINUTE)

    clock.pass(14 * MINUTE + 10_000)

    await expect(upstream.mint(tokenRequest(), 'caller')).resolves.toBeDefined()
    expect(upstream.orgTokenStatus()).toMatchObject({
      state: 'failing',
      detail: 'AIRBYTE_ACCESS_TOKEN ends within a minute, and nothing here can renew it',
    })
  })

  test('past its end is not sent', async () => {
    const { upstream, sandbox, clock } = await withStaticToken(15 * MINUTE)

    clock.pass(15 * MINUTE)

    await expect(upstream.mint(tokenRequest(), 'caller')).rejects.toMatchObject({
      code: 'upstream_rejected',
    })
    expect(upstream.orgTokenStatus()).toMatchObject({
      state: 'failing',
      detail: 'AIRBYTE_ACCESS_TOKEN has expired',
    })
    expect(sandbox.counts.mints.total).toBe(0)
  })

  test('may be opaque', async () => {
    const { upstream } = await startedUpstream({
      settings: (s) => ({ orgToken: { source: 'static', accessToken: s.orgToken } }),
    })
    upstream.start()

    expect(upstream.orgTokenStatus()).toEqual({ state: 'ok', expiresAt: null, detail: null })
  })

  test('that the API refuses makes the broker not ready until it takes one', async () => {
    const { upstream, sandbox } = await startedUpstream({
      settings: (s) => ({ orgToken: { source: 'static', accessToken: s.orgToken } }),
    })
    sandbox.fail({ on: 'mint', what: 'status', status: 401 })

    const mint = upstream.mint(tokenRequest(), 'caller')

    await expect(mint).rejects.toMatchObject({ code: 'upstream_rejected' })
    expect(upstream.orgTokenStatus()).toMatchObject({
      state: 'failing',
      detail: 'AIRBYTE_ACCESS_TOKEN was refused by the API',
    })
    expect(sandbox.counts.mints.total).toBe(1)
    await upstream.mint(tokenRequest(), 'caller')
    expect(upstream.orgTokenStatus().state).toBe('ok')
  })

  test('a refusal counts for a minute: a replica without traffic would never learn that it has passed', async () => {
    let now = Date.now()
    const { upstream, sandbox } = await startedUpstream({
      settings: (s) => ({ orgToken: { source: 'static', accessToken: s.orgToken } }),
      deps: { now: () => now },
    })
    sandbox.fail({ on: 'mint', what: 'status', status: 401 })
    await expect(upstream.mint(tokenRequest(), 'caller')).rejects.toThrow()

    const states = [59_999, 1].map((ms) => {
      now += ms
      return upstream.orgTokenStatus().state
    })

    expect(states).toEqual(['failing', 'ok'])
  })
})
