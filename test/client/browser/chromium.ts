import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, test } from 'vitest'

const PLACES = [
  process.env.CHROMIUM_PATH ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-sync',
  '--disable-component-update',
  '--disable-quic',
]

const executablePath = PLACES.find((path) => path !== '' && existsSync(path))

/**
 * `browserTest` is `test` where there is a Chromium, and says so where there is none. In CI a missing
 * browser is a failure: tests that nobody runs prove nothing.
 */
export const browserTest = executablePath === undefined ? test.skip : test

if (executablePath === undefined) {
  if (process.env.CI === 'true')
    test('there is a Chromium', () => {
      throw new Error('Chromium is missing: install it, or set CHROMIUM_PATH')
    })
  else console.warn('Skipped: no Chromium on this machine. Install it, or set CHROMIUM_PATH.')
}

/** One real browser, with a profile of its own, for the tests of a file. */
export function browserForFile(): () => Browser {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (executablePath === undefined) return
    browser = await chromium.launch({
      executablePath,
      args: FLAGS,
      // What a visitor has, the tests have too.
      ignoreDefaultArgs: ['--disable-back-forward-cache'],
    })
  }, 60_000)
  afterAll(() => browser?.close())
  return () => {
    if (!browser) throw new Error('The browser has not started')
    return browser
  }
}
