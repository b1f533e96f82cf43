import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { freePort, until } from '../../support/private-redis.ts'

export type Series = {
  readonly labels: Readonly<Record<string, string>>
  readonly points: readonly (readonly [seconds: number, value: number])[]
}

export type PrivatePrometheus = {
  /** The samples of an instant query. */
  query(expr: string): Promise<readonly { labels: Record<string, string>; value: number }[]>
  /** The series of a range query, a value a second. */
  range(expr: string, seconds: number): Promise<readonly Series[]>
  /** Names of the alerts that fire just now. */
  firing(): Promise<readonly string[]>
  stop(): Promise<void>
}

export type PrometheusOptions = {
  /** Scraped once a second, by the name of the job. */
  readonly jobs: Readonly<Record<string, readonly string[]>>
  /** The text of a rules file. */
  readonly rules: string
}

const Samples = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        value: z.tuple([z.number(), z.string()]),
      }),
    ),
  }),
})

const Ranges = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
})

const Alerts = z.object({
  data: z.object({
    alerts: z.array(
      z.object({ state: z.string(), labels: z.looseObject({ alertname: z.string() }) }),
    ),
  }),
})

/** A real one, of its own folder and port, with a second for a scrape and an evaluation. */
export async function startPrivatePrometheus(
  options: PrometheusOptions,
): Promise<PrivatePrometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-prometheus-'))
  const port = await freePort()
  const data = join(folder, 'data')
  await mkdir(data)
  await writeFile(join(folder, 'rules.yml'), options.rules)
  await writeFile(
    join(folder, 'prometheus.yml'),
    // JSON is YAML.
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yml'],
      scrape_configs: Object.entries(options.jobs).map(([job, targets]) => ({
        job_name: job,
        static_configs: [{ targets: targets.map((url) => new URL(url).host) }],
      })),
    }),
  )
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const exit = once(child, 'exit').catch(() => {
    throw new Error('these checks need Prometheus: apt-get install prometheus')
  })

  const url = `http://127.0.0.1:${port}`
  const get = async (path: string): Promise<unknown> => {
    const reply = await fetch(url + path)
    const body = await reply.text()
    if (!reply.ok) throw new Error(`Prometheus answers ${reply.status} to ${path}: ${body}`)
    return JSON.parse(body)
  }
  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await Promise.race([until(isReady, 'a Prometheus that is ready', 30_000), exit])

  return {
    async query(expr) {
      const reply = await get(`/api/v1/query?query=${encodeURIComponent(expr)}`)
      return Samples.parse(reply).data.result.map(({ metric, value }) => ({
        labels: metric,
        value: Number(value[1]),
      }))
    },
    async range(expr, seconds) {
      const end = Date.now() / 1000
      const asked = new URLSearchParams({
        query: expr,
        start: `${end - seconds}`,
        end: `${end}`,
        step: '1',
      })
      const { data } = Ranges.parse(await get(`/api/v1/query_range?${asked}`))
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        points: values.map(([at, value]) => [at, Number(value)] as const),
      }))
    },
    async firing() {
      const { alerts } = Alerts.parse(await get('/api/v1/alerts')).data
      return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
    },
    async stop() {
      child.kill('SIGTERM')
      await exit
      await rm(folder, { recursive: true, force: true })
    },
  }
}
