import { readFileSync } from 'node:fs'
import { z } from 'zod'

const Panel = z.object({
  title: z.string(),
  type: z.enum(['row', 'stat', 'timeseries']),
  /** In units of a grid that is 24 wide. */
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  fieldConfig: z.object({ defaults: z.object({ unit: z.string() }) }).optional(),
  targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).default([]),
})
export type Panel = z.output<typeof Panel>

export function dashboardPanels(): Panel[] {
  const file = new URL('../../deploy/grafana/dashboards/token-broker.json', import.meta.url)
  return z.object({ panels: z.array(Panel) }).parse(JSON.parse(readFileSync(file, 'utf8'))).panels
}

/** Every query of the dashboard, with Grafana's variables in it. */
export const dashboardQueries = (): { panel: string; expr: string }[] =>
  dashboardPanels().flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ panel: title, expr })),
  )

/** The query as Grafana would send it, for all jobs and replicas. */
export const asked = (expr: string, rateInterval: string): string =>
  expr.replaceAll(/\$(job|instance)/g, '.+').replaceAll('$__rate_interval', rateInterval)
