import type { Page } from 'playwright-core'
import { afterAll, beforeAll, type TestContext } from 'vitest'
import { type Demo, startDemo } from '../../../demo/demo.ts'
import { browserForFile } from './chromium.ts'

/**
 * The demo on free ports, with tokens that live for seconds, and real pages of it. What a page tells
 * the console about its Content-Security-Policy is a failure.
 */
export function demoWithBrowser(tokenLifeMs: number) {
  const browser = browserForFile()
  let demo: Demo | undefined
  beforeAll(async () => {
    demo = await startDemo({
      ports: { page: 0, airbyte: 0, broker: 0 },
      tokenLifeMs,
      broker: { RATE_LIMIT_MAX: '100000', LOG_LEVEL: 'error' },
    })
  }, 30_000)
  afterAll(() => demo?.close())

  const running = () => {
    if (!demo) throw new Error('The demo has not started')
    return demo
  }

  /** A page that is nobody's yet, in a profile of its own. */
  async function openBlank({ onTestFinished }: TestContext) {
    const context = await browser().newContext()
    onTestFinished(() => context.close())
    return { context, page: await context.newPage() }
  }

  /** The demo's page, signed in for the first customer, and its requests for tokens. */
  async function openDemo(test: TestContext) {
    const { context, page } = await openBlank(test)
    const asked = tokenRequests(page)
    const complaints = complaintsOf(page)
    await page.goto(running().pageUrl)
    await page.locator('#sources li').first().waitFor()
    return { context, page, asked, complaints }
  }

  return { demo: running, openBlank, openDemo }
}

export type TokenRequest = { readonly method: string; readonly url: string }

export function tokenRequests(page: Page): TokenRequest[] {
  const asked: TokenRequest[] = []
  page.on('request', (request) => {
    if (/\/customers\/[^/]+\/token/.test(request.url()))
      asked.push({ method: request.method(), url: request.url() })
  })
  return asked
}

/** What the page throws, and what its Content-Security-Policy refuses. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) complaints.push(message.text())
  })
  return complaints
}

/**
 * In the page: `client`, made with the client that the broker serves, and `heard`, what it was told.
 * `more` are further options, as source.
 */
export async function startClient(page: Page, brokerUrl: string, more: string): Promise<void> {
  await page.evaluate(`(async () => {
    const { createTokenClient } = await import(${JSON.stringify(`${brokerUrl}/client.js`)})
    const session = async () => {
      const response = await fetch('/api/session', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ customer: 'blue-bakery' }),
      })
      return (await response.json()).jwt
    }
    window.heard = []
    window.errors = []
    window.client = createTokenClient({
      url: ${JSON.stringify(brokerUrl)},
      customerId: 'blue-bakery',
      credential: session,
      ...(${more}),
    })
    window.client.onToken(
      ({ token, expires_in }) => window.heard.push({ token, at: Date.now(), ends: Date.now() + expires_in * 1000 }),
      ({ code }) => window.errors.push(code),
    )
  })()`)
}

/**
 * Asks the page until the expression holds. The page's own policy forbids the usual way, which makes a
 * function of a string in the page.
 */
export async function pageSays(page: Page, expression: string, withinMs = 30_000): Promise<void> {
  const end = Date.now() + withinMs
  while (!(await page.evaluate(`Boolean(${expression})`))) {
    if (Date.now() > end) throw new Error(`Not within ${withinMs} ms: ${expression}`)
    await page.waitForTimeout(50)
  }
}
