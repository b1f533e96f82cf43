import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { createMetrics } from '../../src/metrics.ts'
import { dashboardQueries } from './dashboard-queries.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const Rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.looseObject({
          alert: z.string().optional(),
          record: z.string().optional(),
          expr: z.string(),
          labels: z.object({ severity: z.enum(['page', 'ticket']) }).optional(),
          annotations: z.object({ runbook: z.string() }).optional(),
        }),
      ),
    }),
  ),
})
const rules = Rules.parse(parse(text('deploy/prometheus/rules.yml'))).groups.flatMap(
  (group) => group.rules,
)
const alerts = rules.filter(({ alert }) => alert !== undefined)

/** As the renderers of Markdown make anchors of headings. */
const anchorsOf = (markdown: string) =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

describe('an alert', () => {
  test.each(alerts)('$alert has its section in the runbook, and a severity', (rule) => {
    const [file, anchor] = rule.annotations?.runbook.split('#') ?? []

    expect(file).toBe('docs/runbook.md')
    expect(anchorsOf(text('docs/runbook.md'))).toContain(anchor)
    expect(rule.labels?.severity).toBeDefined()
  })

  test.each(alerts)('$alert is shown firing, and not firing, by a unit test', ({ alert }) => {
    const about = text('deploy/prometheus/rules.test.yml')

    expect(about).toMatch(new RegExp(`alertname: ${alert}\\n +exp_alerts:( &\\w+| \\*\\w+)?\\n`))
    expect(about).toMatch(new RegExp(`alertname: ${alert},? ?\\n? *exp_alerts: \\[\\]`))
  })
})

test('rules and dashboard ask for metrics that there are, with labels that they have', async () => {
  const { registry } = createMetrics('0.0.0', {
    dialects: [],
    mintOutcomes: [],
    exchangeOutcomes: [],
    refreshOutcomes: [],
    cacheTiers: [],
    cacheOps: [],
    cacheOutcomes: [],
    refusalReasons: [],
    refusalOutcomes: [],
  })
  const ours = new Set(
    registry
      .getMetricsAsArray()
      .flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]),
  )
  const recorded = new Set(rules.map(({ record }) => record))
  const queries = [...rules, ...dashboardQueries()].map(({ expr }) => expr)
  const asked = queries.flatMap((expr) => [
    ...expr.matchAll(/\b(?:token_broker|process|nodejs)_\w+|\btoken_broker:[\w:]+/g),
  ])

  expect(asked.length).toBeGreaterThan(40)
  expect(
    asked.map(([name]) => name).filter((name) => !ours.has(name) && !recorded.has(name)),
  ).toEqual([])
})

test('the chart and the Kustomize component have the same rules', () => {
  const component = parse(text('deploy/kustomize/components/monitoring/prometheusrule.yaml'))

  expect(text('deploy/helm/token-broker/files/rules.yml')).toBe(text('deploy/prometheus/rules.yml'))
  expect(component.spec).toEqual(parse(text('deploy/prometheus/rules.yml')))
})

test('the chart is of the version of the package', () => {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text('package.json')))

  expect(parse(text('deploy/helm/token-broker/Chart.yaml')).appVersion).toBe(version)
})

describe('every link of the documents leads somewhere', () => {
  const documents = ['SECURITY.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: ROOT })]

  test.each(documents)('%s', (document) => {
    const links = [...text(document).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
    const broken = links.filter(([, path = '', anchor]) => {
      const file = path === '' ? join(ROOT, document) : join(ROOT, dirname(document), path)
      if (!existsSync(file)) return true
      return anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor)
    })

    expect(broken.map(([link]) => link)).toEqual([])
  })
})

describe('docker-compose.yml', () => {
  const { services } = z
    .object({
      services: z.record(
        z.string(),
        z.looseObject({
          image: z.string(),
          ports: z.array(z.string()).default([]),
          read_only: z.boolean(),
          cap_drop: z.array(z.string()),
          security_opt: z.array(z.string()),
        }),
      ),
    })
    .parse(parse(text('docker-compose.yml'), { merge: true }))

  test.each(Object.entries(services))(
    '%s is hardened, and reached from this machine alone',
    (_, it) => {
      expect(it).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      })
      expect(it.ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    },
  )
})

test('the workflow runs what it says, and nobody can change it under us', () => {
  const workflows = globSync('.github/workflows/*.yml', { cwd: ROOT }).map(text)
  const used = workflows.flatMap((it) => [...it.matchAll(/uses: (\S+)/g)]).map(([, name]) => name)

  expect(used.length).toBeGreaterThan(0)
  expect(used.filter((name) => !/@[0-9a-f]{40}$/.test(name ?? ''))).toEqual([])
  for (const workflow of workflows)
    expect(parseAllDocuments(workflow).flatMap(({ errors }) => errors)).toEqual([])
})
