import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { browserTest } from './chromium.ts'
import { demoWithBrowser, pageSays, startClient, tokenRequests } from './demo.ts'

/**
 * So long that a slow machine has time for a renewal between when it is due and the end; and longer than the ten
 * seconds for which a token counts as young, or a renewal can be answered with the one in hand.
 */
const LIFE_MS = 12_000
const { demo, openDemo, openBlank } = demoWithBrowser(LIFE_MS)
const OWN_TIME = 60_000

const Heard = z.array(z.object({ token: z.string(), at: z.number(), ends: z.number() }))

browserTest(
  'a page gets its token from another origin, under a strict policy',
  async (test) => {
    const { page, asked, complaints } = await openDemo(test)

    const policy = await page.evaluate(
      `fetch('/').then((response) => response.headers.get('content-security-policy'))`,
    )

    expect(policy).toMatch(/^default-src 'none'; script-src 'self' http:\/\/127\.0\.0\.1:\d+;/)
    expect(policy).not.toMatch(/unsafe|\*/)
    expect(complaints).toEqual([])
    expect(new URL(asked[0]?.url ?? '').origin).toBe(demo().brokerUrl)
    expect(new URL(page.url()).origin).not.toBe(demo().brokerUrl)
    expect(await page.textContent('#state')).toMatch(/fresh|being renewed/)
    expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0)
  },
  OWN_TIME,
)

browserTest(
  'a refused token is met with one fresh one, and the call succeeds',
  async (test) => {
    const { page, asked } = await openDemo(test)
    const fresh = () => asked.filter(({ method }) => method === 'POST').length

    await page.click('[data-action=refused]')

    await page.locator('#outcome[data-tone=good]').waitFor()
    expect(fresh()).toBe(1)
    const statuses = await page.locator('#log .status').allTextContents()
    expect(statuses.slice(0, 3)).toEqual(['200', '200', '401'])
  },
  OWN_TIME,
)

browserTest(
  'another customer’s token is refused',
  async (test) => {
    const { page } = await openDemo(test)

    await page.click('[data-action=other]')

    await page.locator('#outcome', { hasText: '403' }).waitFor()
    expect(await page.locator('#log .status').first().textContent()).toBe('403')
  },
  OWN_TIME,
)

browserTest(
  'another user’s token is gone when somebody else signs in, by keyboard',
  async (test) => {
    const { page } = await openDemo(test)
    const before = await page.textContent('#fact-workspace')

    await page.locator('#customers input').first().focus()
    await page.keyboard.press('ArrowRight')

    await page.locator('#customer-name', { hasText: 'Blue Bakery' }).waitFor()
    await pageSays(
      page,
      `!['–', ${JSON.stringify(before)}].includes(document.getElementById('fact-workspace').textContent)`,
    )
  },
  OWN_TIME,
)

browserTest(
  'a hostile origin gets nothing, even with a stolen credential',
  async (test) => {
    const server = createServer((_request, response) => {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<!doctype html><title>x</title>')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    test.onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const { page } = await openBlank(test)
    await page.goto(`http://127.0.0.1:${address.port}/`)

    const seen = await page.evaluate(`(async () => {
      const url = ${JSON.stringify(demo().brokerUrl)}
      const { createTokenClient } = await import(url + '/client.js')
      const attempts = [
        { credential: ${JSON.stringify(demo().serviceKey)} },
        {},
      ].map((options) =>
        createTokenClient({ url, customerId: 'acme-rockets', timeoutMs: 500, ...options })
          .getToken().then(() => 'a token', ({ code }) => code))
      const plain = fetch(url + '/customers/acme-rockets/token').then((r) => r.text(), () => 'nothing')
      const session = fetch(${JSON.stringify(demo().pageUrl)} + 'api/session', {
        method: 'POST', mode: 'no-cors', body: '{"customer":"acme-rockets"}',
      }).then((r) => r.text(), () => 'nothing')
      return Promise.all([...attempts, plain, session])
    })()`)

    expect(seen).toEqual(['network', 'network', 'nothing', ''])
  },
  OWN_TIME,
)

browserTest(
  'the limit is told, and the page lives on',
  async (test) => {
    const { page } = await openDemo(test)
    await page.route(`${demo().brokerUrl}/customers/*/token`, (route) =>
      route.fulfill({
        status: 429,
        headers: {
          'access-control-allow-origin': new URL(page.url()).origin,
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'Retry-After',
          'retry-after': '7',
        },
        json: { code: 'rate_limited' },
      }),
    )

    await page.click('[data-action=hammer]')

    await page.locator('#outcome', { hasText: '7 s' }).waitFor()
    expect(await page.textContent('#state')).toMatch(/fresh|being renewed/)
  },
  OWN_TIME,
)

browserTest(
  'while the upstream is down the page uses up what it has, and recovers by itself',
  async (test) => {
    const { page } = await openDemo(test)
    await page.click('[data-action=down]')
    await page.locator('[data-action=down][aria-pressed=true]').waitFor()
    await page.locator('.token[data-life=none]').waitFor({ timeout: 20_000 })

    await page.click('[data-action=down]')

    await page.locator('.token:not([data-life=none])').waitFor({ timeout: 15_000 })
  },
  OWN_TIME,
)

// These mostly wait, so they wait together.
describe.concurrent('over time', () => {
  browserTest(
    'tokens are renewed before they end',
    async (test) => {
      const { page } = await openDemo(test)
      await startClient(page, demo().brokerUrl, '{}')

      await pageSays(page, 'heard.length >= 4', 30_000)

      const heard = Heard.parse(await page.evaluate('heard'))
      expect(new Set(heard.map(({ token }) => token)).size).toBe(heard.length)
      for (const [index, { at }] of heard.slice(1).entries())
        expect(at).toBeLessThan(heard[index]?.ends ?? 0)
    },
    OWN_TIME,
  )

  browserTest(
    'a widget’s dialog lives through three lives of its tokens',
    async (test) => {
      const { page, complaints } = await openDemo(test)
      await page.click('#add-source')
      const frame = page.frameLocator('iframe')
      await frame.getByText('For acme-rockets').waitFor()
      const begun = Date.now()

      const body = frame.locator('body')
      while (Date.now() - begun < 3 * LIFE_MS + 1000) {
        expect(await body.getAttribute('data-alive')).not.toBe('false')
        await page.waitForTimeout(250)
      }
      await frame.getByRole('button', { name: 'Stripe' }).click()
      await frame.getByText('Stripe is connected').waitFor()
      await frame.getByLabel('Close').click()

      await page.locator('#sources li.on', { hasText: 'Stripe' }).waitFor()
      await page.locator('dialog').waitFor({ state: 'detached' })
      expect(complaints).toEqual([])
    },
    OWN_TIME,
  )

  browserTest(
    'two tabs, one renewal',
    async (test) => {
      const { context, page, asked } = await openDemo(test)
      const other = await context.newPage()
      const alsoAsked = tokenRequests(other)
      await other.goto(demo().pageUrl)
      const options = `{ type: 'widget', shareTabs: true }`
      await startClient(page, demo().brokerUrl, options)
      await pageSays(page, 'heard.length >= 1')
      await startClient(other, demo().brokerUrl, options)

      await pageSays(other, 'heard.length >= 4', 30_000)

      const ofBoth = [...asked, ...alsoAsked].filter(({ url }) => url.includes('type=widget'))
      const tokens = Heard.parse(await page.evaluate('heard')).map(({ token }) => token)
      const others = Heard.parse(await other.evaluate('heard')).map(({ token }) => token)
      // The second tab asked once as it opened; from then on, each token was asked for by one of the two.
      expect(ofBoth.length).toBeLessThanOrEqual(Math.max(tokens.length, others.length) + 1)
      expect(tokens).toEqual(expect.arrayContaining(others))
    },
    OWN_TIME,
  )

  browserTest(
    'offline, and back: the token comes with the network',
    async (test) => {
      const { context, page } = await openDemo(test)
      await startClient(page, demo().brokerUrl, '{}')
      await pageSays(page, 'heard.length >= 1')
      await context.setOffline(true)
      await pageSays(page, 'client.current() === undefined && errors.length > 2', 20_000)

      const back = Date.now()
      await context.setOffline(false)
      await pageSays(page, 'client.current() !== undefined')

      expect(Date.now() - back).toBeLessThan(2000)
      expect(await page.evaluate('[...new Set(errors)]')).toEqual(['credential'])
    },
    OWN_TIME,
  )

  browserTest(
    'a page that comes back from the back/forward cache has a living token',
    async (test) => {
      const { page } = await openDemo(test)
      await startClient(page, demo().brokerUrl, '{ shareTabs: true }')
      await pageSays(page, 'heard.length >= 1')
      await page.evaluate(
        `addEventListener('pageshow', ({ persisted }) => { window.fromCache = persisted })`,
      )

      await page.goto(`${demo().brokerUrl}/openapi.json`)
      await page.waitForTimeout(LIFE_MS + 500)
      await page.goBack({ waitUntil: 'commit' })

      expect(await page.evaluate('window.fromCache')).toBe(true)
      await pageSays(page, 'client.current() !== undefined', 3000)
      expect(await page.evaluate('heard.length')).toBeGreaterThan(1)
    },
    OWN_TIME,
  )
})
