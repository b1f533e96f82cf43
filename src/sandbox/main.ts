import { z } from 'zod'
import { startSandbox } from './sandbox.ts'
import { DIALECTS, defaultSettings } from './settings.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h|d)$/, 'has to be a duration such as 20m, 30s or 500ms')
  .transform((text) => {
    const unit = z.enum(['ms', 's', 'm', 'h', 'd']).parse(text.replace(/^\d+/, ''))
    return Number.parseInt(text, 10) * UNITS[unit]
  })
const list = z.string().transform((text) => text.split(',').map((item) => item.trim()))
const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

const Environment = z.object({
  SANDBOX_HOST: z.string().default('127.0.0.1'),
  SANDBOX_PORT: z.coerce.number().int().min(0).max(65_535).default(8090),
  SANDBOX_CLIENT_ID: z.string().min(1).optional(),
  SANDBOX_CLIENT_SECRET: z.string().min(1).optional(),
  SANDBOX_ORG_TOKEN: z.string().min(1).optional(),
  SANDBOX_ORGANIZATIONS: list.optional(),
  SANDBOX_DIALECTS: list.pipe(z.array(z.enum(DIALECTS))).optional(),
  SANDBOX_ORG_LIFE: duration.optional(),
  SANDBOX_SCOPED_LIFE: duration.optional(),
  SANDBOX_WIDGET_LIFE: duration.optional(),
  /** Where a browser reaches the widget's page, if it is not this process's own port on loopback. */
  SANDBOX_WIDGET_URL: z.url().optional(),
  /** Whether `/__sandbox/…` answers: anyone who reaches it can change everything. */
  SANDBOX_CONTROL: flag.default(false),
})

async function main() {
  // Compose passes an unset variable on as an empty one.
  const said = Object.entries(process.env).filter(([, value]) => value !== '')
  const env = Environment.safeParse(Object.fromEntries(said))
  if (!env.success) {
    process.stderr.write(`The sandbox cannot start:\n${z.prettifyError(env.error)}\n`)
    process.exitCode = 78
    return
  }
  const { data } = env
  const [client] = defaultSettings().clients
  const id = data.SANDBOX_CLIENT_ID ?? client?.id
  const secret = data.SANDBOX_CLIENT_SECRET ?? client?.secret
  const sandbox = await startSandbox({
    host: data.SANDBOX_HOST,
    port: data.SANDBOX_PORT,
    control: data.SANDBOX_CONTROL,
    remembers: 1000,
    clients: id && secret ? [{ id, secret }] : undefined,
    orgTokens: data.SANDBOX_ORG_TOKEN ? [data.SANDBOX_ORG_TOKEN] : undefined,
    organizations: data.SANDBOX_ORGANIZATIONS,
    dialects: data.SANDBOX_DIALECTS,
    orgTokenLifeMs: data.SANDBOX_ORG_LIFE,
    scopedLifeMs: data.SANDBOX_SCOPED_LIFE,
    widgetLifeMs: data.SANDBOX_WIDGET_LIFE ?? data.SANDBOX_SCOPED_LIFE,
    widgetUrl: data.SANDBOX_WIDGET_URL,
  })
  process.stdout.write(`The sandbox listens on ${sandbox.url}\n`)

  const stop = () => void sandbox.close()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

await main()
