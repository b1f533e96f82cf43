import { readFileSync } from 'node:fs'
import { z } from 'zod'

const Dashboard = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
})

/** Every query of the dashboard, with Grafana's variables in it. */
export function dashboardQueries(): { panel: string; expr: string }[] {
  const file = new URL('../../deploy/grafana/dashboards/token-broker.json', import.meta.url)
  const { panels } = Dashboard.parse(JSON.parse(readFileSync(file, 'utf8')))
  return panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ panel: title, expr })))
}
