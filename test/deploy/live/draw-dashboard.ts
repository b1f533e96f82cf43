import { existsSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { asked, dashboardPanels } from '../dashboard-queries.ts'
import { hurriedRules } from './hurried-rules.ts'
import { startObservedFleet } from './observed-fleet.ts'
import { picturePage } from './picture-page.ts'
import { startPrivatePrometheus } from './private-prometheus.ts'
import { steadyLoad } from './steady-load.ts'

/** Writes docs/images/dashboard.png: what the dashboard's queries say of a fleet that lives through a bad minute. */
const PICTURE = fileURLToPath(new URL('../../../docs/images/dashboard.png', import.meta.url))
const SECONDS = 90

const fleet = await startObservedFleet()
fleet.sandbox.configure({ orgTokenLifeMs: 40_000, scopedLifeMs: 60_000, widgetLifeMs: 60_000 })
const brokers = [await fleet.broker(), await fleet.broker()] as const
const prometheus = await startPrivatePrometheus({
  jobs: { 'token-broker': brokers.map(({ opsUrl }) => opsUrl) },
  rules: hurriedRules(),
})
const load = steadyLoad(60, async (index) => {
  const broker = brokers[index % 2 === 0 ? 0 : 1]
  const type = index % 3 === 0 ? 'widget' : 'scoped'
  const customer = index % 12 === 0 ? `new-${index}` : `customer-${index % 60}`
  await broker.ask(customer, `?type=${type}`, index % 20 === 0 ? `wrong-key-${index}` : undefined)
})

try {
  await after((SECONDS / 3) * 1000)
  await fleet.redis.kill()
  fleet.sandbox.fail({ what: 'status', on: 'mint', status: 500, probability: 0.3, times: 'always' })
  await after((SECONDS / 3) * 1000)
  await fleet.redis.start()
  fleet.sandbox.clearFaults()
  await after((SECONDS / 3) * 1000)

  const panels = await Promise.all(
    dashboardPanels().map(async (panel) => {
      const found = panel.targets.map(async ({ expr, legendFormat }) => {
        const series = await prometheus.range(asked(expr, '10s'), SECONDS)
        return series.map((each) => ({
          ...each,
          name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => each.labels[label] ?? ''),
        }))
      })
      return { panel, lines: (await Promise.all(found)).flat() }
    }),
  )

  const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync)
  const browser = await chromium.launch({
    ...(executablePath && { executablePath }),
    args: ['--no-sandbox'],
  })
  const page = await browser.newPage({ viewport: { width: 1410, height: 900 } })
  await page.setContent(picturePage(panels))
  await page.screenshot({ path: PICTURE, fullPage: true })
  await browser.close()
} finally {
  await load.stop()
  await prometheus.stop()
  await fleet.stop()
}
